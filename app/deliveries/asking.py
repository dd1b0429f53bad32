"""Asks the provider how a message goes when no callback has said so: callbacks are lost, and nobody repeats them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import ProviderDown, Providers, Readable
from app.deliveries.callbacks import Received, record_all, shown
from app.deliveries.states import WORTH_ASKING, sql_list
from app.kernel.db import rows
from app.kernel.house import House

log = logging.getLogger("muster.asking")

MOST_TIMES = 8
"""Each wait is twice the one before: from the settling time (a minute) to more than four hours in all, which is as
long as a message is worth sending. Many carriers never tell more than `sent`."""

AT_A_TIME = 200
AT_ONCE = 8

_WORTH = sql_list(WORTH_ASKING)


@dataclass
class Asking:
    """Any number of workers may run it: each message is asked about by the one that claimed it."""

    house: House
    providers: Providers

    async def step(self) -> int:
        """Asks about what is due; returns how many messages the provider told about."""
        readable = {name: found for name, found in self.providers.by_channel.items() if isinstance(found, Readable)}
        if not readable:
            return 0
        now = self.house.clock.now()
        async with self.house.db.begin() as session:
            due = await _claim(session, sorted(readable), now, timedelta(seconds=self.house.settle_seconds))
        few = asyncio.Semaphore(AT_ONCE)

        async def ask(entry: RowMapping) -> list[Received]:
            async with few:
                return await _ask(readable[entry["channel"]], entry)

        answers = [answer for answer in await asyncio.gather(*(ask(entry) for entry in due)) if answer]
        if answers:
            async with self.house.db.begin() as session:
                await record_all(session, self.house, [fact for answer in answers for fact in answer])
        return len(answers)


async def _claim(
    session: AsyncSession, channels: Sequence[str], now: datetime, base: timedelta
) -> Sequence[RowMapping]:
    """Those that are due, each put off to when it would be asked about next."""
    return await rows(
        session,
        f"""WITH due AS (
              SELECT id FROM attempt WHERE ask_at <= :now AND channel = ANY(:channels)
              ORDER BY ask_at LIMIT :limit FOR UPDATE SKIP LOCKED)
            UPDATE attempt a SET asked = a.asked + 1,
                   ask_at = CASE WHEN a.asked + 1 < :most AND a.state IN ({_WORTH})
                     THEN CAST(:now AS timestamptz) + :base * power(2, a.asked + 1) END
            FROM due WHERE a.id = due.id
            RETURNING a.id, a.channel, a.provider_message_id AS sid""",
        {"now": now, "channels": list(channels), "limit": AT_A_TIME, "most": MOST_TIMES, "base": base},
    )


async def _ask(provider: Readable, entry: RowMapping) -> list[Received]:
    try:
        found = await provider.read(entry["sid"])
    except ProviderDown as error:
        log.warning("the provider cannot be asked how messages go (%s); asked again later", error)
        return []
    if found is None:
        log.error("attempt %s: the provider does not know the message that it accepted", entry["id"])
        return []
    return shown(entry["id"], found)
