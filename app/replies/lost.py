"""Texts that reached the carrier while we were down: found again in its own list, by their SIDs, and taken late."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.channels.port import Inbox, ProviderDown, Providers
from app.kernel.house import House
from app.replies import repository, service
from app.replies.models import Inbound

log = logging.getLogger("muster.lost")

LOOK_BACK = timedelta(hours=24)
"""Older texts than this stay with the carrier."""

OVERLAP = timedelta(minutes=15)
"""How far each round looks back behind the one before: a carrier's list may lag."""

ON_ITS_WAY = timedelta(seconds=20)
"""A carrier waits 15 s for our answer, so a younger text may still be in our own queue."""


@dataclass
class LostTexts:
    """Run by one worker at a time, every minute; each step is safe to repeat."""

    house: House
    providers: Providers
    _read_until: datetime | None = None

    async def step(self) -> int:
        """Takes every text that the carrier has and we lack; returns how many.

        One younger than the settling time may still be on its way to us. Before the first bulletin went out there is
        nothing that anybody could have answered.
        """
        provider = self.providers.by_channel.get("sms")
        if not isinstance(provider, Inbox):
            return 0
        now = self.house.clock.now()
        async with self.house.db.begin() as session:
            first = await repository.first_sent(session)
        if first is None:
            return 0
        since = max(first - timedelta(seconds=1), now - LOOK_BACK)  # their records count whole seconds
        try:
            if self._read_until is not None:
                since = max(since, self._read_until - OVERLAP)
            received = await provider.received(since=since)
        except ProviderDown as error:
            log.warning("the provider's list of incoming texts cannot be read (%s)", error)
            return 0
        until = now - max(ON_ITS_WAY, timedelta(seconds=self.house.settle_seconds))
        there = {text.sid: text for text in received if since <= text.at <= until}
        async with self.house.db.begin() as session:
            known = await repository.known_sids(session, list(there))
        lost = sorted((text for sid, text in there.items() if sid not in known), key=lambda text: text.at)
        taken, failed = 0, False
        for text in lost:
            try:
                media = tuple(await provider.media_of(text.sid)) if text.media else ()
                inbound = Inbound(text.sid, text.sender, text.body, media=media, found_at=text.at)
                async with self.house.db.begin() as session:
                    taken += await service.receive_late(session, self.house, inbound)
            except Exception as error:  # one that cannot be taken must not cost the others; it is tried again next time
                failed = True
                log.error("incoming text %s could not be taken: %s: %s", text.sid, type(error).__name__, error)
        if taken:
            texts = "1 incoming text" if taken == 1 else f"{taken} incoming texts"
            log.warning("%s had not reached us; found in the provider's list", texts)
        if not failed:
            self._read_until = until
        return taken
