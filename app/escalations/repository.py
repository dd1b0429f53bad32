"""SQL of the escalations: one statement each for a whole batch, never one for each person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row, rows, run
from app.kernel.locks import Lock


async def alone(session: AsyncSession) -> bool:
    """Whether this transaction is the one that tells; until it ends no other is."""
    found = await row(session, "SELECT pg_try_advisory_xact_lock(:lock) AS ours", {"lock": Lock.TELL.value})
    return bool(found and found["ours"])


async def due(session: AsyncSession, *, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Deliveries whose people have not answered and of whom somebody is to be told now. Locked.

    Whoever is answering, being cancelled or replaced at this moment holds the row: it is looked at again next time.
    """
    return await rows(
        session,
        """
        SELECT d.id AS delivery_id, d.incident_id, d.bulletin_id, s.rung, s.tell, b.number, b.sent_at, i.key,
               i.severity, i.revision_id
        FROM delivery d JOIN ladder_step s ON s.bulletin_id = d.bulletin_id AND s.rung = d.next_tell_rung
        JOIN bulletin b ON b.id = d.bulletin_id JOIN incident i ON i.id = d.incident_id
        JOIN person p ON p.id = d.person_id
        WHERE d.next_tell_at <= :now AND d.response IS NULL AND d.cancelled_at IS NULL
          AND b.state = 'sent' AND i.closed_at IS NULL AND p.active
        ORDER BY d.next_tell_at, d.id LIMIT :limit FOR UPDATE OF d SKIP LOCKED
        """,
        {"now": now, "limit": limit},
    )


async def named(session: AsyncSession, bulletin_ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Bulletin -> (its incident's key, its number)."""
    if not bulletin_ids:
        return {}
    found = await rows(
        session,
        """SELECT b.id, i.key, b.number FROM bulletin b JOIN incident i ON i.id = b.incident_id
           WHERE b.id = ANY(:ids)""",
        {"ids": list(bulletin_ids)},
    )
    return {entry["id"]: (entry["key"], entry["number"]) for entry in found}


async def candidates(
    session: AsyncSession, *, managers: Sequence[int], leads: Sequence[int], commanders: Sequence[int]
) -> Sequence[RowMapping]:
    """(delivery_id, person_id, time_zone): who is to be told about these deliveries, as long as they are still here.

    Managers are the person's own; leads those of the person's department; the commander the incident's present one.
    Nobody is told about themselves.
    """
    return await rows(
        session,
        """
        SELECT found.delivery_id, t.id AS person_id, t.time_zone FROM (
          SELECT d.id AS delivery_id, d.person_id AS silent, p.manager_id AS told
          FROM delivery d JOIN person p ON p.id = d.person_id WHERE d.id = ANY(:managers)
          UNION
          SELECT d.id, d.person_id, l.id
          FROM delivery d JOIN person p ON p.id = d.person_id JOIN department dep ON dep.id = p.department_id
          JOIN account a ON a.role = 'department_lead' AND a.department = dep.name AND a.disabled_at IS NULL
          JOIN person l ON l.employee_id = a.person_employee_id WHERE d.id = ANY(:leads)
          UNION
          SELECT d.id, d.person_id, coalesce(ra.person_id, c.id)
          FROM delivery d JOIN role_assignment ra ON ra.incident_id = d.incident_id
            AND ra.role = 'incident_commander' AND ra.released_at IS NULL
          LEFT JOIN account a ON a.id = ra.account_id LEFT JOIN person c ON c.employee_id = a.person_employee_id
          WHERE d.id = ANY(:commanders)
        ) found JOIN person t ON t.id = found.told AND t.active AND t.id <> found.silent
        """,
        {"managers": list(managers), "leads": list(leads), "commanders": list(commanders)},
    )


async def know(session: AsyncSession, delivery_ids: Sequence[int]) -> set[tuple[int, int]]:
    """(delivery, person) of everybody who was told of these."""
    found = await rows(
        session,
        "SELECT delivery_id, person_id FROM escalation WHERE delivery_id = ANY(:ids)",
        {"ids": list(delivery_ids)},
    )
    return {(entry["delivery_id"], entry["person_id"]) for entry in found}


async def add(session: AsyncSession, told: Sequence[tuple[int, int, str, int, int]], *, now: datetime) -> None:
    """(delivery, rung, tell, person, notice) of each telling. The same two people never come twice."""
    await run(
        session,
        """INSERT INTO escalation (delivery_id, rung, tell, person_id, notice_id, at)
           SELECT e.delivery_id, e.rung, e.tell, e.person_id, e.notice_id, :now
           FROM unnest(CAST(:deliveries AS bigint[]), CAST(:rungs AS int[]), CAST(:tells AS text[]),
                       CAST(:people AS bigint[]), CAST(:notices AS bigint[]))
             AS e (delivery_id, rung, tell, person_id, notice_id)
           ON CONFLICT (delivery_id, person_id) DO NOTHING""",
        {
            "deliveries": [entry[0] for entry in told],
            "rungs": [entry[1] for entry in told],
            "tells": [entry[2] for entry in told],
            "people": [entry[3] for entry in told],
            "notices": [entry[4] for entry in told],
            "now": now,
        },
    )


async def go_on(session: AsyncSession, delivery_ids: Sequence[int], *, at_once: Sequence[int], now: datetime) -> None:
    """Sets who is told next and when: the ladder's time, or now for those of `at_once`."""
    await run(
        session,
        """
        UPDATE delivery d SET next_tell_rung = later.rung,
               next_tell_at = CASE WHEN later.rung IS NULL THEN NULL WHEN d.id = ANY(:at_once) THEN :now
                 ELSE greatest(:now, later.at) END
        FROM delivery again LEFT JOIN LATERAL (
          SELECT s.rung, b.sent_at + make_interval(secs => s.after_seconds) AS at
          FROM ladder_step s JOIN bulletin b ON b.id = s.bulletin_id
          WHERE s.bulletin_id = again.bulletin_id AND s.tell IS NOT NULL AND s.rung > again.next_tell_rung
          ORDER BY s.rung LIMIT 1) later ON true
        WHERE again.id = d.id AND d.id = ANY(:ids)
        """,
        {"ids": list(delivery_ids), "at_once": list(at_once), "now": now},
    )
