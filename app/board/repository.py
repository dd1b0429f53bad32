"""SQL of the board: one statement whatever the number of recipients."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.planning import WHEN_IT_FAILS_SQL
from app.deliveries.status import ATTEMPT_SUMMARY, GONE, STATUS
from app.deliveries.telling import HOW_TOLD
from app.kernel.db import row, rows

_TARGET = """
  SELECT b.id, b.number, b.stage, b.asks, b.state, b.sent_at, i.id AS incident_id, i.simulated, i.drill,
         (SELECT count(*) FROM help_request h WHERE h.incident_id = i.id AND h.closed_at IS NULL) AS open_help,
         (SELECT count(*) FROM field_report f WHERE f.incident_id = i.id AND f.maybe_help
            AND f.help_settled_at IS NULL) AS possible_help
  FROM bulletin b JOIN incident i ON i.id = b.incident_id
"""

_BOARD = f"""
  mine AS MATERIALIZED (SELECT d.* FROM delivery d WHERE d.bulletin_id = (SELECT id FROM target)),
  tried AS MATERIALIZED (
    SELECT a.delivery_id, a.channel, a.state, mine.person_id,
           CASE WHEN a.state = 'queued' AND a.held_until = a.not_before AND mine.response IS NULL
             AND mine.cancelled_at IS NULL THEN a.held_until END AS waits_until
    FROM attempt a JOIN mine ON mine.id = a.delivery_id
  ),
  s AS ({ATTEMPT_SUMMARY.replace("FROM attempt a", "FROM tried a")} GROUP BY a.delivery_id),
  perhaps_gone AS (
    SELECT p.id, p.active, p.updated_at, p.created_at FROM person p WHERE NOT p.active OR p.updated_at > (
      SELECT i.closed_at FROM target JOIN incident i ON i.id = target.incident_id)
  ),
  each_one AS (
    SELECT dep.name AS department, {STATUS} AS status
    FROM mine d LEFT JOIN perhaps_gone p ON p.id = d.person_id JOIN person_version v ON v.id = d.person_version_id
    JOIN department dep ON dep.id = v.department_id
    JOIN incident i ON i.id = d.incident_id LEFT JOIN s ON s.delivery_id = d.id
  ),
  departments AS (SELECT department, status, count(*) AS people FROM each_one GROUP BY 1, 2),
  channels AS (SELECT channel, state, count(*) AS attempts FROM tried GROUP BY 1, 2),
  running AS (
    SELECT target.id FROM target JOIN incident i ON i.id = target.incident_id
    WHERE target.state = 'sent' AND i.closed_at IS NULL
  ),
  coming AS (
    SELECT l.channel AS step, m.next_step_at AS at FROM mine m JOIN person p ON p.id = m.person_id AND p.active
    JOIN ladder_step l ON l.bulletin_id = m.bulletin_id AND l.rung = m.next_rung
    WHERE m.response IS NULL AND m.cancelled_at IS NULL AND m.next_step_at < {WHEN_IT_FAILS_SQL}
    UNION ALL
    SELECT 'tell ' || l.tell, m.next_tell_at FROM mine m JOIN person p ON p.id = m.person_id AND p.active
    JOIN ladder_step l ON l.bulletin_id = m.bulletin_id AND l.rung = m.next_tell_rung
    WHERE m.response IS NULL AND m.cancelled_at IS NULL
    UNION ALL
    SELECT a.channel, a.waits_until FROM tried a JOIN person p ON p.id = a.person_id AND p.active
    WHERE a.waits_until IS NOT NULL
  ),
  steps AS (
    SELECT step, min(at) AS at, count(*) AS people FROM coming WHERE EXISTS (SELECT FROM running) GROUP BY step
  )
  SELECT target.*, clock_timestamp() AS as_of,
         (SELECT count(*) FROM inbound_message m
          WHERE m.incident_id = target.incident_id AND m.outcome = 'reaction') AS reactions,
         (SELECT coalesce(jsonb_agg(to_jsonb(departments)), '[]') FROM departments) AS departments,
         (SELECT coalesce(jsonb_agg(to_jsonb(channels)), '[]') FROM channels) AS channels,
         (SELECT coalesce(jsonb_agg(to_jsonb(steps) ORDER BY at, step), '[]') FROM steps) AS coming
  FROM target
"""


async def board(session: AsyncSession, key: str, number: int) -> RowMapping | None:
    """Counts by department and status, attempts by channel and state, what comes next, in one statement."""
    return await row(
        session,
        f"WITH target AS ({_TARGET} WHERE i.key = :key AND b.number = :number), {_BOARD}",
        {"key": key, "number": number},
    )


async def latest_board(session: AsyncSession, key: str) -> RowMapping | None:
    """The same for the incident's last bulletin that went out."""
    return await row(
        session,
        f"""WITH target AS ({_TARGET} WHERE i.key = :key AND b.sent_at IS NOT NULL
            ORDER BY b.number DESC LIMIT 1), {_BOARD}""",
        {"key": key},
    )


async def recipients(
    session: AsyncSession,
    bulletin_id: int,
    *, statuses: Sequence[str] | None, department: str | None, q: str | None, person_id: str | None,
    after: int | None, limit: int,
) -> Sequence[RowMapping]:  # fmt: skip
    """People of a sent bulletin with their status and every attempt, in the order of their deliveries."""
    return await rows(
        session,
        f"""
        WITH each_one AS (
          SELECT d.id, d.response, d.responded_via, d.responded_at, d.next_rung, d.next_step_at, d.next_tell_rung,
                 d.next_tell_at, d.unreachable_reason, d.cancel_reason, d.audience, d.bulletin_id,
                 p.id AS person_id, p.employee_id, v.name, v.title, v.site, v.manager_id, d.created_at,
                 {GONE} AS gone,
                 dep.name AS department, dep.key AS department_key, {STATUS} AS status
          FROM delivery d JOIN person p ON p.id = d.person_id JOIN person_version v ON v.id = d.person_version_id
          JOIN department dep ON dep.id = v.department_id
          JOIN incident i ON i.id = d.incident_id
          LEFT JOIN ({ATTEMPT_SUMMARY} JOIN delivery x ON x.id = a.delivery_id
                     WHERE x.bulletin_id = :bulletin GROUP BY a.delivery_id) s ON s.delivery_id = d.id
          WHERE d.bulletin_id = :bulletin
        ), chosen AS (
          SELECT * FROM each_one e
          WHERE (CAST(:statuses AS text[]) IS NULL OR e.status = ANY(CAST(:statuses AS text[])))
            AND (CAST(:department AS text) IS NULL OR e.department_key = :department)
            AND (CAST(:person AS text) IS NULL OR e.employee_id = :person)
            AND (CAST(:q AS text) IS NULL OR position(lower(:q) IN lower(
              concat_ws(' ', e.name, e.employee_id, e.title, e.site, e.department))) > 0)
            AND (CAST(:after AS bigint) IS NULL OR e.id > :after)
          ORDER BY e.id LIMIT :limit
        )
        SELECT c.*, l.channel AS next_channel, t.tell AS next_tell,
          (SELECT jsonb_build_object('person_id', mp.employee_id, 'name', mv.name)
           FROM person mp JOIN person_version mv ON mv.person_id = mp.id
           WHERE mp.id = c.manager_id AND mv.since <= greatest(c.created_at, mp.created_at)
           ORDER BY mv.id DESC LIMIT 1) AS manager,
          (SELECT min(x.since) FROM suppression x JOIN contact_point cp ON cp.address = x.address
           WHERE cp.person_id = c.person_id AND x.channel = 'sms' AND x.reason = 'opted_out') AS opted_out_since,
          (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'tell', e.tell, 'name', tv.name, 'at', e.at, 'waits_until', how.waits_until, 'failed', how.failed)
             ORDER BY e.at, e.id), '[]')
           FROM escalation e JOIN delivery td ON td.notice_id = e.notice_id
           JOIN person_version tv ON tv.id = td.person_version_id
           LEFT JOIN LATERAL ({HOW_TOLD}) how ON true
           WHERE e.delivery_id = c.id) AS told,
          (SELECT coalesce(jsonb_agg(jsonb_build_object(
             'channel', a.channel, 'address', a.address, 'state', a.state, 'error_code', a.error_code,
             'reason', a.reason, 'not_before', a.not_before, 'held_until', a.held_until, 'created_at', a.created_at,
             'provider_message_id', a.provider_message_id,
             'handed_over_at', a.handed_over_at, 'accepted_at', a.accepted_at, 'updated_at', a.updated_at)
             ORDER BY a.rung, a.seq), '[]')
           FROM attempt a WHERE a.delivery_id = c.id) AS attempts
        FROM chosen c
        LEFT JOIN ladder_step l ON l.bulletin_id = c.bulletin_id AND l.rung = c.next_rung
          AND c.next_step_at < {WHEN_IT_FAILS_SQL}
        LEFT JOIN ladder_step t ON t.bulletin_id = c.bulletin_id AND t.rung = c.next_tell_rung
        ORDER BY c.id
        """,
        {
            "bulletin": bulletin_id, "statuses": list(statuses) if statuses is not None else None,
            "department": department, "q": q, "person": person_id, "after": after, "limit": limit,
        },
    )  # fmt: skip


async def answers_over_time(session: AsyncSession, bulletin_id: int) -> Sequence[RowMapping]:
    """When each person first answered, folded to at most one row a second: (at, people)."""
    return await rows(
        session,
        """
        SELECT date_trunc('second', first) AS at, count(*) AS people FROM (
          SELECT min(a.at) AS first FROM acknowledgment a JOIN delivery d ON d.id = a.delivery_id
          WHERE d.bulletin_id = :bulletin GROUP BY a.delivery_id) answered
        GROUP BY 1 ORDER BY 1
        """,
        {"bulletin": bulletin_id},
    )
