"""SQL that makes deliveries and their steps, set-based: at send, and each time the ladder goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.kinds import RINGING, sql_list
from app.deliveries import states, telling
from app.deliveries.status import OVER
from app.directory.audiences import route_parameters, routes_sql, why_unreachable_sql
from app.kernel.db import rows, run
from app.kernel.locks import Lock

_SOMETHING_TO_STOP = f"""(d.next_rung IS NOT NULL OR EXISTS (
  SELECT FROM attempt a WHERE a.delivery_id = d.id AND a.state NOT IN ({states.sql_list(states.NOT_WITH_THEM)})))"""
"""Whom nothing could reach, nothing is stopped for: they stay unreachable, with their reason."""

_HELD = f"""JOIN person who ON who.id = step.person_id
  LEFT JOIN LATERAL (SELECT q.ends_at AS until FROM quiet_window q
    WHERE q.bulletin_id = :bulletin AND q.zone = coalesce(who.time_zone, '') AND step.channel IN ({sql_list(RINGING)})
      AND q.starts_at <= :now AND q.ends_at > :now) held ON true"""
_NOT_HELD = "CROSS JOIN (SELECT CAST(NULL AS timestamptz) AS until) held"
"""Until when each first step waits for the end of somebody's quiet hours."""

_PARTS = """LEFT JOIN message own ON own.bulletin_id = {bulletin} AND own.audience = step.audience
    AND own.channel = step.channel AND own.language = step.language
  LEFT JOIN message base ON base.bulletin_id = {bulletin} AND base.audience = step.audience
    AND base.channel = step.channel AND base.language = ''"""
"""The message that each step sends: `coalesce(own.segments, base.segments, 1)` are its parts."""

_PRIORITY = """CASE WHEN (step.incident_id, step.person_id) IN (
    SELECT ra.incident_id, ra.person_id FROM role_assignment ra
    WHERE ra.role = 'incident_commander' AND ra.released_at IS NULL AND ra.person_id IS NOT NULL
    UNION ALL
    SELECT ra.incident_id, p.id FROM role_assignment ra JOIN account ac ON ac.id = ra.account_id
    JOIN person p ON p.employee_id = ac.person_employee_id
    WHERE ra.role = 'incident_commander' AND ra.released_at IS NULL) THEN 2 ELSE 5 END"""
"""Whoever commands hears before everybody else, after help requests and escalations."""


CODES_OF_AN_EARLIER_RULE = 1_000_000
"""The span that `reply_code` is told while codes of an earlier rule are open on a number: it gives its longest codes,
which those never equal."""

WHEN_IT_FAILS = datetime(9999, 1, 1, tzinfo=UTC)
"""When the next step of a notice or of news is due: never by itself, only once the step before has failed."""

WHEN_IT_FAILS_SQL = f"'{WHEN_IT_FAILS.isoformat()}'"


@dataclass(frozen=True)
class Rung:
    """One step of a ladder as it is kept: either a channel, or whom to tell; seconds after the send, scaled."""

    channel: str | None
    tell: str | None
    seconds: float


@dataclass(frozen=True)
class Quiet:
    """Hours in which people whose time zone the directory spells so ('': not at all) are neither texted nor called."""

    zone: str
    starts_at: datetime
    ends_at: datetime


async def plan(
    session: AsyncSession,
    *, bulletin: RowMapping, members: tuple[str, dict[str, Any]], steps: Sequence[Rung],
    channels: Sequence[str], countries: Sequence[str] | None, now: datetime, quiet: Sequence[Quiet] = (),
) -> int:  # fmt: skip
    """Makes the ladder, a delivery for each of `members`, and each one's first attempt. Returns how many.

    A reply code is counted on the number that the text will go to. A person's language becomes the closest one that
    the bulletin is written in: `fr` for `fr-CA`. What may not ring yet waits in the queue for the end of its hours.
    News (`bulletin.asks` is false) goes on to another channel only when one has failed.
    """
    bulletin_id = bulletin["id"]
    await run(session, "SELECT pg_advisory_xact_lock(:lock)", {"lock": Lock.CODES.value})
    await run(
        session,
        """INSERT INTO ladder_step (bulletin_id, rung, channel, tell, after_seconds)
           SELECT :bulletin, rung - 1, channel, tell, seconds
           FROM unnest(CAST(:channels AS text[]), CAST(:tells AS text[]), CAST(:seconds AS float8[]))
             WITH ORDINALITY AS s (channel, tell, seconds, rung)""",
        {
            "bulletin": bulletin_id,
            "channels": [step.channel for step in steps],
            "tells": [step.tell for step in steps],
            "seconds": [step.seconds for step in steps],
        },
    )
    if quiet:
        await run(
            session,
            """INSERT INTO quiet_window (bulletin_id, zone, starts_at, ends_at)
               SELECT :bulletin, q.zone, q.starts_at, q.ends_at
               FROM unnest(CAST(:zones AS text[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
                 AS q (zone, starts_at, ends_at)""",
            {
                "bulletin": bulletin_id,
                "zones": [window.zone for window in quiet],
                "starts": [window.starts_at for window in quiet],
                "ends": [window.ends_at for window in quiet],
            },
        )
    telling_steps = [(rung, step.seconds) for rung, step in enumerate(steps) if step.tell is not None]
    first_told = telling_steps[0] if telling_steps else (None, 0.0)
    chosen, parameters = members
    total = await run(
        session,
        f"""
        INSERT INTO delivery (bulletin_id, incident_id, person_id, person_version_id, audience, language, code,
                              code_seq, reply_address, created_at, next_tell_rung, next_tell_at)
        SELECT :bulletin, :incident, n.person_id, n.person_version_id, n.audience,
               coalesce(written.language, n.language),
               reply_code(coalesce(n.address, n.person_id::text), n.seq, CASE
                 WHEN n.oldest_id <= reply_codes_after() THEN {CODES_OF_AN_EARLIER_RULE}
                 ELSE n.seq - n.oldest_open END),
               n.seq, n.address, :now, CAST(:tell_rung AS int),
               CASE WHEN CAST(:tell_rung AS int) IS NOT NULL
                 THEN CAST(:now AS timestamptz) + make_interval(secs => :tell_after) END
        FROM (
          SELECT m.person_id, who.latest_version_id AS person_version_id, m.audience, m.language, phone.address,
                 coalesce(used.oldest_open, used.last + 1, 0) AS oldest_open, used.oldest_id,
                 (coalesce(used.last, -1)
                  + row_number() OVER (PARTITION BY coalesce(phone.address, m.person_id::text) ORDER BY m.person_id)
                 )::int AS seq
          FROM ({chosen}) m
          JOIN person who ON who.id = m.person_id
          LEFT JOIN ({routes_sql("text")}) AS texted ON texted.person_id = m.person_id AND texted.channel = 'sms'
          LEFT JOIN LATERAL (
            SELECT coalesce(texted.address, (
              SELECT c.address FROM contact_point c
              WHERE c.person_id = m.person_id AND c.kind IN ('mobile', 'phone')
              ORDER BY c.can_text DESC, c.position LIMIT 1)) AS address) phone ON true
          LEFT JOIN LATERAL (
            SELECT max(d.code_seq) AS last, min(d.code_seq) FILTER (WHERE i.closed_at IS NULL) AS oldest_open,
                   min(d.id) FILTER (WHERE i.closed_at IS NULL) AS oldest_id
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
        | {
            "bulletin": bulletin_id, "incident": bulletin["incident_id"], "now": now,
            "tell_rung": first_told[0], "tell_after": first_told[1],
        },
    )  # fmt: skip
    routes = route_parameters(channels, countries)
    # Nobody has counted the rows that this transaction made: taken for a few, they would be compared each with each.
    await run(session, "SET LOCAL enable_nestloop = off")
    await run(
        session,
        f"""
        WITH d AS (SELECT id, person_id, incident_id, audience, language FROM delivery WHERE bulletin_id = :bulletin),
        r AS MATERIALIZED ({routes_sql(among="d")}),
        step AS (
          SELECT d.id, d.person_id, d.incident_id, d.audience, d.language, s.rung, s.channel, s.after_seconds,
                 r.address, row_number() OVER (PARTITION BY d.id ORDER BY s.rung) AS place
          FROM d JOIN r ON r.person_id = d.person_id
          JOIN ladder_step s ON s.bulletin_id = :bulletin AND s.channel = r.channel
        ), made AS (
          INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, parts, not_before,
                               held_until, fence, tries, created_at, updated_at)
          SELECT step.id, rung, 0, step.channel, address, 'queued', {_PRIORITY},
                 coalesce(own.segments, base.segments, 1), coalesce(held.until, :now), held.until, 0, 0, :now, :now
          FROM step {_HELD if quiet else _NOT_HELD} {_PARTS.format(bulletin=":bulletin")}
          WHERE place = 1
        )
        UPDATE delivery SET next_rung = step.rung,
               next_step_at = CASE WHEN :asks
                 THEN CAST(:now AS timestamptz) + make_interval(secs => step.after_seconds) ELSE :when_it_fails END
        FROM step WHERE step.id = delivery.id AND step.place = 2
        """,
        routes | {"bulletin": bulletin_id, "now": now, "asks": bulletin["asks"], "when_it_fails": WHEN_IT_FAILS},
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
    await run(session, "SET LOCAL enable_nestloop = on")
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
    given = {"incident": incident_id, "bulletin": bulletin["id"], "everybody": everybody}
    # Also where nothing could be tried, so that nothing is stopped: from here on the newer bulletin is asked about.
    await run(
        session,
        """UPDATE delivery d SET next_tell_rung = NULL, next_tell_at = NULL
           WHERE d.incident_id = :incident AND d.bulletin_id <> :bulletin AND d.next_tell_at IS NOT NULL
             AND (:everybody OR EXISTS (
               SELECT FROM delivery n WHERE n.bulletin_id = :bulletin AND n.person_id = d.person_id))""",
        given,
    )
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
        given | {"now": now},
    )


async def stop(session: AsyncSession, bulletin_id: int, *, reason: str, now: datetime) -> int:
    """No further step for anybody who has not answered."""
    await _lock(session, "bulletin_id = :id AND response IS NULL AND cancelled_at IS NULL", bulletin_id)
    await run(
        session,
        """UPDATE delivery SET next_tell_rung = NULL, next_tell_at = NULL
           WHERE bulletin_id = :bulletin AND next_tell_at IS NOT NULL""",
        {"bulletin": bulletin_id},
    )
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
    """Makes the attempt of each step of the ladder that is due and sets when the next one is.

    What would ring in somebody's quiet hours waits in the queue until they end; several such steps keep their
    distance from each other then. Returns (bulletin_id, incident_id, channel or None, people, held) of what was done;
    channel None: nobody left to try.
    """
    found = await rows(
        session,
        f"""
        WITH due AS (
          SELECT d.id, d.person_id, d.bulletin_id, d.incident_id, d.audience, d.language, d.next_rung, b.sent_at,
                 b.asks, p.time_zone
          FROM delivery d
          JOIN bulletin b ON b.id = d.bulletin_id
          JOIN incident i ON i.id = d.incident_id
          JOIN person p ON p.id = d.person_id
          WHERE d.next_step_at <= :now AND d.response IS NULL AND d.cancelled_at IS NULL
            AND b.state = 'sent' AND NOT {OVER} AND p.active
          ORDER BY d.next_step_at LIMIT :limit FOR UPDATE OF d SKIP LOCKED
        ), r AS MATERIALIZED (
          {routes_sql(among="due")}
        ), step AS (
          SELECT due.id, due.person_id, due.incident_id, due.audience, due.language, s.rung, s.channel,
                 s.after_seconds, r.address, due.sent_at, due.asks, due.bulletin_id, due.time_zone,
                 row_number() OVER (PARTITION BY due.id ORDER BY s.rung) AS place
          FROM due JOIN ladder_step s ON s.bulletin_id = due.bulletin_id AND s.rung >= due.next_rung
          JOIN r ON r.person_id = due.person_id AND r.channel = s.channel
        ), taken AS (
          SELECT step.*, q.ends_at + make_interval(secs => step.after_seconds - coalesce(first.after_seconds,
                   step.after_seconds)) AS held_until
          FROM step
          LEFT JOIN quiet_window q ON q.bulletin_id = step.bulletin_id AND q.zone = coalesce(step.time_zone, '')
            AND step.channel IN ({sql_list(RINGING)}) AND q.starts_at <= :now AND q.ends_at > :now
          LEFT JOIN LATERAL (
            SELECT min(f.after_seconds) AS after_seconds FROM attempt a
            JOIN ladder_step f ON f.bulletin_id = step.bulletin_id AND f.rung = a.rung
            WHERE q.ends_at IS NOT NULL AND a.delivery_id = step.id AND a.held_until > :now) first ON true
          WHERE step.place = 1
        ), made AS (
          INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, parts, not_before,
                               held_until, fence, tries, created_at, updated_at)
          SELECT step.id, rung, 0, step.channel, address, 'queued', {_PRIORITY},
                 coalesce(own.segments, base.segments, 1), coalesce(held_until, :now), held_until, 0, 0, :now, :now
          FROM taken step {_PARTS.format(bulletin="step.bulletin_id")} ON CONFLICT (delivery_id, rung, seq) DO NOTHING
        ), moved AS (
          UPDATE delivery d SET
            next_rung = later.rung,
            next_step_at = CASE WHEN later.rung IS NOT NULL
              THEN CASE WHEN later.asks
                THEN greatest(:now, later.sent_at + make_interval(secs => later.after_seconds))
                ELSE :when_it_fails END END
          FROM due LEFT JOIN step later ON later.id = due.id AND later.place = 2
          WHERE d.id = due.id
        )
        SELECT due.bulletin_id, due.incident_id, taken.channel, count(*) AS people, count(taken.held_until) AS held,
               array_agg(due.id) AS deliveries
        FROM due LEFT JOIN taken ON taken.id = due.id
        GROUP BY 1, 2, 3
        """,
        route_parameters(channels, countries) | {"now": now, "limit": limit, "when_it_fails": WHEN_IT_FAILS},
    )
    taken = [dict(entry) for entry in found]
    for entry in taken:
        deliveries = entry.pop("deliveries")
        if entry["channel"] is None:
            await telling.hasten(session, deliveries, now=now)
    return taken
