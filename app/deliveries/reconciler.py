"""Settles what is unknown: from callbacks (they come by themselves) or from the provider's own list, with a control.

To prove that a message is absent: its unknown call settled long enough; the list of messages to its address is read
and shows no message with its link; and a message that was accepted after the unknown call is in the provider's list,
which proves that the list has caught up; the list is read before and after that. A message whose text was redacted
proves nothing.

Where the list shows no text (phone calls), an entry that belongs to no attempt of ours and began in the unknown call's
time is taken for it, when it is the only one and no other attempt on that number is open; any entry that nobody claims
stands against absence.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Listed, Provider, ProviderDown, Providers, Records
from app.deliveries import handover, repository, service
from app.kernel.db import row, rows
from app.kernel.house import House

log = logging.getLogger("muster.reconciler")

DEADLINE_TIMES_SETTLE = 4
DEADLINE_SECONDS = 270.0
"""An attempt still unknown after this many settling times, and after so many seconds in any case, with its provider
reachable, is uncertain: five minutes, less what a pass takes. Only a longer settling time puts that off."""

AT_A_TIME = 50
AT_ONCE = 8
GIVEN_UP_AT_A_TIME = 1000

SLACK = timedelta(seconds=30)
"""How far from the unknown call's own time an entry without text may lie: a body that follows its headers, whole
seconds, and clocks that are not quite the same."""


@dataclass
class Reconciler:
    """Run by one worker at a time, but for `expire`; each step is safe to repeat."""

    house: House
    providers: Providers
    _last_down: dict[str, float] = field(default_factory=dict)
    """When each channel's provider was last found unreachable, by this process's own clock."""
    _answers: dict[str, bool] = field(default_factory=dict)
    """Which provider whose list cannot be read answers otherwise; asked once in each pass."""
    _passed: int = 0
    """The last attempt looked at: where many cannot be settled yet, the others have their turn too."""

    @property
    def more(self) -> bool:
        """Whether the last pass left some for the next one."""
        return self._passed > 0

    async def expire(self) -> int:
        """Takes from silent workers what they were handing over; returns how many attempts.

        Every worker does, and waits for nobody's turn: the silent one may be whose turn it was to reconcile.
        """
        async with self.house.db.begin() as session:
            expired = await handover.expire_leases(
                session, now=self.house.clock.now(), noted=self.providers.without_records
            )
            await service.tell_boards(session, expired)
        return len(expired)

    async def step(self) -> int:
        """One pass. Returns how many attempts moved."""
        expired = await self.expire()
        self._answers.clear()
        now = self.house.clock.now()
        settle = timedelta(seconds=self.house.settle_seconds)
        async with self.house.db.begin() as session:
            due = await rows(
                session,
                """SELECT a.id, a.delivery_id, a.channel, a.address, a.handed_over_at, a.write_by, a.unknown_since
                   FROM attempt a JOIN delivery d ON d.id = a.delivery_id
                   WHERE a.state = 'unknown' AND a.unknown_since <= :settled AND a.id > :passed
                   ORDER BY a.id LIMIT :limit""",
                {"settled": now - settle, "limit": AT_A_TIME, "passed": self._passed},
            )
        self._passed = due[-1]["id"] if len(due) == AT_A_TIME else 0
        few = asyncio.Semaphore(AT_ONCE)

        async def settle_one(entry: dict[str, Any]) -> int:
            async with few:
                return await self._settle_one(entry)

        moved = await asyncio.gather(*(settle_one(dict(entry)) for entry in due))
        return expired + sum(moved) + await self._give_up_on_the_rest()

    async def _give_up_on_the_rest(self) -> int:
        """Those whose turn did not come within the deadline, because so many are unknown, are uncertain too.

        Comes after a pass, which finds out whether a provider is unreachable: nothing of its channel is given up.
        """
        longest = max(DEADLINE_SECONDS, self.house.settle_seconds)
        down = [channel for channel, at in self._last_down.items() if time.monotonic() - at < longest]
        now = self.house.clock.now()
        total = 0
        while True:
            async with self.house.db.begin() as session:
                late = await rows(
                    session,
                    """SELECT id FROM attempt WHERE state = 'unknown' AND unknown_since <= :late
                         AND channel <> ALL(:down) ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED""",
                    {"late": now - timedelta(seconds=longest), "down": down, "limit": GIVEN_UP_AT_A_TIME},
                )
                await service.give_up_on(session, [entry["id"] for entry in late], now=now)
            total += len(late)
            if len(late) < GIVEN_UP_AT_A_TIME:
                return total

    async def _settle_one(self, entry: dict[str, Any]) -> int:
        provider = self.providers.by_channel.get(entry["channel"])
        if isinstance(provider, Records):
            try:
                settled = await self._look(provider, entry)
            except ProviderDown as error:
                if not await self._answers_at_all(provider, entry["channel"]):
                    log.warning("the provider's list cannot be read (%s); unknown sends wait", error)
                    self._last_down[entry["channel"]] = time.monotonic()
                    return 0
                log.warning("the provider answers, but its list cannot be read (%s)", error)
                settled = False
            if settled:
                return 1
        now = self.house.clock.now()
        # Without records nothing can ever be proven about this channel: waiting longer helps nobody.
        times = DEADLINE_TIMES_SETTLE if isinstance(provider, Records) else 1
        waited = (now - entry["unknown_since"]).total_seconds()
        if (down := self._last_down.get(entry["channel"])) is not None:
            waited = min(waited, time.monotonic() - down)
        settle = self.house.settle_seconds
        if waited < min(times * settle, max(DEADLINE_SECONDS, settle)):
            return 0
        async with self.house.db.begin() as session:
            await service.give_up_on(session, [entry["id"]], now=now)
        return 1

    async def _answers_at_all(self, provider: Provider, channel: str) -> bool:
        """Whether a provider whose list fails is there: then its list may fail for ever, and waiting has an end."""
        if channel not in self._answers:
            self._answers[channel] = (await provider.check()).ok
        return self._answers[channel]

    async def _look(self, provider: Records, entry: dict[str, Any]) -> bool:
        """Whether the list settled it. Raises ProviderDown.

        It is read before and after the control: a list that was fresh a moment ago may be served stale, and one that
        was stale may have caught up, so a message counts as absent only when both lack it.
        """
        texts = provider.capabilities.shows_text
        if await self._judge(entry, await provider.sent_to(entry["address"]), control=False, texts=texts):
            return True
        if not await self._control(provider, entry):
            return False
        return await self._judge(entry, await provider.sent_to(entry["address"]), control=True, texts=texts)

    async def _judge(self, entry: dict[str, Any], listed: Sequence[Listed], *, control: bool, texts: bool) -> bool:
        async with self.house.db.begin() as session:
            # Judged by another worker meanwhile, it may have been tried again, and what the list shows is that try's.
            if not await repository.still_unknown(session, entry["id"]):
                return True
            known = {
                found["sid"]
                for found in await rows(
                    session,
                    "SELECT provider_message_id AS sid FROM attempt WHERE provider_message_id = ANY(:sids)",
                    {"sids": [message.provider_message_id for message in listed]},
                )
            }
            fresh = [message for message in listed if message.provider_message_id not in known]
            found, unclear = self._by_link(entry, fresh) if texts else await self._by_time(session, entry, fresh)
            if found is not None:
                await service.prove_sent(session, self.house, entry["id"], found)
                return True
            if unclear or not control:
                return False
            return await service.prove_absent(session, entry["id"], now=self.house.clock.now())

    def _by_link(self, entry: dict[str, Any], fresh: Sequence[Listed]) -> tuple[Listed | None, bool]:
        """(the entry whose text holds this delivery's link, whether one might be it whose text is not shown)."""
        token = self.house.signer.link_token(entry["delivery_id"])
        found = next((message for message in fresh if token in message.body), None)
        return found, any(not message.body for message in fresh)

    async def _by_time(
        self, session: AsyncSession, entry: dict[str, Any], fresh: Sequence[Listed]
    ) -> tuple[Listed | None, bool]:
        """(the one entry that must be this attempt's, whether there is any that nobody claims)."""
        since, until = entry["handed_over_at"] - SLACK, entry["write_by"] + SLACK
        then = [message for message in fresh if message.created_at and since <= message.created_at <= until]
        if len(then) != 1:
            return None, bool(fresh)
        rival = await row(
            session,
            """SELECT 1 AS one FROM attempt WHERE channel = :channel AND address = :address AND id <> :id
                 AND state IN ('handing_over', 'unknown', 'uncertain') AND handed_over_at <= :until
                 AND write_by >= :since LIMIT 1""",
            {
                "channel": entry["channel"], "address": entry["address"], "id": entry["id"], "since": since - SLACK,
                "until": until + SLACK,
            },
        )  # fmt: skip
        return (None, True) if rival else (then[0], False)

    async def _control(self, provider: Records, entry: dict[str, Any]) -> bool:
        """Whether a message accepted after the unknown call is in the provider's list."""
        async with self.house.db.begin() as session:
            later = await row(
                session,
                """SELECT address, provider_message_id AS sid FROM attempt
                   WHERE channel = :channel AND accepted_at > :after AND handed_over_at > :after
                     AND provider_message_id IS NOT NULL ORDER BY accepted_at LIMIT 1""",
                {"channel": entry["channel"], "after": entry["write_by"]},
            )
        if later is None:
            return False
        shown = await provider.sent_to(later["address"])
        return any(message.provider_message_id == later["sid"] for message in shown)
