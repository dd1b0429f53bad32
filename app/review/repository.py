"""SQL of the review: each part of the record in one statement, whatever the number of people. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.states import PROVIDER_STATUSES, State
from app.deliveries.status import ATTEMPT_SUMMARY, GONE, STATUS
from app.deliveries.telling import HOW_TOLD
from app.kernel.db import row, rows, run

_RECEIPTS = ", ".join(
    f"'{word}'" for word, known in sorted(PROVIDER_STATUSES.items()) if known.state in (State.DELIVERED, State.READ)
)


async def freeze(session: AsyncSession) -> None:
    """Every later statement of this transaction sees the same moment. Must be its first statement."""
    await run(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    # What was read is put together in the middle of it, and nothing is locked meanwhile.
    await run(session, "SET LOCAL idle_in_transaction_session_timeout = '10min'")


async def roles(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """Everybody who held a role, in order."""
    return await rows(
        session,
        """SELECT r.role, r.assumed_at, r.released_at, p.employee_id AS person_id, coalesce(v.name, a.name) AS name
           FROM role_assignment r LEFT JOIN person p ON p.id = r.person_id
           LEFT JOIN person_version v ON v.id = r.person_version_id LEFT JOIN account a ON a.id = r.account_id
           WHERE r.incident_id = :incident ORDER BY r.assumed_at, r.id""",
        {"incident": incident_id},
    )


async def bulletins(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """Every bulletin with the names of its author and sender."""
    return await rows(
        session,
        """SELECT b.*, c.name AS drafted_by_name, s.name AS sent_by_name
           FROM bulletin b JOIN account c ON c.id = b.created_by LEFT JOIN account s ON s.id = b.sent_by
           WHERE b.incident_id = :incident ORDER BY b.number""",
        {"incident": incident_id},
    )


async def approvals(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """(bulletin_id, name, role, at) of every approval."""
    return await rows(
        session,
        """SELECT v.bulletin_id, a.name, v.role, v.at
           FROM approval v JOIN account a ON a.id = v.account_id JOIN bulletin b ON b.id = v.bulletin_id
           WHERE b.incident_id = :incident ORDER BY v.id""",
        {"incident": incident_id},
    )


async def messages(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """Every rendered message, with how many people's provider took it."""
    return await rows(
        session,
        """
        SELECT m.bulletin_id, m.audience, m.channel, m.language, m.subject, m.text, b.asks,
               coalesce(used.people, 0) AS people
        FROM message m JOIN bulletin b ON b.id = m.bulletin_id
        LEFT JOIN (
          SELECT d.bulletin_id, d.audience, a.channel, coalesce(own.language, '') AS language,
                 count(DISTINCT d.id) AS people
          FROM delivery d JOIN attempt a ON a.delivery_id = d.id AND a.accepted_at IS NOT NULL
          LEFT JOIN message own ON own.bulletin_id = d.bulletin_id AND own.audience = d.audience
            AND own.channel = a.channel AND own.language = d.language
          WHERE d.incident_id = :incident GROUP BY 1, 2, 3, 4
        ) used ON used.bulletin_id = m.bulletin_id AND used.audience = m.audience AND used.channel = m.channel
          AND used.language = m.language
        WHERE b.incident_id = :incident ORDER BY b.number, m.id
        """,
        {"incident": incident_id},
    )


async def recipients(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """Everybody of every sent bulletin: status, every attempt with its receipt, every answer; in one statement."""
    return await rows(
        session,
        f"""
        WITH mine AS MATERIALIZED (SELECT d.* FROM delivery d WHERE d.incident_id = :incident),
        tried AS MATERIALIZED (SELECT a.* FROM attempt a JOIN mine ON mine.id = a.delivery_id),
        receipt AS (
          SELECT c.attempt_id, min(c.received_at) AS at FROM callback c JOIN tried ON tried.id = c.attempt_id
          WHERE c.status IN ({_RECEIPTS}) GROUP BY c.attempt_id
        ), attempts AS (
          SELECT t.delivery_id, json_agg(json_build_object(
            'channel', t.channel, 'state', t.state, 'error_code', t.error_code, 'reason', t.reason,
            'address', t.address, 'provider_message_id', t.provider_message_id, 'handed_over_at', t.handed_over_at,
            'accepted_at', t.accepted_at, 'delivered_at', receipt.at) ORDER BY t.rung, t.seq) AS list
          FROM tried t LEFT JOIN receipt ON receipt.attempt_id = t.id GROUP BY t.delivery_id
        ), answers AS (
          SELECT k.delivery_id, json_agg(json_build_object(
            'response', k.response, 'via', k.via, 'at', k.at, 'recorded_at', k.recorded_at, 'recorded_by', by.name,
            'note', k.note, 'late', k.late) ORDER BY k.at, k.id) AS list
          FROM acknowledgment k JOIN mine ON mine.id = k.delivery_id LEFT JOIN account by ON by.id = k.account_id
          GROUP BY k.delivery_id
        ), told AS (
          SELECT e.delivery_id, json_agg(json_build_object(
            'tell', e.tell, 'person_id', tp.employee_id, 'name', tv.name, 'at', e.at,
            'failed', how.failed, 'left_at', how.left_at)
            ORDER BY e.at, e.id) AS list
          FROM escalation e JOIN mine ON mine.id = e.delivery_id JOIN person tp ON tp.id = e.person_id
          JOIN delivery td ON td.notice_id = e.notice_id JOIN person_version tv ON tv.id = td.person_version_id
          LEFT JOIN LATERAL ({HOW_TOLD}) how ON true
          GROUP BY e.delivery_id
        )
        SELECT b.number AS bulletin, b.sent_at, p.employee_id AS person_id, v.name, v.site, {GONE} AS gone,
               dep.name AS department, d.audience, d.response, d.responded_via, d.responded_at, d.cancel_reason,
               d.unreachable_reason, {STATUS} AS status,
               coalesce(attempts.list, '[]'::json) AS attempts, coalesce(answers.list, '[]'::json) AS answers,
               coalesce(told.list, '[]'::json) AS told
        FROM mine d JOIN bulletin b ON b.id = d.bulletin_id JOIN incident i ON i.id = d.incident_id
        JOIN person p ON p.id = d.person_id JOIN person_version v ON v.id = d.person_version_id
        JOIN department dep ON dep.id = v.department_id
        LEFT JOIN ({ATTEMPT_SUMMARY} JOIN mine x ON x.id = a.delivery_id GROUP BY a.delivery_id) s
          ON s.delivery_id = d.id
        LEFT JOIN attempts ON attempts.delivery_id = d.id LEFT JOIN answers ON answers.delivery_id = d.id
        LEFT JOIN told ON told.delivery_id = d.id
        ORDER BY b.number, p.employee_id
        """,
        {"incident": incident_id},
    )


async def field_reports(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """All of the incident's, the oldest first."""
    return await rows(
        session,
        """SELECT f.id, f.at, f.via, f.text, f.maybe_help, f.maybe_stop, f.media, f.number, f.help_request_id,
                  CASE WHEN f.help_request_id IS NULL THEN f.help_settled_at END AS cleared_at,
                  CASE WHEN f.help_request_id IS NULL THEN settled.name END AS cleared_by,
                  p.employee_id AS person_id, v.name, v.site, dep.name AS department
           FROM field_report f LEFT JOIN person p ON p.id = f.person_id
           LEFT JOIN person_version v ON v.id = f.person_version_id LEFT JOIN department dep ON dep.id = v.department_id
           LEFT JOIN account settled ON settled.id = f.help_settled_by
           WHERE f.incident_id = :incident ORDER BY f.at, f.id""",
        {"incident": incident_id},
    )


async def reactions(session: AsyncSession, incident_id: int) -> int:
    """How many texts to the incident were only reactions."""
    found = await row(
        session,
        "SELECT count(*) AS many FROM inbound_message WHERE incident_id = :incident AND outcome = 'reaction'",
        {"incident": incident_id},
    )
    return int(found["many"]) if found else 0


async def help_requests(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    """All of the incident's, the oldest first."""
    return await rows(
        session,
        """SELECT h.id, h.opened_at, h.taken_at, h.closed_at, h.outcome, t.name AS taken_by, c.name AS closed_by,
                  p.employee_id AS person_id, v.name, v.site, dep.name AS department, b.number AS bulletin
           FROM help_request h JOIN person p ON p.id = h.person_id JOIN person_version v ON v.id = h.person_version_id
           JOIN department dep ON dep.id = v.department_id
           LEFT JOIN delivery d ON d.id = h.delivery_id LEFT JOIN bulletin b ON b.id = d.bulletin_id
           LEFT JOIN account t ON t.id = h.taken_by LEFT JOIN account c ON c.id = h.closed_by
           WHERE h.incident_id = :incident ORDER BY h.opened_at, h.id""",
        {"incident": incident_id},
    )
