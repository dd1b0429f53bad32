"""SQL of what people tell us."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.planning import WHEN_IT_FAILS
from app.deliveries.states import CAME_TO_NOTHING, sql_list
from app.kernel.db import row, rows, run
from app.replies.models import Handled, Inbound
from app.replies.own_words import HELP_WORDS
from app.replies.questions import Carried, Question

HELP_NUMBER = """(SELECT c.address FROM contact_point c WHERE c.person_id = p.id AND c.kind IN ('mobile', 'phone')
  ORDER BY c.position LIMIT 1) AS number"""
"""Where somebody may be called: the first number of person `p`."""

_HELP_NOTICES = f"""FROM notice n JOIN delivery nd ON nd.notice_id = n.id
  JOIN person_version tp ON tp.id = nd.person_version_id
  JOIN LATERAL (
    SELECT bool_or(na.state = 'queued' AND na.not_before > nd.created_at) AS waits,
           bool_or(na.state NOT IN ({sql_list(CAME_TO_NOTHING)})
             AND NOT (na.state = 'queued' AND na.not_before > nd.created_at)) AS goes
    FROM attempt na WHERE na.delivery_id = nd.id) how ON true
  WHERE n.kind = 'help' AND n.abouts @> jsonb_build_array(h.id)"""

HELP_TOLD = f"(SELECT coalesce(jsonb_agg(DISTINCT tp.name), '[]') {_HELP_NOTICES} AND how.goes)"
"""The names of those who were told of help request `h`, or are being told now."""

HELP_TOLD_LATER = f"""(SELECT coalesce(jsonb_agg(DISTINCT tp.name), '[]') {_HELP_NOTICES}
  AND how.waits AND NOT how.goes)"""
"""The names of those whose notice of it waits, because they were told of many things lately."""


async def add_inbound(session: AsyncSession, inbound: Inbound, *, now: datetime) -> int | None:
    """Keeps the text as it came; None when its SID is known, which means that it was handled."""
    found = await row(
        session,
        """INSERT INTO inbound_message (sid, sender, body, opt_out_type, media, received_at, outcome)
           VALUES (:sid, :sender, :body, :opt, CAST(:media AS jsonb), :now, 'received')
           ON CONFLICT (sid) DO NOTHING RETURNING id""",
        {
            "sid": inbound.sid,
            "sender": inbound.sender,
            "body": inbound.body,
            "opt": inbound.opt_out_type,
            "media": json.dumps([medium.as_dict() for medium in inbound.media]),
            "now": now,
        },
    )
    return int(found["id"]) if found else None


async def finish_inbound(session: AsyncSession, inbound_id: int, handled: Handled, *, answer: str | None) -> None:
    """What became of a text, and what we answered."""
    await run(
        session,
        """UPDATE inbound_message SET outcome = :outcome, answer = :answer, person_id = :person, incident_id = :incident
           WHERE id = :id""",
        {
            "id": inbound_id,
            "outcome": handled.outcome,
            "answer": answer,
            "person": handled.person_id,
            "incident": handled.incident[0] if handled.incident else None,
        },
    )


async def first_sent(session: AsyncSession) -> datetime | None:
    """When the first bulletin of all went out."""
    found = await row(session, "SELECT min(sent_at) AS at FROM bulletin")
    return found["at"] if found else None


async def known_sids(session: AsyncSession, sids: Sequence[str]) -> set[str]:
    """Those of these texts that were handled."""
    found = await rows(session, "SELECT sid FROM inbound_message WHERE sid = ANY(:sids)", {"sids": list(sids)})
    return {entry["sid"] for entry in found}


async def answers_lately(session: AsyncSession, sender: str, *, confirmations: bool, since: datetime) -> int:
    """How many texts of this number we answered since then: those that were recorded answers, or all others."""
    found = await row(
        session,
        """SELECT count(*) AS many FROM inbound_message
           WHERE sender = :sender AND received_at > :since AND answer IS NOT NULL
             AND (outcome = 'answered') = :confirmations""",
        {"sender": sender, "since": since, "confirmations": confirmations},
    )
    return int(found["many"]) if found else 0


_QUESTION = """d.id, d.person_id, d.incident_id, d.code, i.title, i.drill, d.response, d.handed_over_at, i.closed_at,
  (d.cancel_reason IS NOT DISTINCT FROM 'superseded') AS superseded,
  (b.asks AND d.response IS NULL AND d.cancelled_at IS NULL AND b.state = 'sent' AND i.closed_at IS NULL
   AND NOT EXISTS (
    SELECT FROM delivery n JOIN bulletin nb ON nb.id = n.bulletin_id
    WHERE n.incident_id = d.incident_id AND n.person_id = d.person_id AND nb.number > b.number)) AS open,
  (d.reply_address = ANY(:numbers) OR EXISTS (
    SELECT FROM attempt a
    WHERE a.delivery_id = d.id AND a.channel = 'sms' AND a.address = ANY(:numbers))) IS TRUE AS here,
  b.asks, (SELECT min(n.handed_over_at) FROM delivery n JOIN bulletin nb ON nb.id = n.bulletin_id
    WHERE n.incident_id = d.incident_id AND n.person_id = d.person_id AND nb.number > b.number
      AND NOT nb.asks) AS over_at
  FROM delivery d JOIN bulletin b ON b.id = d.bulletin_id JOIN incident i ON i.id = d.incident_id"""
"""The columns of `Question` for delivery `d`. Open: unanswered, its bulletin no news, neither cancelled nor
replaced by a newer one to the same person."""


async def questions(session: AsyncSession, person_ids: Sequence[int], numbers: Sequence[str]) -> list[Question]:
    """Every delivery that these people got of a sent bulletin in an open incident, the newest first.

    What was stopped before it was handed over is left out, unless it was answered all the same. `numbers` is the one
    that the text came from, in all its spellings.
    """
    found = await rows(
        session,
        f"""SELECT {_QUESTION}
        WHERE d.person_id = ANY(:people) AND b.sent_at IS NOT NULL AND i.closed_at IS NULL
          AND NOT (d.cancelled_at IS NOT NULL AND d.handed_over_at IS NULL AND d.response IS NULL)
        ORDER BY b.sent_at DESC, d.id DESC""",
        {"people": list(person_ids), "numbers": list(numbers)},
    )
    return [Question(**entry) for entry in found]


async def by_code(
    session: AsyncSession, person_ids: Sequence[int], code: str, numbers: Sequence[str]
) -> list[Question]:
    """Deliveries with this code to these people, of open incidents first, of this number before others, the newest
    first."""
    found = await rows(
        session,
        f"""SELECT {_QUESTION}
        WHERE d.person_id = ANY(:people) AND d.code = :code AND b.sent_at IS NOT NULL
        ORDER BY (i.closed_at IS NULL) DESC, here DESC, b.sent_at DESC LIMIT 5""",
        {"people": list(person_ids), "code": code, "numbers": list(numbers)},
    )
    return [Question(**entry) for entry in found]


async def mailed(session: AsyncSession, attempt_id: int) -> Carried | None:
    """What a mail of ours was about; None for what was no mail of ours."""
    found = await row(
        session,
        """
        SELECT d.id, d.person_id, p.name, p.active, d.incident_id, i.key, i.title, d.code,
               coalesce(b.asks, false) AS asks, b.id IS NULL AS notice
        FROM attempt a JOIN delivery d ON d.id = a.delivery_id JOIN incident i ON i.id = d.incident_id
        JOIN person p ON p.id = d.person_id LEFT JOIN bulletin b ON b.id = d.bulletin_id
        WHERE a.id = :id AND a.channel = 'email'
        """,
        {"id": attempt_id},
    )
    return Carried(**found) if found else None


async def latest_closed(
    session: AsyncSession, person_id: int, numbers: Sequence[str], *, since: datetime
) -> list[Question]:
    """Deliveries of this person in incidents closed since then, the newest bulletin of each."""
    found = await rows(
        session,
        f"""SELECT DISTINCT ON (i.id) {_QUESTION}
        WHERE d.person_id = :person AND i.closed_at > :since AND d.handed_over_at IS NOT NULL
        ORDER BY i.id DESC, b.number DESC""",
        {"person": person_id, "since": since, "numbers": list(numbers)},
    )
    return [Question(**entry) for entry in found]


async def had_lately(session: AsyncSession, person_ids: Sequence[int], numbers: Sequence[str]) -> list[Question]:
    """The last bulletins that were handed over to these people, whether their incidents are open or closed, the last
    first."""
    found = await rows(
        session,
        f"""SELECT {_QUESTION}
        WHERE d.person_id = ANY(:people) AND d.handed_over_at IS NOT NULL
        ORDER BY d.handed_over_at DESC, d.id DESC LIMIT 50""",
        {"people": list(person_ids), "numbers": list(numbers)},
    )
    return [Question(**entry) for entry in found]


async def latest_incident(
    session: AsyncSession, person_ids: Sequence[int], *, closed_since: datetime | None = None
) -> RowMapping | None:
    """The open incident that any of these people was last told about; without one, that closed since then."""
    return await row(
        session,
        """SELECT i.id, i.key FROM delivery d JOIN bulletin b ON b.id = d.bulletin_id
           JOIN incident i ON i.id = d.incident_id
           WHERE d.person_id = ANY(:people) AND b.sent_at IS NOT NULL
             AND (i.closed_at IS NULL OR i.closed_at > CAST(:closed AS timestamptz))
           ORDER BY (i.closed_at IS NULL) DESC, coalesce(d.handed_over_at, b.sent_at) DESC, d.id DESC LIMIT 1""",
        {"people": list(person_ids), "closed": closed_since},
    )


async def next_channel(session: AsyncSession, numbers: Sequence[str], *, now: datetime) -> None:
    """Whoever has not answered and was to be reached on this number is tried on the next channel at once."""
    await run(
        session,
        """UPDATE delivery d SET next_step_at = :now FROM attempt a
           WHERE a.delivery_id = d.id AND a.address = ANY(:numbers) AND a.channel = 'sms' AND d.response IS NULL
             AND d.cancelled_at IS NULL AND d.next_rung IS NOT NULL AND d.next_step_at > :now
             AND d.next_step_at < :when_it_fails""",
        {"now": now, "numbers": list(numbers), "when_it_fails": WHEN_IT_FAILS},
    )


async def open_help(
    session: AsyncSession, *, incident_id: int, delivery_id: int | None, person_id: int, now: datetime
) -> int | None:
    """Opens a help request unless the person has one open in this incident; its id when it is new.

    `delivery_id`: the message that they answered, or None when they were told nothing in it.
    """
    found = await row(
        session,
        """INSERT INTO help_request (incident_id, delivery_id, person_id, opened_at, told_rung)
           SELECT :incident, CAST(:delivery AS bigint), :person, :now, -1 WHERE NOT EXISTS (
             SELECT FROM help_request h WHERE h.incident_id = :incident AND h.person_id = :person
               AND h.closed_at IS NULL)
           ON CONFLICT DO NOTHING RETURNING id""",
        {"incident": incident_id, "delivery": delivery_id, "person": person_id, "now": now},
    )
    return int(found["id"]) if found else None


async def help_of(session: AsyncSession, incident_id: int, person_id: int) -> int | None:
    """The request that this person has open in this incident, if there is one."""
    found = await row(
        session,
        """SELECT id FROM help_request WHERE incident_id = :incident AND person_id = :person AND closed_at IS NULL
           ORDER BY id LIMIT 1""",
        {"incident": incident_id, "person": person_id},
    )
    return int(found["id"]) if found else None


async def help_candidates(session: AsyncSession, request_id: int, rung: int) -> Sequence[int]:
    """Ids of the people on this rung of a help request, the person who asks aside: see `help_requests.RUNGS`."""
    found = await rows(
        session,
        """
        WITH asked AS (
          SELECT h.incident_id, h.person_id, dep.name AS department FROM help_request h
          JOIN person p ON p.id = h.person_id JOIN department dep ON dep.id = p.department_id WHERE h.id = :id
        )
        SELECT p.id FROM asked, person p WHERE p.active AND p.id <> asked.person_id AND CASE :rung
          WHEN 0 THEN EXISTS (SELECT FROM account a WHERE a.person_employee_id = p.employee_id
            AND a.disabled_at IS NULL AND a.role = 'department_lead' AND a.department = asked.department)
          WHEN 1 THEN EXISTS (SELECT FROM role_assignment ra LEFT JOIN account a ON a.id = ra.account_id
            WHERE ra.incident_id = asked.incident_id AND ra.role = 'incident_commander' AND ra.released_at IS NULL
              AND (ra.person_id = p.id OR a.person_employee_id = p.employee_id))
          ELSE EXISTS (SELECT FROM account a WHERE a.person_employee_id = p.employee_id AND a.disabled_at IS NULL
            AND a.role IN ('commander', 'communications_lead', 'admin')) END
        ORDER BY p.id LIMIT 5
        """,
        {"id": request_id, "rung": rung},
    )
    return [entry["id"] for entry in found]


async def help_told(session: AsyncSession, request_id: int, *, rung: int, climb_at: datetime | None) -> None:
    await run(
        session,
        "UPDATE help_request SET told_rung = :rung, climb_at = :climb WHERE id = :id",
        {"rung": rung, "climb": climb_at, "id": request_id},
    )


async def help_to_tell(session: AsyncSession, request_id: int) -> RowMapping:
    """What a notice about a request says: who, where, at which number, in which incident."""
    found = await row(
        session,
        f"""SELECT h.id, h.person_id, h.told_rung, h.incident_id, p.name, p.site, dep.name AS department, i.key,
                  i.title, i.revision_id, p.employee_id,
                  {HELP_NUMBER}
           FROM help_request h JOIN person p ON p.id = h.person_id JOIN department dep ON dep.id = p.department_id
           JOIN incident i ON i.id = h.incident_id WHERE h.id = :id""",
        {"id": request_id},
    )
    assert found
    return found


_NEEDS_NO_TELLING = "(h.closed_at IS NOT NULL OR h.taken_at IS NOT NULL OR coalesce(i.closed_at >= h.opened_at, false))"
"""Somebody has it, or it is over: unless they asked after the incident was closed."""


async def stop_climbing(session: AsyncSession, *, now: datetime) -> None:
    """Ends the climb of requests that need no telling. Waits for nobody: what is locked has its turn next time."""
    await run(
        session,
        f"""UPDATE help_request SET climb_at = NULL WHERE id IN (
             SELECT h.id FROM help_request h JOIN incident i ON i.id = h.incident_id
             WHERE h.climb_at <= :now AND {_NEEDS_NO_TELLING} ORDER BY h.id FOR UPDATE OF h SKIP LOCKED)""",
        {"now": now},
    )


@dataclass(frozen=True)
class Climbing:
    """A request that nobody took in the playbook's time, and the key of its incident."""

    id: int
    key: str


async def help_to_climb(session: AsyncSession, *, now: datetime, request_id: int | None = None) -> Climbing | None:
    """The first request that is due to be told further up; with `request_id` that one, locked, if it still is."""
    found = await row(
        session,
        f"""SELECT h.id, i.key FROM help_request h JOIN incident i ON i.id = h.incident_id
            WHERE h.climb_at <= :now AND NOT {_NEEDS_NO_TELLING}
              AND (CAST(:id AS bigint) IS NULL OR h.id = :id)
            ORDER BY h.id LIMIT 1 {"" if request_id is None else "FOR UPDATE OF h"}""",
        {"now": now, "id": request_id},
    )
    return Climbing(**found) if found else None


async def notice(session: AsyncSession, delivery_id: int) -> RowMapping | None:
    """The notice that a link stands for, with the person who got it; None for the link of a bulletin."""
    return await row(
        session,
        """SELECT d.id, n.id AS notice_id, n.kind, n.lines, n.abouts, n.subject, p.id AS person_id, p.employee_id,
                  p.name, p.active, i.key, i.title, i.drill, i.simulated, i.closed_at, i.id AS incident_id
           FROM delivery d JOIN notice n ON n.id = d.notice_id JOIN person p ON p.id = d.person_id
           JOIN incident i ON i.id = d.incident_id WHERE d.id = :id""",
        {"id": delivery_id},
    )


async def help_asked(session: AsyncSession, request_ids: Sequence[int]) -> Sequence[RowMapping]:
    """Requests as whoever was told of them sees them, the number to call included."""
    return await rows(
        session,
        f"""SELECT h.id, h.opened_at, h.taken_at, h.closed_at, h.outcome, ta.name AS taken_by, ca.name AS closed_by,
                  h.taken_by AS taken_by_id, ta.person_employee_id AS taken_by_person, v.name, v.title AS job, v.site,
                  dep.name AS department,
                  {HELP_NUMBER}, {HELP_WORDS} AS words
           FROM help_request h JOIN person p ON p.id = h.person_id JOIN person_version v ON v.id = h.person_version_id
           JOIN department dep ON dep.id = v.department_id
           LEFT JOIN account ta ON ta.id = h.taken_by LEFT JOIN account ca ON ca.id = h.closed_by
           WHERE h.id = ANY(:ids) ORDER BY h.id""",
        {"ids": list(request_ids)},
    )


async def withdraw_help(session: AsyncSession, *, incident_id: int, person_id: int, now: datetime) -> int | None:
    """The person answered otherwise before anybody took it: no longer asked for."""
    found = await row(
        session,
        """UPDATE help_request SET closed_at = :now, outcome = 'withdrawn'
           WHERE incident_id = :incident AND person_id = :person AND closed_at IS NULL AND taken_by IS NULL
           RETURNING id""",
        {"incident": incident_id, "person": person_id, "now": now},
    )
    return int(found["id"]) if found else None


async def help_requests(
    session: AsyncSession, incident_id: int, *, request_id: int | None = None, after: int | None = None,
    department: str | None = None, limit: int = 200, lock: bool = False,
) -> Sequence[RowMapping]:  # fmt: skip
    """The oldest first. `department` is a department's folded name."""
    return await rows(
        session,
        f"""
        SELECT h.id, h.opened_at, h.taken_at, h.closed_at, h.outcome, ta.name AS taken_by, h.taken_by AS taken_by_id,
               ca.name AS closed_by, h.person_id AS person_key, p.employee_id AS person_id, v.name, v.site, v.title,
               dep.name AS department, present.name AS present_department, b.number AS bulletin, h.climb_at,
               {HELP_TOLD} AS told, {HELP_TOLD_LATER} AS told_later, {HELP_NUMBER}, {HELP_WORDS} AS words
        FROM help_request h JOIN person p ON p.id = h.person_id JOIN person_version v ON v.id = h.person_version_id
        JOIN department dep ON dep.id = v.department_id JOIN department present ON present.id = p.department_id
        LEFT JOIN delivery d ON d.id = h.delivery_id LEFT JOIN bulletin b ON b.id = d.bulletin_id
        LEFT JOIN account ta ON ta.id = h.taken_by LEFT JOIN account ca ON ca.id = h.closed_by
        WHERE h.incident_id = :incident AND (CAST(:id AS bigint) IS NULL OR h.id = :id)
          AND (CAST(:after AS bigint) IS NULL OR h.id > :after)
          AND (CAST(:department AS text) IS NULL OR dep.key = :department
            OR (h.closed_at IS NULL AND present.key = :department))
        ORDER BY h.id LIMIT :limit {"FOR UPDATE OF h" if lock else ""}
        """,
        {"incident": incident_id, "id": request_id, "after": after, "department": department, "limit": limit},
    )


async def take_help(session: AsyncSession, request_id: int, *, account_id: int, now: datetime) -> None:
    await run(
        session,
        "UPDATE help_request SET taken_by = :account, taken_at = :now WHERE id = :id",
        {"account": account_id, "now": now, "id": request_id},
    )


async def close_help(session: AsyncSession, request_id: int, *, account_id: int, outcome: str, now: datetime) -> None:
    await run(
        session,
        """UPDATE help_request SET closed_by = :account, closed_at = :now, outcome = :outcome,
                  taken_by = coalesce(taken_by, :account), taken_at = coalesce(taken_at, :now) WHERE id = :id""",
        {"account": account_id, "now": now, "outcome": outcome, "id": request_id},
    )


async def call(session: AsyncSession, attempt_id: int, *, answered_by: str) -> RowMapping | None:
    """A call's attempt with its person, bulletin, words and incident; None for what is no call of ours.

    `newer`: a later bulletin of the incident went to the same person. `machine`: it is known that nobody picked up.
    `answered_by` is the prefix under which that is kept.
    """
    return await row(
        session,
        """
        SELECT a.delivery_id, d.person_id, d.response, d.cancelled_at, d.audience, p.name, p.active, b.stage,
               b.state AS bulletin_state, i.drill, i.closed_at, i.revision_id, m.text, m.language,
               a.provider_message_id AS sid,
               EXISTS (SELECT FROM delivery n JOIN bulletin nb ON nb.id = n.bulletin_id
                       WHERE n.incident_id = d.incident_id AND n.person_id = d.person_id AND nb.number > b.number
                         AND nb.sent_at IS NOT NULL) AS newer,
               EXISTS (SELECT FROM callback c WHERE c.attempt_id = a.id
                       AND (starts_with(c.status, :answered_by || 'machine') OR c.status = :answered_by || 'fax')
                      ) AS machine
        FROM attempt a JOIN delivery d ON d.id = a.delivery_id JOIN bulletin b ON b.id = d.bulletin_id
        JOIN incident i ON i.id = d.incident_id JOIN person p ON p.id = d.person_id
        JOIN LATERAL (
          SELECT m.text, m.language FROM message m
          WHERE m.bulletin_id = b.id AND m.audience = d.audience AND m.channel = a.channel
            AND m.language IN (d.language, '') ORDER BY (m.language = d.language) DESC LIMIT 1) m ON true
        WHERE a.id = :id AND a.channel = 'voice'
        """,
        {"id": attempt_id, "answered_by": answered_by},
    )


async def add_keypress(
    session: AsyncSession, *, attempt_id: int, call_sid: str, turn: int, keys: str, outcome: str, now: datetime
) -> bool:
    """Keeps a key; False when this turn of the call is known, which means that it was handled."""
    added = await run(
        session,
        """INSERT INTO keypress (attempt_id, call_sid, turn, keys, outcome, pressed_at)
           VALUES (:attempt, :sid, :turn, :keys, :outcome, :now) ON CONFLICT (call_sid, turn) DO NOTHING""",
        {"attempt": attempt_id, "sid": call_sid, "turn": turn, "keys": keys, "outcome": outcome, "now": now},
    )
    return bool(added)
