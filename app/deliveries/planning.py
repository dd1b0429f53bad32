"""SQL that makes deliveries and their steps, set-based: at send, and each time the ladder goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.states import NOT_DELIVERED, State
from app.directory.audiences import route_parameters, routes_sql, why_unreachable_sql
from app.kernel.db import rows, run

_NOTHING_CAME = ", ".join(f"'{state}'" for state in sorted(NOT_DELIVERED | {State.ABSENT}))

_SOMETHING_TO_STOP = f"""(d.next_rung IS NOT NULL OR EXISTS (
  SELECT FROM attempt a WHERE a.delivery_id = d.id AND a.state NOT IN ({_NOTHING_CAME})))"""
"""Whom nothing could reach, nothing is stopped for: they stay unreachable, with their reason."""

_CODES_LOCK = 727472003
"""Sends take their reply codes one after the other, so that two incidents never give one phone the same code."""


async def plan(
    session: AsyncSession,
    *, bulletin: RowMapping, members: tuple[str, dict[str, Any]], steps: Sequence[tuple[str, float]],
    channels: Sequence[str], countries: Sequence[str] | None, now: datetime,
) -> int:  # fmt: skip
    """Makes the ladder, a delivery for each of `members`, and each one's first attempt. Returns how many.

    A reply code is counted on the number that the text will go to. A person's language becomes the closest one that
    the bulletin is written in: `fr` for `fr-CA`.
    """
    bulletin_id = bulletin["id"]
    await run(session, "SELECT pg_advisory_xact_lock(:lock)", {"lock": _CODES_LOCK})
    await run(
        session,
        """INSERT INTO ladder_step (bulletin_id, rung, channel, after_seconds)
           SELECT :bulletin, rung - 1, channel, seconds
           FROM unnest(CAST(:channels AS text[]), CAST(:seconds AS float8[]))
             WITH ORDINALITY AS s (channel, seconds, rung)""",
        {
            "bulletin": bulletin_id,
            "channels": [channel for channel, _ in steps],
            "seconds": [seconds for _, seconds in steps],
        },
    )
    chosen, parameters = members
    total = await run(
        session,
        f"""
        INSERT INTO delivery (bulletin_id, incident_id, person_id, audience, language, code, code_seq, reply_address,
                              created_at)
        SELECT :bulletin, :incident, n.person_id, n.audience, coalesce(written.language, n.language),
               reply_code(coalesce(n.address, n.person_id::text), n.seq, n.seq - n.oldest_open),
               n.seq, n.address, :now
        FROM (
          SELECT m.person_id, m.audience, m.language, phone.address,
                 coalesce(used.oldest_open, used.last + 1, 0) AS oldest_open,
                 (coalesce(used.last, -1)
                  + row_number() OVER (PARTITION BY coalesce(phone.address, m.person_id::text) ORDER BY m.person_id)
                 )::int AS seq
          FROM ({chosen}) m
          LEFT JOIN ({routes_sql("text")}) AS texted ON texted.person_id = m.person_id AND texted.channel = 'sms'
          LEFT JOIN LATERAL (
            SELECT coalesce(texted.address, (
              SELECT c.address FROM contact_point c
              WHERE c.person_id = m.person_id AND c.kind IN ('mobile', 'phone')
              ORDER BY c.can_text DESC, c.position LIMIT 1)) AS address) phone ON true
          LEFT JOIN LATERAL (
            SELECT max(d.code_seq) AS last, min(d.code_seq) FILTER (WHERE i.closed_at IS NULL) AS oldest_open
            FROM delivery d JOIN incident i ON i.id = d.incident_id
            WHERE d.reply_address = phone.address) used ON true
        ) n
        LEFT JOIN (
          SELECT DISTINCT ON (spoken.language, m.audience) spoken.language AS spoken, m.audience, m.language
          FROM message m JOIN (SELECT DISTINCT language FROM person WHERE language <> '') spoken
            ON m.language <> '' AND starts_with(
              lower(replace(spoken.language, '_', '-')) || '-', lower(m.language) || '-')
          WHERE m.bulletin_id = :bulletin ORDER BY spoken.language, m.audience, length(m.language) DESC
        ) written ON written.spoken = n.language AND written.audience = n.audience
        """,
        parameters
        | route_parameters(["sms"], countries, "text")
        | {"bulletin": bulletin_id, "incident": bulletin["incident_id"], "now": now},
    )
    routes = route_parameters(channels, countries)
    await run(
        session,
        f"""
        WITH d AS (SELECT id, person_id FROM delivery WHERE bulletin_id = :bulletin),
        r AS MATERIALIZED ({routes_sql(among="d")}),
        step AS (
          SELECT d.id, d.person_id, s.rung, s.channel, s.after_seconds, r.address,
                 row_number() OVER (PARTITION BY d.id ORDER BY s.rung) AS place
          FROM d JOIN r ON r.person_id = d.person_id
          JOIN ladder_step s ON s.bulletin_id = :bulletin AND s.channel = r.channel
        ), made AS (
          INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                               created_at, updated_at)
          SELECT id, rung, 0, channel, address, 'queued', 5, :now, 0, 0, :now, :now FROM step WHERE place = 1
        )
        UPDATE delivery SET next_rung = step.rung,
               next_step_at = CAST(:now AS timestamptz) + make_interval(secs => step.after_seconds)
        FROM step WHERE step.id = delivery.id AND step.place = 2
        """,
        routes | {"bulletin": bulletin_id, "now": now},
    )
    await run(
        session,
        f"""
        WITH mine AS (SELECT person_id FROM delivery WHERE bulletin_id = :bulletin)
        UPDATE delivery SET unreachable_reason = why.reason
        FROM ({why_unreachable_sql(among="mine")}) why
        WHERE delivery.bulletin_id = :bulletin AND why.person_id = delivery.person_id
        """,
        routes | {"bulletin": bulletin_id},
    )
    return total


async def lock_incident(session: AsyncSession, incident_id: int) -> None:
    """From here on no further message of the incident begins to leave until the transaction ends."""
    await _lock(session, "incident_id = :id AND response IS NULL AND cancelled_at IS NULL", incident_id)


async def _lock(session: AsyncSession, which: str, row_id: int) -> None:
    """Locks deliveries in the order of their ids, as everybody does who changes several: so nobody waits in a ring."""
    await run(session, f"SELECT 1 FROM delivery WHERE {which} ORDER BY id FOR NO KEY UPDATE", {"id": row_id})


async def replace_earlier(
    session: AsyncSession, *, incident_id: int, bulletin: RowMapping, everybody: bool, now: datetime
) -> int:
    """Stops what is left of earlier bulletins for those who get this one (for everybody, once it is resolved)."""
    await _lock(session, "incident_id = :id AND response IS NULL AND cancelled_at IS NULL", incident_id)
    return await run(
        session,
        f"""
        UPDATE delivery d SET cancelled_at = :now, cancel_reason = 'superseded', next_rung = NULL, next_step_at = NULL
        WHERE d.incident_id = :incident AND d.bulletin_id <> :bulletin AND d.cancelled_at IS NULL
          AND d.response IS NULL
          AND {_SOMETHING_TO_STOP}
          AND (:everybody OR EXISTS (
            SELECT FROM delivery n WHERE n.bulletin_id = :bulletin AND n.person_id = d.person_id))
        """,
        {"incident": incident_id, "bulletin": bulletin["id"], "everybody": everybody, "now": now},
    )


async def stop(session: AsyncSession, bulletin_id: int, *, reason: str, now: datetime) -> int:
    """No further step for anybody who has not answered."""
    await _lock(session, "bulletin_id = :id AND response IS NULL AND cancelled_at IS NULL", bulletin_id)
    return await run(
        session,
        f"""UPDATE delivery d SET cancelled_at = :now, cancel_reason = :reason, next_rung = NULL, next_step_at = NULL
            WHERE d.bulletin_id = :bulletin AND d.cancelled_at IS NULL AND d.response IS NULL
              AND {_SOMETHING_TO_STOP}""",
        {"bulletin": bulletin_id, "reason": reason, "now": now},
    )


async def take_due_steps(
    session: AsyncSession,
    *, channels: Sequence[str], countries: Sequence[str] | None, now: datetime, limit: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Makes the attempt of each ladder step that is due and sets when the next one is.

    Returns (bulletin_id, incident_id, channel or None, people) of what was done; channel None: nobody left to try.
    """
    found = await rows(
        session,
        f"""
        WITH due AS (
          SELECT d.id, d.person_id, d.bulletin_id, d.incident_id, d.next_rung, b.sent_at
          FROM delivery d
          JOIN bulletin b ON b.id = d.bulletin_id
          JOIN incident i ON i.id = d.incident_id
          JOIN person p ON p.id = d.person_id
          WHERE d.next_step_at <= :now AND d.response IS NULL AND d.cancelled_at IS NULL
            AND b.state = 'sent' AND i.closed_at IS NULL AND p.active
          ORDER BY d.next_step_at LIMIT :limit FOR UPDATE OF d SKIP LOCKED
        ), r AS MATERIALIZED (
          {routes_sql(among="due")}
        ), step AS (
          SELECT due.id, s.rung, s.channel, s.after_seconds, r.address, due.sent_at,
                 row_number() OVER (PARTITION BY due.id ORDER BY s.rung) AS place
          FROM due JOIN ladder_step s ON s.bulletin_id = due.bulletin_id AND s.rung >= due.next_rung
          JOIN r ON r.person_id = due.person_id AND r.channel = s.channel
        ), made AS (
          INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                               created_at, updated_at)
          SELECT id, rung, 0, channel, address, 'queued', 5, :now, 0, 0, :now, :now FROM step WHERE place = 1
          ON CONFLICT (delivery_id, rung, seq) DO NOTHING
        ), moved AS (
          UPDATE delivery d SET
            next_rung = later.rung,
            next_step_at = CASE WHEN later.rung IS NOT NULL
              THEN greatest(:now, later.sent_at + make_interval(secs => later.after_seconds)) END
          FROM due LEFT JOIN step later ON later.id = due.id AND later.place = 2
          WHERE d.id = due.id
        )
        SELECT due.bulletin_id, due.incident_id, step.channel, count(*) AS people
        FROM due LEFT JOIN step ON step.id = due.id AND step.place = 1
        GROUP BY 1, 2, 3
        """,
        route_parameters(channels, countries) | {"now": now, "limit": limit},
    )
    return [dict(entry) for entry in found]
