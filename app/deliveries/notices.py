"""A notice on its way: the same attempts, claims, fences and callbacks as a bulletin's, for one person."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.sending import DISPATCH_JOB
from app.directory.audiences import route_parameters, routes_sql
from app.kernel.db import row, run
from app.kernel.house import House
from app.notices import service as notices

LADDER = ("sms", "email")
"""A notice goes on to the next channel only when the one before it has failed."""

PRIORITY = 1
"""Before every bulletin: few, and somebody waits."""

_WHEN_IT_FAILS = datetime(9999, 1, 1, tzinfo=UTC)


async def tell(
    session: AsyncSession, house: House,
    *, person_id: int, incident_id: int, kind: str, subject: str, line: str, about: int | None = None,
) -> bool:  # fmt: skip
    """Tells one person something. False when there is no way to reach them.

    What cannot go out yet, because of the hourly limit or because an earlier notice of this kind still waits, joins
    the notice that waits.
    """
    now = house.clock.now()
    await notices.lock_person(session, person_id)
    if not await _reachable(session, house, person_id):
        return False
    waiting = await row(
        session,
        """SELECT n.id FROM notice n JOIN delivery d ON d.notice_id = n.id JOIN attempt a ON a.delivery_id = d.id
           WHERE n.person_id = :person AND n.kind = :kind AND d.incident_id = :incident AND d.cancelled_at IS NULL
             AND a.state = 'queued' AND a.rung = 0 AND a.seq = 0
             AND (a.lease_until IS NULL OR a.lease_until < clock_timestamp())
           ORDER BY n.id DESC LIMIT 1 FOR UPDATE OF a SKIP LOCKED""",
        {"person": person_id, "kind": kind, "incident": incident_id},
    )
    if waiting:
        await notices.add_line(session, waiting["id"], line=line, about=about)
        return True
    notice_id, due = await notices.make(
        session, person_id=person_id, kind=kind, subject=subject, line=line, about=about, now=now
    )
    await _plan(session, house, notice_id=notice_id, person_id=person_id, incident_id=incident_id, now=now, due=due)
    await house.jobs.defer(session, DISPATCH_JOB, bulletin_id=0)
    return True


async def _reachable(session: AsyncSession, house: House, person_id: int) -> bool:
    return bool(
        await row(
            session,
            f"""WITH mine AS (SELECT id AS person_id FROM person WHERE id = :person AND active)
                SELECT 1 AS one FROM ({routes_sql(among="mine")}) r LIMIT 1""",
            route_parameters(_channels(house), house.countries) | {"person": person_id},
        )
    )


def _channels(house: House) -> list[str]:
    return [channel for channel in LADDER if channel in house.channels]


async def _plan(
    session: AsyncSession, house: House,
    *, notice_id: int, person_id: int, incident_id: int, now: datetime, due: datetime,
) -> None:  # fmt: skip
    """The delivery and its first attempt; the next step waits for that to fail."""
    await run(
        session,
        f"""
        WITH d AS (
          INSERT INTO delivery (notice_id, incident_id, person_id, audience, language, code, code_seq, created_at)
          VALUES (:notice, :incident, :person, '', '', '', 0, :now) RETURNING id, person_id
        ), r AS MATERIALIZED (
          {routes_sql(among="d")}
        ), step AS (
          SELECT d.id, r.channel, r.address, array_position(CAST(:ladder AS text[]), r.channel) - 1 AS rung,
                 row_number() OVER (ORDER BY array_position(CAST(:ladder AS text[]), r.channel)) AS place
          FROM d JOIN r ON r.person_id = d.person_id
        )
        INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                             created_at, updated_at)
        SELECT id, rung, 0, channel, address, 'queued', :priority, :due, 0, 0, :due, :now FROM step WHERE place = 1
        """,
        route_parameters(_channels(house), house.countries)
        | {
            "notice": notice_id, "incident": incident_id, "person": person_id, "ladder": list(LADDER),
            "priority": PRIORITY, "now": now, "due": due,
        },
    )  # fmt: skip
    await run(
        session,
        """UPDATE delivery d SET next_rung = 1, next_step_at = :never FROM attempt a
           WHERE d.notice_id = :notice AND a.delivery_id = d.id AND a.rung = 0""",
        {"notice": notice_id, "never": _WHEN_IT_FAILS},
    )


async def take_due_steps(session: AsyncSession, house: House, *, now: datetime) -> int:
    """Goes on to email with each notice whose text has failed; returns how many."""
    return await run(
        session,
        f"""
        WITH due AS (
          SELECT d.id, d.person_id FROM delivery d JOIN incident i ON i.id = d.incident_id
          JOIN person p ON p.id = d.person_id
          WHERE d.notice_id IS NOT NULL AND d.next_step_at <= :now AND d.cancelled_at IS NULL
            AND i.closed_at IS NULL AND p.active
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
        UPDATE delivery d SET next_rung = NULL, next_step_at = NULL FROM due WHERE d.id = due.id
        """,
        route_parameters(_channels(house), house.countries) | {"now": now, "priority": PRIORITY},
    )
