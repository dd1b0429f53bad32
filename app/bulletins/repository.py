"""SQL of the bulletins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.directory.audiences import route_parameters, routes_sql, why_unreachable_sql
from app.incidents.versions import BULLETIN_VERSION
from app.kernel.db import row, rows, run
from app.playbooks.stages import asks

NOTHING_CAME = (
    "queued", "rejected", "suppressed", "absent", "cancelled", "expired", "cancelled_there", "undelivered", "failed",
)  # fmt: skip
"""States of an attempt in which the person cannot have the message (in every other one they may)."""


def told_sql(incident_id: int, before: int, audiences: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """(SELECT, parameters) like `members_sql`: the active people who may have an earlier bulletin of the incident.

    Each belongs to the audience in which they were told last; where this bulletin has no such audience, to its first.
    """
    states = ", ".join(f"'{state}'" for state in NOTHING_CAME)
    return (
        f"""
        SELECT DISTINCT ON (e.person_id) e.person_id,
               CASE WHEN e.audience = ANY(CAST(:told_audiences AS text[])) THEN e.audience
                    ELSE (CAST(:told_audiences AS text[]))[1] END AS audience,
               coalesce(ep.language, '') AS language
        FROM delivery e JOIN bulletin eb ON eb.id = e.bulletin_id JOIN person ep ON ep.id = e.person_id AND ep.active
        WHERE e.incident_id = :told_incident AND eb.number < :told_before AND (e.response IS NOT NULL OR EXISTS (
          SELECT FROM attempt ea WHERE ea.delivery_id = e.id AND ea.state NOT IN ({states})))
        ORDER BY e.person_id, eb.number DESC""",
        {"told_incident": incident_id, "told_before": before, "told_audiences": list(audiences)},
    )


async def insert(
    session: AsyncSession,
    *, incident_id: int, stage: str, severity: str, facts: Mapping[str, Any], audiences: Sequence[str],
    problems: Sequence[Mapping[str, Any]], created_by: int, corrects: int | None, now: datetime,
) -> RowMapping:  # fmt: skip
    """A draft with the next number; the caller holds the incident's row."""
    found = await row(
        session,
        """INSERT INTO bulletin (incident_id, number, state, stage, severity, facts, audiences, problems,
                                 warnings_accepted, corrects, asks, created_by, created_at)
           SELECT :incident, coalesce(max(number), 0) + 1, 'draft', :stage, :severity, CAST(:facts AS jsonb),
                  CAST(:audiences AS jsonb), CAST(:problems AS jsonb), false, :corrects, :asks, :by, :now
           FROM bulletin WHERE incident_id = :incident RETURNING *""",
        {
            "incident": incident_id, "stage": stage, "severity": severity, "facts": json.dumps(facts),
            "audiences": json.dumps(audiences), "problems": json.dumps(list(problems)), "by": created_by, "now": now,
            "corrects": corrects, "asks": asks(stage),
        },
    )  # fmt: skip
    assert found
    return found


async def add_messages(session: AsyncSession, bulletin_id: int, messages: Sequence[Mapping[str, Any]]) -> None:
    await run(
        session,
        """INSERT INTO message (bulletin_id, audience, channel, language, subject, text, segments)
           SELECT :bulletin, m.audience, m.channel, m.language, m.subject, m.text, m.segments
           FROM jsonb_to_recordset(CAST(:messages AS jsonb))
             AS m (audience text, channel text, language text, subject text, text text, segments int)""",
        {"bulletin": bulletin_id, "messages": json.dumps(list(messages))},
    )


async def messages(session: AsyncSession, bulletin_id: int) -> Sequence[RowMapping]:
    return await rows(
        session,
        """SELECT audience, channel, language, subject, text FROM message WHERE bulletin_id = :id
           ORDER BY id""",
        {"id": bulletin_id},
    )


async def by_number(session: AsyncSession, incident_id: int, number: int, *, lock: bool = False) -> RowMapping | None:
    return await row(
        session,
        f"""SELECT b.*, {BULLETIN_VERSION} AS version FROM bulletin b JOIN incident i ON i.id = b.incident_id
            WHERE b.incident_id = :incident AND b.number = :number {"FOR NO KEY UPDATE OF b" if lock else ""}""",
        {"incident": incident_id, "number": number},
    )


async def of_incident(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    return await rows(
        session,
        f"""SELECT b.*, {BULLETIN_VERSION} AS version FROM bulletin b JOIN incident i ON i.id = b.incident_id
            WHERE b.incident_id = :id ORDER BY b.number""",
        {"id": incident_id},
    )


async def anybody_told(session: AsyncSession, incident_id: int) -> bool:
    """Whether a bulletin of this incident was ever sent."""
    found = await row(
        session,
        "SELECT EXISTS (SELECT FROM bulletin WHERE incident_id = :id AND sent_at IS NOT NULL) AS told",
        {"id": incident_id},
    )
    return bool(found and found["told"])


async def approvals(session: AsyncSession, bulletin_id: int) -> Sequence[RowMapping]:
    return await rows(
        session,
        """SELECT p.account_id, p.role, p.at, a.name FROM approval p JOIN account a ON a.id = p.account_id
           WHERE p.bulletin_id = :id ORDER BY p.id""",
        {"id": bulletin_id},
    )


async def add_approval(session: AsyncSession, bulletin_id: int, account_id: int, role: str, now: datetime) -> bool:
    added = await run(
        session,
        """INSERT INTO approval (bulletin_id, account_id, role, at) VALUES (:bulletin, :account, :role, :now)
           ON CONFLICT (bulletin_id, account_id) DO NOTHING""",
        {"bulletin": bulletin_id, "account": account_id, "role": role, "now": now},
    )
    return bool(added)


async def set_approved(session: AsyncSession, bulletin_id: int, *, warnings_accepted: bool, now: datetime) -> None:
    await run(
        session,
        """UPDATE bulletin SET state = 'approved', approved_at = :now, warnings_accepted = :accepted
           WHERE id = :id AND state = 'draft'""",
        {"id": bulletin_id, "accepted": warnings_accepted, "now": now},
    )


async def set_sent(session: AsyncSession, bulletin_id: int, *, by: int, now: datetime) -> None:
    await run(
        session,
        "UPDATE bulletin SET state = 'sent', sent_by = :by, sent_at = :now WHERE id = :id AND state = 'approved'",
        {"id": bulletin_id, "by": by, "now": now},
    )


async def set_cancelled(session: AsyncSession, bulletin_id: int, *, now: datetime) -> bool:
    changed = await run(
        session,
        "UPDATE bulletin SET state = 'cancelled', cancelled_at = :now WHERE id = :id AND state <> 'cancelled'",
        {"id": bulletin_id, "now": now},
    )
    return bool(changed)


async def people_counted(session: AsyncSession) -> int:
    found = await row(session, "SELECT count(*) AS people FROM person WHERE active")
    return int(found["people"]) if found else 0


async def expected_recipients(
    session: AsyncSession,
    *, members: tuple[str, dict[str, Any]], ladder: Sequence[str], channels: Sequence[str],
    countries: Sequence[str] | None,
) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:  # fmt: skip
    """Who would get it now: counts by (department, audience, first channel or None), and those whom nothing reaches."""
    chosen, parameters = members
    # Whom an earlier bulletin may have reached changes within seconds, faster than the planner counts: taken for a few,
    # they would be compared each with each.
    await run(session, "SET LOCAL enable_nestloop = off")
    given = parameters | route_parameters(channels, countries) | {"ladder": list(ladder)}
    counts = await rows(
        session,
        f"""
        WITH m AS ({chosen}), r AS MATERIALIZED ({routes_sql(among="m")}), first AS (
          SELECT DISTINCT ON (m.person_id) m.person_id, r.channel
          FROM m JOIN r ON r.person_id = m.person_id
          JOIN unnest(CAST(:ladder AS text[])) WITH ORDINALITY AS l (channel, rung) ON l.channel = r.channel
          ORDER BY m.person_id, l.rung
        )
        SELECT dep.name AS department, m.audience, first.channel, count(*) AS people
        FROM m JOIN person p ON p.id = m.person_id JOIN department dep ON dep.id = p.department_id
        LEFT JOIN first ON first.person_id = m.person_id
        GROUP BY dep.name, m.audience, first.channel ORDER BY dep.name
        """,
        given,
    )
    unreachable = await rows(
        session,
        f"""
        WITH m AS ({chosen}), why AS ({why_unreachable_sql(among="m")})
        SELECT p.employee_id AS person_id, p.name, dep.name AS department, why.reason
        FROM m JOIN why ON why.person_id = m.person_id JOIN person p ON p.id = m.person_id
        JOIN department dep ON dep.id = p.department_id
        ORDER BY p.employee_id
        """,
        {key: value for key, value in given.items() if key != "ladder"},
    )
    await run(session, "SET LOCAL enable_nestloop = on")
    return counts, unreachable


async def zones(session: AsyncSession, members: tuple[str, dict[str, Any]]) -> Sequence[str]:
    """Every time zone of those meant, as the directory spells it; '' for none."""
    chosen, parameters = members
    found = await rows(
        session,
        f"""SELECT DISTINCT coalesce(p.time_zone, '') AS zone FROM ({chosen}) m JOIN person p ON p.id = m.person_id
            ORDER BY 1""",
        parameters,
    )
    return [entry["zone"] for entry in found]


async def woken_by_zone(
    session: AsyncSession,
    *, members: tuple[str, dict[str, Any]], ladder: Sequence[str], channels: Sequence[str],
    countries: Sequence[str] | None, waking: Sequence[str],
) -> Sequence[RowMapping]:  # fmt: skip
    """(zone, people): those who would be tried by one of the `waking` channels first."""
    chosen, parameters = members
    return await rows(
        session,
        f"""
        WITH m AS ({chosen}), r AS MATERIALIZED ({routes_sql(among="m")}), first AS (
          SELECT DISTINCT ON (m.person_id) m.person_id, r.channel
          FROM m JOIN r ON r.person_id = m.person_id
          JOIN unnest(CAST(:ladder AS text[])) WITH ORDINALITY AS l (channel, rung) ON l.channel = r.channel
          ORDER BY m.person_id, l.rung
        )
        SELECT coalesce(p.time_zone, '') AS zone, count(*) AS people
        FROM first JOIN person p ON p.id = first.person_id WHERE first.channel = ANY(CAST(:waking AS text[]))
        GROUP BY 1
        """,
        parameters | route_parameters(channels, countries) | {"ladder": list(ladder), "waking": list(waking)},
    )


async def told_recipients(session: AsyncSession, bulletin_id: int) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:
    """The same for a sent bulletin, from its deliveries."""
    counts = await rows(
        session,
        """
        SELECT dep.name AS department, d.audience, a.channel, count(*) AS people
        FROM delivery d JOIN person_version v ON v.id = d.person_version_id
        JOIN department dep ON dep.id = v.department_id
        LEFT JOIN LATERAL (SELECT channel FROM attempt a WHERE a.delivery_id = d.id ORDER BY a.rung, a.seq LIMIT 1) a
          ON true
        WHERE d.bulletin_id = :id GROUP BY dep.name, d.audience, a.channel ORDER BY dep.name
        """,
        {"id": bulletin_id},
    )
    unreachable = await rows(
        session,
        """
        SELECT p.employee_id AS person_id, v.name, dep.name AS department, d.unreachable_reason AS reason
        FROM delivery d JOIN person p ON p.id = d.person_id JOIN person_version v ON v.id = d.person_version_id
        JOIN department dep ON dep.id = v.department_id
        WHERE d.bulletin_id = :id AND d.unreachable_reason IS NOT NULL ORDER BY p.employee_id
        """,
        {"id": bulletin_id},
    )
    return counts, unreachable


async def channels_in_trouble(session: AsyncSession, channels: Sequence[str], *, fresh: float) -> Sequence[RowMapping]:
    """Of these, by what their providers said within `fresh` seconds: `channel`, `detail` and `misconfigured`."""
    return await rows(
        session,
        """SELECT provider AS channel, detail, misconfigured FROM provider_health
           WHERE provider = ANY(:channels) AND NOT ok
             AND checked_at > clock_timestamp() - make_interval(secs => :fresh)
           ORDER BY array_position(CAST(:channels AS text[]), provider)""",
        {"channels": list(channels), "fresh": fresh},
    )


async def parts_today(session: AsyncSession, *, since: datetime) -> int:
    """Parts of texts that were handed over since then, or are about to be."""
    found = await row(
        session,
        """SELECT coalesce(sum(parts), 0) AS n FROM attempt
           WHERE channel = 'sms' AND (accepted_at > :since OR state IN ('handing_over', 'unknown')
             OR (state = 'queued' AND lease_until > clock_timestamp()))""",
        {"since": since},
    )
    return int(found["n"]) if found else 0


async def commander_is_here(session: AsyncSession, incident_id: int) -> bool:
    """Whether the incident's present commander is somebody in the directory, who can be told of others."""
    found = await row(
        session,
        """SELECT 1 AS one FROM role_assignment ra LEFT JOIN account a ON a.id = ra.account_id
           JOIN person p ON p.active AND (p.id = ra.person_id OR p.employee_id = a.person_employee_id)
           WHERE ra.incident_id = :incident AND ra.role = 'incident_commander' AND ra.released_at IS NULL LIMIT 1""",
        {"incident": incident_id},
    )
    return found is not None


@dataclass(frozen=True)
class Writing:
    """Somebody who writes: at the page (`number` is None), or with a draft that is not sent yet."""

    account_id: int
    name: str
    since: datetime
    number: int | None
    state: str


async def writing(session: AsyncSession, incident_id: int, *, now: datetime) -> list[Writing]:
    """Drafts that may still be sent, and who has the page open; the oldest first."""
    found = await rows(
        session,
        """SELECT b.created_by AS account_id, a.name, b.created_at AS since, b.number, b.state
           FROM bulletin b JOIN account a ON a.id = b.created_by
           WHERE b.incident_id = :id AND b.state IN ('draft', 'approved')
             AND b.number > coalesce((SELECT max(s.number) FROM bulletin s
                                      WHERE s.incident_id = :id AND s.sent_at IS NOT NULL), 0)
           UNION ALL
           SELECT w.account_id, a.name, w.since, NULL, 'open'
           FROM bulletin_writer w JOIN account a ON a.id = w.account_id
           WHERE w.incident_id = :id AND w.until > :now
           ORDER BY since, account_id""",
        {"id": incident_id, "now": now},
    )
    return [Writing(**entry) for entry in found]


async def set_writing(
    session: AsyncSession, incident_id: int, account_id: int, *, now: datetime, until: datetime
) -> bool:
    """Whether this account was not writing just before."""
    found = await row(
        session,
        """INSERT INTO bulletin_writer AS w (incident_id, account_id, since, until) VALUES (:id, :account, :now, :until)
           ON CONFLICT (incident_id, account_id) DO UPDATE
             SET until = :until, since = CASE WHEN w.until > :now THEN w.since ELSE :now END
           RETURNING since""",
        {"id": incident_id, "account": account_id, "now": now, "until": until},
    )
    return bool(found and found["since"] == now)


async def keep_writing(
    session: AsyncSession, incident_id: int, account_id: int, *, now: datetime, until: datetime
) -> bool:
    """As `set_writing`, but only where a page was opened and not sent off since."""
    found = await row(
        session,
        """UPDATE bulletin_writer SET until = :until, since = CASE WHEN until > :now THEN since ELSE :now END
           WHERE incident_id = :id AND account_id = :account RETURNING since""",
        {"id": incident_id, "account": account_id, "now": now, "until": until},
    )
    return bool(found and found["since"] == now)


async def end_writing(session: AsyncSession, incident_id: int, account_id: int) -> None:
    await run(
        session,
        "DELETE FROM bulletin_writer WHERE incident_id = :id AND account_id = :account",
        {"id": incident_id, "account": account_id},
    )


@dataclass(frozen=True)
class Repeat:
    """An earlier bulletin of the incident that told these people the same words. `people`: how many of them."""

    bulletin: int
    sent_at: datetime
    by: str
    people: int


async def repeats(
    session: AsyncSession, bulletin_id: int, *, members: tuple[str, dict[str, Any]], since: datetime
) -> Repeat | None:
    """The last bulletin sent after `since` from which most of the `members` have, or will have, the same words."""
    chosen, parameters = members
    states = ", ".join(f"'{state}'" for state in NOTHING_CAME)
    found = await row(
        session,
        f"""
        WITH earlier AS (
          SELECT e.id, e.number, e.sent_at, e.sent_by FROM bulletin e JOIN bulletin b ON b.incident_id = e.incident_id
          WHERE b.id = :repeated AND e.id <> b.id AND e.sent_at > :repeated_since
        ), words AS (
          SELECT m.bulletin_id, m.audience,
                 jsonb_agg(jsonb_build_array(m.channel, m.language, m.subject, m.text)
                           ORDER BY m.channel, m.language) AS said
          FROM message m WHERE m.bulletin_id = :repeated OR m.bulletin_id IN (SELECT id FROM earlier)
          GROUP BY m.bulletin_id, m.audience
        ), same AS (
          SELECT e.id, e.number, e.sent_at, e.sent_by, mine.audience, other.audience AS told_as
          FROM words mine JOIN words other ON other.said = mine.said JOIN earlier e ON e.id = other.bulletin_id
          WHERE mine.bulletin_id = :repeated
        ), m AS ({chosen})
        SELECT same.number AS bulletin, same.sent_at, coalesce(a.name, 'Muster') AS by,
               count(DISTINCT m.person_id) AS people
        FROM m JOIN same ON same.audience = m.audience
        JOIN delivery d ON d.bulletin_id = same.id AND d.person_id = m.person_id AND d.audience = same.told_as
        LEFT JOIN account a ON a.id = same.sent_by
        WHERE d.unreachable_reason IS NULL AND (d.cancelled_at IS NULL OR EXISTS (
          SELECT FROM attempt t WHERE t.delivery_id = d.id AND t.state NOT IN ({states})))
        GROUP BY same.number, same.sent_at, a.name ORDER BY people DESC, same.number DESC LIMIT 1""",
        parameters | {"repeated": bulletin_id, "repeated_since": since},
    )
    return Repeat(**found) if found else None
