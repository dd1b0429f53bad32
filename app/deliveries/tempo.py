"""How fast one worker hands over on one channel, learned from what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.channels.kinds import KINDS
from app.channels.port import Kind, Outcome

log = logging.getLogger("muster.tempo")

WRITE_WITHIN_SECONDS = (1.0, 8.0)
"""Bytes must begin to leave this soon after the mark; what comes later goes back to the queue. So the time of an
unknown call is known closely, which is what proving its absence builds on. Where connecting takes longer, the time
allowed is doubled, up to the second figure."""

REST_SECONDS = (2.0, 16.0)
"""How long a channel rests after nothing of a chunk came through: doubled each time, up to the second figure."""

FEW = 3
"""Fewer than so many that fail may be trouble with these numbers alone: no reason to rest while others come through,
and else the rest is short however often it comes."""

WAIT_SECONDS = (0.25, 1.0)
"""How long a lane waits before its next chunk once the provider asked us to slow down: doubled each time that it asks,
halved each time that it does not."""


@dataclass
class Tempo:
    """Told to slow down (429), chunks shrink to half and lanes wait; left alone, they grow again a little at a time."""

    channel: str
    now: Callable[[], float] = time.monotonic
    write_within: float = WRITE_WITHIN_SECONDS[0]
    wait: float = 0.0
    chunk: int = field(init=False)
    _rest: float = REST_SECONDS[0]
    _rests_until: float = 0.0
    _came_through: float = float("-inf")

    def __post_init__(self) -> None:
        self.chunk = self._whole = KINDS[self.channel].chunk

    @property
    def resting(self) -> bool:
        """The provider as a whole did not answer a moment ago."""
        return self._rests_until > self.now()

    @property
    def slowed(self) -> bool:
        """The provider asked us to slow down lately: whatever is more urgent must not wait behind a long batch."""
        return self.wait > 0 or self.chunk < self._whole

    def learn(self, outcomes: Sequence[Outcome], chunk: Sequence[Outcome], *, of: int) -> None:
        """`outcomes` ended together just now; `chunk` are all of their chunk that have ended so far, `of` how many."""
        if any(outcome.kind is Kind.FENCED for outcome in outcomes):
            self.write_within = min(WRITE_WITHIN_SECONDS[1], self.write_within * 2)
        if any(outcome.kind is Kind.LATER and not outcome.down for outcome in outcomes):
            self.chunk = max(1, self.chunk // 2)
            self.wait = min(WAIT_SECONDS[1], max(WAIT_SECONDS[0], self.wait * 2))
        elif any(outcome.kind is Kind.ACCEPTED for outcome in outcomes):
            self.chunk = min(self._whole, self.chunk + 1)
            self.wait = self.wait / 2 if self.wait > WAIT_SECONDS[0] else 0.0
        few = len(chunk) < FEW
        if not all(outcome.down for outcome in outcomes):
            self._came_through = self.now()
        if not all(outcome.down for outcome in chunk):
            self._rest = REST_SECONDS[0]
        elif len(chunk) * 2 < of or (few and self.now() - self._came_through < REST_SECONDS[0]):
            return
        elif not self.resting:  # what was under way when the rest began tells nothing new
            rest = REST_SECONDS[0] if few else self._rest
            self._rests_until = self.now() + rest
            log.warning("%s: the provider cannot be reached; trying again in %.0f s", self.channel, rest)
            self._rest = min(REST_SECONDS[1], rest * 2)
