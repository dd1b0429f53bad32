"""SQL of the pages, for what no other room reads out: each is one statement whatever the number of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.status import ATTEMPT_SUMMARY, GONE, STATUS
from app.directory.audiences import AudienceSpec, members_sql, route_parameters, routes_sql
from app.directory.folding import fold
from app.directory.versions import ACTOR_THEN_SQL, PERSON_THEN_SQL
from app.kernel.db import row, rows
from app.replies.help_requests import HELP_NUMBER, HELP_TOLD, HELP_TOLD_LATER
from app.replies.own_words import HELP_WORDS, OwnWords, words_of


@dataclass(frozen=True)
class Expected:
    """Who would be told now. `channels` counts people by the first channel that reaches them."""

    total: int
    channels: dict[str, int]
    departments: dict[str, int]
    unreachable: int


async def expected(
    session: AsyncSession,
    *, specs: Sequence[AudienceSpec], ladder: Sequence[str], channels: Sequence[str], countries: Sequence[str] | None,
) -> Expected:  # fmt: skip
    """Counts everybody in the audiences by department and by first channel."""
    members, parameters = members_sql(specs)
    found = await rows(
        session,
        f"""
        WITH m AS MATERIALIZED ({members}), r AS MATERIALIZED ({routes_sql(among="m")}), first AS (
          SELECT DISTINCT ON (r.person_id) r.person_id, r.channel
          FROM r JOIN unnest(CAST(:ladder AS text[])) WITH ORDINALITY AS l (channel, rung) ON l.channel = r.channel
          ORDER BY r.person_id, l.rung
        )
        SELECT dep.name AS department, first.channel, count(*) AS people
        FROM m JOIN person p ON p.id = m.person_id JOIN department dep ON dep.id = p.department_id
        LEFT JOIN first ON first.person_id = m.person_id
        GROUP BY 1, 2 ORDER BY 1
        """,
        parameters | route_parameters(channels, countries) | {"ladder": list(ladder)},
    )
    by_channel: dict[str, int] = {}
    by_department: dict[str, int] = {}
    unreachable = 0
    for entry in found:
        by_department[entry["department"]] = by_department.get(entry["department"], 0) + entry["people"]
        if entry["channel"] is None:
            unreachable += entry["people"]
        else:
            by_channel[entry["channel"]] = by_channel.get(entry["channel"], 0) + entry["people"]
    return Expected(sum(by_department.values()), by_channel, by_department, unreachable)


@dataclass(frozen=True)
class OpenHelp:
    """A help request that nobody has closed. `number`: the first that the person may be called at, in full.

    `told` and `told_later` name who knows of it, and who will; `climb_at`: when the next are told.
    """

    id: int
    employee_id: str
    name: str
    title: str | None
    site: str | None
    department: str
    opened_at: datetime
    taken_at: datetime | None
    taken_by_id: int | None
    taken_by: str | None
    climb_at: datetime | None
    told: tuple[str, ...]
    told_later: tuple[str, ...]
    number: str | None
    words: tuple[OwnWords, ...]


async def open_help(
    session: AsyncSession, incident_id: int, *, department: str | None, limit: int
) -> tuple[list[OpenHelp], int]:
    """(help requests that nobody has closed, the oldest first; how many there are in all)."""
    found = await rows(
        session,
        f"""
        SELECT h.id, h.opened_at, h.taken_at, h.taken_by AS taken_by_id, a.name AS taken_by, p.employee_id, v.name,
               v.title, v.site, dep.name AS department, count(*) OVER () AS in_all, h.climb_at,
               {HELP_TOLD} AS told, {HELP_TOLD_LATER} AS told_later, {HELP_NUMBER}, {HELP_WORDS} AS words
        FROM help_request h JOIN person p ON p.id = h.person_id JOIN person_version v ON v.id = h.person_version_id
        JOIN department dep ON dep.id = v.department_id JOIN department present ON present.id = p.department_id
        LEFT JOIN account a ON a.id = h.taken_by
        WHERE h.incident_id = :incident AND h.closed_at IS NULL
          AND (CAST(:department AS text) IS NULL OR :department IN (dep.key, present.key))
        ORDER BY (h.taken_by IS NOT NULL), h.opened_at, h.id LIMIT :limit
        """,
        {"incident": incident_id, "department": fold(department) if department else None, "limit": limit},
    )
    shown = [
        OpenHelp(
            **{name: value for name, value in entry.items() if name not in ("in_all", "told", "told_later", "words")},
            told=tuple(entry["told"]),
            told_later=tuple(entry["told_later"]),
            words=words_of(entry["words"]),
        )
        for entry in found
    ]
    return shown, int(found[0]["in_all"]) if found else 0


async def recent_timeline(session: AsyncSession, key: str, incident_id: int, *, limit: int) -> Sequence[RowMapping]:
    """What happened last, newest first. Answers are folded: `answers` came after an entry and before the next one."""
    return await rows(
        session,
        f"""
        WITH shown AS (
          SELECT seq, at, actor, kind, data, lag(seq) OVER (ORDER BY seq DESC) AS next_seq
          FROM audit_entry WHERE stream = :key AND kind NOT IN ('acknowledged', 'answer_changed')
          ORDER BY seq DESC LIMIT :limit
        )
        SELECT e.seq, e.at, e.kind, e.data, pv.name AS person, n.text AS note,
               coalesce(account.name, who.name, CASE WHEN e.actor = 'system' THEN NULL ELSE e.actor END) AS actor,
               folded.answers, folded.first_at, folded.last_at
        FROM shown e
        LEFT JOIN person_version pv ON pv.id = {PERSON_THEN_SQL}
        LEFT JOIN incident_note n ON n.id = (e.data ->> 'note')::bigint AND n.incident_id = :incident
        LEFT JOIN account ON e.actor = 'account:' || account.id
        LEFT JOIN person_version who ON who.id = {ACTOR_THEN_SQL}
        CROSS JOIN LATERAL (
          SELECT count(*) AS answers, min(a.at) AS first_at, max(a.at) AS last_at FROM audit_entry a
          WHERE a.stream = :key AND a.kind IN ('acknowledged', 'answer_changed')
            AND a.seq > e.seq AND a.seq < coalesce(e.next_seq, 9223372036854775807)) folded
        ORDER BY e.seq DESC
        """,
        {"key": key, "incident": incident_id, "limit": limit},
    )


async def sends(session: AsyncSession, bulletin_id: int) -> Sequence[RowMapping]:
    """When each step of a bulletin's ladder began to be handed over, by channel, and to how many people it was."""
    return await rows(
        session,
        """
        SELECT a.rung, a.channel, min(a.handed_over_at) AS at, count(*) AS people
        FROM attempt a JOIN delivery d ON d.id = a.delivery_id
        WHERE d.bulletin_id = :bulletin AND a.seq = 0 AND a.handed_over_at IS NOT NULL
        GROUP BY a.rung, a.channel ORDER BY 3, 1
        """,
        {"bulletin": bulletin_id},
    )


async def unanswered(
    session: AsyncSession, bulletin: RowMapping, *, department: str | None, limit: int
) -> Sequence[RowMapping]:
    """Everybody who has not answered, by department, site and name, with every number they have. Of news: everybody
    who does not have it."""
    return await rows(
        session,
        f"""
        WITH each_one AS (
          SELECT d.id, p.id AS person_id, p.employee_id, v.name, v.title, v.site, dep.name AS department,
                 dep.key AS department_key, {STATUS} AS status
          FROM delivery d JOIN person p ON p.id = d.person_id JOIN person_version v ON v.id = d.person_version_id
          JOIN department dep ON dep.id = v.department_id
          JOIN incident i ON i.id = d.incident_id
          LEFT JOIN ({ATTEMPT_SUMMARY} JOIN delivery x ON x.id = a.delivery_id
                     WHERE x.bulletin_id = :bulletin GROUP BY a.delivery_id) s ON s.delivery_id = d.id
          WHERE d.bulletin_id = :bulletin AND d.response IS NULL AND NOT {GONE}
        )
        SELECT e.*, count(*) OVER () AS in_all,
          (SELECT coalesce(jsonb_agg(c.address ORDER BY c.position), '[]') FROM contact_point c
           WHERE c.person_id = e.person_id AND c.kind <> 'email') AS numbers
        FROM each_one e
        WHERE (CAST(:department AS text) IS NULL OR e.department_key = :department) AND (:asks OR e.status <> 'waiting')
        ORDER BY e.department, e.site NULLS LAST, e.name, e.employee_id LIMIT :limit
        """,
        {
            "bulletin": bulletin["id"], "asks": bulletin["asks"], "limit": limit,
            "department": fold(department) if department else None,
        },
    )  # fmt: skip


async def people_known(session: AsyncSession) -> int:
    """How many active people the directory holds."""
    found = await row(session, "SELECT count(*) AS people FROM person WHERE active")
    return int(found["people"]) if found else 0
