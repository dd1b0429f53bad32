"""Tells the operator of Muster's own trouble: once for each cause, and once more when it is over.

Goes straight to the providers, never through the bulletins' queue: that may be what is in trouble. What was said is
in the database, so that neither a restart nor another process says it again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Kind, Outcome, Outgoing, Provider, Providers
from app.kernel.db import rows, run
from app.kernel.house import House
from app.kernel.logs import redact
from app.readiness import rules
from app.readiness.measure import measure

log = logging.getLogger("muster.alarms")

SEND_SECONDS = 40.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 60, 3600
MOST_TRIES = 24
VALID_SECONDS = 3600


@dataclass(frozen=True)
class Ways:
    """Who hears of Muster's own trouble."""

    email: str | None = None
    sms: str | None = None
    heartbeat_url: str | None = None

    @property
    def addresses(self) -> dict[str, str]:
        return {way: address for way, address in (("email", self.email), ("sms", self.sms)) if address}


class Alarms:
    def __init__(self, house: House, providers: Providers, ways: Ways) -> None:
        self.house = house
        self.providers = providers
        self.ways = ways

    async def step(self) -> None:
        """Measures, records what began and what is over, and tells what is to be told."""
        facts = await measure(self.house)
        now = self.house.clock.now()
        async with self.house.db.begin() as session:
            await self._compare(session, facts, now)
        await self.tell()

    async def _compare(self, session: AsyncSession, facts: rules.Facts, now: datetime) -> None:
        holding = rules.causes(facts)
        keys = [cause.key for cause in holding]
        await run(
            session,
            """INSERT INTO alarm (cause, detail, drill, opened_at, seen_at)
               SELECT c.cause, c.detail, c.drill, :now, :now
               FROM unnest(CAST(:causes AS text[]), CAST(:details AS text[]), CAST(:drills AS boolean[]))
                 AS c (cause, detail, drill)
               ON CONFLICT (cause) WHERE resolved_at IS NULL DO UPDATE
               SET detail = excluded.detail, seen_at = excluded.seen_at""",
            {
                "now": now, "causes": keys, "details": [redact(cause.detail) for cause in holding],
                "drills": [cause.drill for cause in holding],
            },
        )  # fmt: skip
        alarms = [
            rules.Open(entry["cause"], entry["opened_at"], entry["seen_at"], entry["announced_at"])
            for entry in await rows(
                session,
                "SELECT cause, opened_at, seen_at, announced_at FROM alarm WHERE resolved_at IS NULL FOR UPDATE",
            )
        ]
        ended = rules.over(alarms, keys, rules.undecided(facts), now)
        told = [
            (entry["cause"], entry["announced_at"])
            for entry in await rows(
                session, "SELECT cause, announced_at FROM alarm WHERE announced_at > :since",
                {"since": now - rules.WINDOW},
            )
        ]  # fmt: skip
        due = rules.to_announce(alarms, keys, told, now)
        # What nobody was told of need not be told to be over either.
        await run(
            session, "DELETE FROM alarm WHERE cause = ANY(:ended) AND resolved_at IS NULL AND announced_at IS NULL",
            {"ended": ended},
        )  # fmt: skip
        await run(
            session, "UPDATE alarm SET resolved_at = :now WHERE cause = ANY(:ended) AND resolved_at IS NULL",
            {"ended": ended, "now": now},
        )  # fmt: skip
        await run(
            session, "UPDATE alarm SET announced_at = :now WHERE cause = ANY(:due) AND resolved_at IS NULL",
            {"due": due, "now": now},
        )  # fmt: skip
        ways = list(self.ways.addresses)
        await run(
            session,
            """INSERT INTO alarm_telling (alarm_id, over, way, tries, next_try_at)
               SELECT a.id, false, w.way, 0, :now FROM alarm a CROSS JOIN unnest(CAST(:ways AS text[])) AS w (way)
               WHERE a.resolved_at IS NULL AND a.cause = ANY(:due) ON CONFLICT DO NOTHING""",
            {"due": due, "now": now, "ways": ways},
        )
        # That it is over is told to those who heard that it began.
        await run(
            session,
            """INSERT INTO alarm_telling (alarm_id, over, way, tries, next_try_at)
               SELECT a.id, true, t.way, 0, :now FROM alarm a JOIN alarm_telling t ON t.alarm_id = a.id
               WHERE a.resolved_at > :now - interval '1 day' AND NOT t.over AND t.told_at IS NOT NULL
                 AND t.way = ANY(:ways) ON CONFLICT DO NOTHING""",
            {"now": now, "ways": ways},
        )
        for cause in holding:
            if cause.key in due:
                log.error("alarm: %s", cause.detail)
        for alarm in alarms:
            if alarm.cause in ended and alarm.announced_at is not None:
                log.warning("alarm over: %s", rules.headline(alarm.cause))

    async def tell(self) -> int:
        """Sends what is due by every way that is set up; returns how many were taken."""
        async with self.house.db.begin() as session:
            claimed = await rows(
                session,
                """UPDATE alarm_telling t SET tries = t.tries + 1,
                     next_try_at = :now + make_interval(secs => least(:longest, :first * power(2, t.tries)))
                   FROM alarm a
                   WHERE a.id = t.alarm_id AND t.told_at IS NULL AND t.next_try_at <= :now AND t.tries < :most
                     AND (t.over OR a.resolved_at IS NULL) AND t.way = ANY(:ways)
                   RETURNING t.alarm_id, t.over, t.way, t.tries,
                             a.cause, a.detail, a.drill, a.opened_at, a.resolved_at""",
                {
                    "now": self.house.clock.now(), "first": FIRST_RETRY_SECONDS, "longest": LONGEST_RETRY_SECONDS,
                    "most": MOST_TRIES, "ways": list(self.ways.addresses),
                },
            )  # fmt: skip
        taken = await asyncio.gather(*(self._tell(entry) for entry in claimed))
        return sum(taken)

    async def _tell(self, entry: RowMapping) -> bool:
        provider = self.providers.by_channel.get(entry["way"])
        if provider is None:
            return False
        outcome = await self._send(provider, entry)
        # An outcome that is not known is tried once more: heard twice is better than not at all, and twice is enough.
        if outcome.kind is not Kind.ACCEPTED and not (outcome.kind is Kind.UNKNOWN and entry["tries"] > 1):
            log.warning("an alarm could not be told by %s, trying again: %s", entry["way"], outcome.reason)
            return False
        async with self.house.db.begin() as session:
            values = {"id": entry["alarm_id"], "over": entry["over"], "way": entry["way"],
                      "now": self.house.clock.now()}  # fmt: skip
            await run(
                session,
                "UPDATE alarm_telling SET told_at = :now WHERE alarm_id = :id AND over = :over AND way = :way",
                values,
            )
            await run(session, "UPDATE alarm SET told_at = coalesce(told_at, :now) WHERE id = :id", values)
        return True

    async def _send(self, provider: Provider, entry: RowMapping) -> Outcome:
        """One message by one way. Never raises."""
        place = urlsplit(self.house.base_url).hostname or "this installation"
        if entry["over"]:
            said = rules.text_over(
                entry["cause"], entry["opened_at"], entry["resolved_at"], place=place, drill=entry["drill"]
            )
        else:
            said = rules.text(entry["detail"], place=place, drill=entry["drill"])
        subject = f"Muster alarm{' over' if entry['over'] else ''}: {rules.headline(entry['cause'])}"
        message = Outgoing(
            attempt_id=0,
            # The same for every try, so that mail servers that fold repetitions can.
            token=f"alarm-{entry['alarm_id']}-{int(entry['opened_at'].timestamp())}{'-over' if entry['over'] else ''}",
            to=self.ways.addresses[entry["way"]],
            text=said,
            subject=f"DRILL: {subject} DRILL" if entry["drill"] else subject,
            validity_seconds=VALID_SECONDS,
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await provider.send(message, lambda: True)
        except TimeoutError:
            return Outcome(Kind.UNKNOWN, reason="no answer in time")
