"""A notice on its way: the same attempts, claims, fences and callbacks as a bulletin's, for one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import telling
from app.deliveries.planning import WHEN_IT_FAILS
from app.deliveries.sending import DISPATCH_JOB
from app.deliveries.status import OVER
from app.directory.audiences import route_parameters, routes_sql
from app.kernel.db import rows, run
from app.kernel.house import House
from app.notices import service as notices
from app.notices.service import Telling

LADDER = ("sms", "email")
"""A notice goes on to the next channel only when the one before it has failed."""

PRIORITY = 1
"""Before every bulletin: few, and somebody waits."""


async def tell(
    session: AsyncSession, house: House,
    *, person_id: int, incident_id: int, kind: str, subject: str, line: str, about: int | None = None,
) -> bool:  # fmt: skip
    """Tells one person something. False when there is no way to reach them."""
    return bool(await tell_all(session, house, [Telling(person_id, incident_id, kind, subject, line, about)]))


async def tell_all(
    session: AsyncSession, house: House, tellings: Sequence[Telling],
    *, gather: timedelta = timedelta(0), not_before: Callable[[int, str, datetime], datetime] | None = None,
) -> dict[tuple[int, int], int]:  # fmt: skip
    """Tells several people something, in as many statements as one: (person, incident) -> the notice that says it.

    Whom nothing reaches is left out. What cannot go out yet, because of the hourly limit or because an earlier notice
    of this kind still waits, joins the notice that waits: for as long as `gather`, so that what comes together is told
    together. `not_before(person_id, channel, moment)` may put off what would otherwise go at a moment.
    """
    if not tellings:
        return {}
    now = house.clock.now()
    await notices.lock_people(session, [one.person_id for one in tellings])
    channels = await _first_channels(session, house, [one.person_id for one in tellings])
    reached = [one for one in tellings if one.person_id in channels]
    waiting = await _waiting(session, reached)
    told: dict[tuple[int, int], int] = {}
    joined: list[tuple[int, str, int | None]] = []
    fresh: list[Telling] = []
    for one in reached:
        there = waiting.get((one.person_id, one.incident_id, one.kind))
        if there is None:
            fresh.append(one)
        else:
            told[one.person_id, one.incident_id] = there
            joined.append((there, one.line, one.about))
    if joined:
        await notices.add_lines(session, joined)
    if fresh:

        def wanted(person_id: int, moment: datetime) -> datetime:
            return not_before(person_id, channels[person_id], moment) if not_before else moment

        made = await notices.make(session, fresh, at=now + gather, now=now, wanted=wanted)
        await _plan(session, house, fresh, made, now=now)
        await house.jobs.defer(session, DISPATCH_JOB, bulletin_id=0)
        for one, (notice_id, _) in zip(fresh, made, strict=True):
            told[one.person_id, one.incident_id] = notice_id
    return told


async def _first_channels(session: AsyncSession, house: House, person_ids: Sequence[int]) -> dict[int, str]:
    """Person -> the channel that a notice to them would leave by first; nobody whom none reaches."""
    found = await rows(
        session,
        f"""WITH mine AS (SELECT id AS person_id FROM person WHERE id = ANY(:people) AND active)
            SELECT DISTINCT ON (r.person_id) r.person_id, r.channel FROM ({routes_sql(among="mine")}) r
            ORDER BY r.person_id, array_position(CAST(:ladder AS text[]), r.channel)""",
        route_parameters(_channels(house), house.countries) | {"people": list(person_ids), "ladder": list(LADDER)},
    )
    return {entry["person_id"]: entry["channel"] for entry in found}


async def _waiting(session: AsyncSession, tellings: Sequence[Telling]) -> dict[tuple[int, int, str], int]:
    """(person, incident, kind) -> the last notice that has not begun to go out."""
    found = await rows(
        session,
        f"""SELECT n.id, n.person_id, n.kind, d.incident_id
           FROM unnest(CAST(:people AS bigint[]), CAST(:incidents AS bigint[]), CAST(:kinds AS text[]))
             AS t (person_id, incident_id, kind)
           JOIN notice n ON n.person_id = t.person_id AND n.kind = t.kind
           JOIN delivery d ON d.notice_id = n.id AND d.incident_id = t.incident_id AND d.cancelled_at IS NULL
           JOIN attempt a ON a.delivery_id = d.id JOIN incident i ON i.id = d.incident_id AND NOT {OVER}
           WHERE a.state = 'queued' AND NOT EXISTS (
               SELECT FROM attempt other WHERE other.delivery_id = d.id AND other.id <> a.id)
             AND (a.lease_until IS NULL OR a.lease_until < clock_timestamp())
           ORDER BY n.id FOR UPDATE OF a SKIP LOCKED""",
        {
            "people": [one.person_id for one in tellings],
            "incidents": [one.incident_id for one in tellings],
            "kinds": [one.kind for one in tellings],
        },
    )
    return {(entry["person_id"], entry["incident_id"], entry["kind"]): entry["id"] for entry in found}


def _channels(house: House) -> list[str]:
    return [channel for channel in LADDER if channel in house.channels]


async def _plan(
    session: AsyncSession, house: House, tellings: Sequence[Telling], made: Sequence[tuple[int, datetime]],
    *, now: datetime,
) -> None:  # fmt: skip
    """The deliveries and their first attempts; the next step waits for that to fail."""
    await run(
        session,
        f"""
        WITH d AS (
          INSERT INTO delivery (notice_id, incident_id, person_id, audience, language, code, code_seq, created_at)
          SELECT t.notice_id, t.incident_id, t.person_id, '', '', '', 0, :now
          FROM unnest(CAST(:notices AS bigint[]), CAST(:incidents AS bigint[]), CAST(:people AS bigint[]))
            AS t (notice_id, incident_id, person_id)
          RETURNING id, person_id, notice_id
        ), r AS MATERIALIZED (
          {routes_sql(among="d")}
        ), step AS (
          SELECT d.id, r.channel, r.address, n.due_at, array_position(CAST(:ladder AS text[]), r.channel) - 1 AS rung,
                 row_number() OVER (
                   PARTITION BY d.id ORDER BY array_position(CAST(:ladder AS text[]), r.channel)) AS place
          FROM d JOIN r ON r.person_id = d.person_id JOIN notice n ON n.id = d.notice_id
        )
        INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                             created_at, updated_at)
        SELECT id, rung, 0, channel, address, 'queued', :priority, due_at, 0, 0, due_at, :now FROM step WHERE place = 1
        """,
        route_parameters(_channels(house), house.countries)
        | {
            "notices": [notice_id for notice_id, _ in made],
            "incidents": [one.incident_id for one in tellings],
            "people": [one.person_id for one in tellings],
            "ladder": list(LADDER), "priority": PRIORITY, "now": now,
        },
    )  # fmt: skip
    await run(
        session,
        """UPDATE delivery d SET next_rung = 1, next_step_at = :never FROM attempt a
           WHERE d.notice_id = ANY(:notices) AND a.delivery_id = d.id AND a.rung = 0""",
        {"notices": [notice_id for notice_id, _ in made], "never": WHEN_IT_FAILS},
    )


async def take_due_steps(session: AsyncSession, house: House, *, now: datetime) -> int:
    """Goes on to email with each notice whose text has failed; returns how many."""
    gone_on = await rows(
        session,
        f"""
        WITH due AS (
          SELECT d.id, d.person_id FROM delivery d JOIN incident i ON i.id = d.incident_id
          JOIN person p ON p.id = d.person_id
          WHERE d.notice_id IS NOT NULL AND d.next_step_at <= :now AND d.cancelled_at IS NULL
            AND NOT {OVER} AND p.active
          ORDER BY d.id LIMIT 500 FOR UPDATE OF d SKIP LOCKED
        ), r AS MATERIALIZED (
          {routes_sql(among="due")}
        ), made AS (
          INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                               created_at, updated_at)
          SELECT due.id, 1, 0, r.channel, r.address, 'queued', :priority, :now, 0, 0, :now, :now
          FROM due JOIN r ON r.person_id = due.person_id AND r.channel = 'email'
          ON CONFLICT (delivery_id, rung, seq) DO NOTHING
        )
        UPDATE delivery d SET next_rung = NULL, next_step_at = NULL FROM due WHERE d.id = due.id RETURNING d.id
        """,
        route_parameters(_channels(house), house.countries) | {"now": now, "priority": PRIORITY},
    )
    if gone_on:
        await telling.hasten(session, [entry["id"] for entry in gone_on], now=now)
    return len(gone_on)
