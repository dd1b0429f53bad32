"""SQL of the directory, the import's apart (`merge.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.directory.audiences import route_parameters, routes_sql, why_unreachable_sql
from app.directory.folding import fold, fold_sql
from app.kernel.db import row, rows, run

_PERSON = """
  SELECT p.id AS person_id, p.employee_id AS id, p.name, d.name AS department, p.title, p.site,
         m.employee_id AS manager_id, p.language, p.time_zone, p.shift, p.active
  FROM person p JOIN department d ON d.id = p.department_id LEFT JOIN person m ON m.id = p.manager_id
"""

_WITH_CONTACT_POINTS = """
SELECT page.*, (
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'kind', c.kind, 'address', c.address, 'country', c.country, 'suppressed', (
        SELECT coalesce(jsonb_agg(DISTINCT s.reason), '[]') FROM suppression s WHERE s.address = c.address),
      'flags', (
        SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('channel', s.channel, 'reason', s.reason,
            'since', s.since, 'by', (SELECT a.name FROM account a WHERE a.id = s.by_account)))
          ORDER BY s.since, s.channel, s.reason), '[]')
        FROM suppression s WHERE s.address = c.address)
    ) ORDER BY c.position), '[]')
  FROM contact_point c WHERE c.person_id = page.person_id
) AS contact_points
FROM page ORDER BY page.id
"""

_FLAGGED = "EXISTS (SELECT FROM contact_point c JOIN suppression s ON s.address = c.address WHERE c.person_id = p.id)"

# `!` escapes: it reads the same in every language that this text passes through.
_LIKE = str.maketrans({"!": "!!", "%": "!%", "_": "!_"})


async def people(
    session: AsyncSession,
    *, department: str | None, site: str | None, active: bool | None, q: str | None, flagged: bool | None,
    only_department: str | None, after: str | None, limit: int,
) -> list[RowMapping]:  # fmt: skip
    """At most `limit` people in the order of the employer's id, from the one after `after`."""
    conditions, parameters = ["true"], {"limit": limit}
    wanted: dict[str, tuple[str, Any]] = {
        "department": ("d.key = :department", department and fold(department)),
        "only_department": ("d.key = :only_department", only_department and fold(only_department)),
        "site": (f"{fold_sql('p.site')} = {fold_sql('CAST(:site AS text)')}", site),
        "active": ("p.active = :active", active),
        "flagged": (f"{_FLAGGED} = :flagged", flagged),
        "after": ("p.employee_id > :after", after),
        "q": (
            "(p.name ILIKE :q ESCAPE '!' OR p.employee_id ILIKE :q ESCAPE '!' OR p.title ILIKE :q ESCAPE '!')",
            f"%{q.strip().translate(_LIKE)}%" if q and q.strip() else None,
        ),
    }
    for name, (condition, value) in wanted.items():
        if value is not None:
            conditions.append(condition)
            parameters[name] = value
    sql = f"""WITH page AS ({_PERSON} WHERE {" AND ".join(conditions)} ORDER BY p.employee_id LIMIT :limit)
              {_WITH_CONTACT_POINTS}"""
    return list(await rows(session, sql, parameters))


async def person(session: AsyncSession, employee_id: str) -> RowMapping | None:
    return await row(
        session,
        f"WITH page AS ({_PERSON} WHERE p.employee_id = :employee_id) {_WITH_CONTACT_POINTS}",
        {"employee_id": employee_id},
    )


async def people_at(session: AsyncSession, spellings: Sequence[str]) -> list[RowMapping]:
    """Active people with one of these numbers: those who have the first, else those who have another, as long as all
    of them have the same. By several numbers it could be anybody's."""
    return list(
        await rows(
            session,
            """WITH held AS (
                 SELECT c.person_id, c.address, min(c.kind) AS kind
                 FROM contact_point c JOIN person p ON p.id = c.person_id AND p.active
                 WHERE c.address = ANY(CAST(:spellings AS text[])) AND c.kind IN ('mobile', 'phone')
                 GROUP BY c.person_id, c.address
               ), chosen AS (
                 SELECT coalesce(min(address) FILTER (WHERE address = :given),
                                 CASE WHEN count(DISTINCT address) = 1 THEN min(address) END) AS address FROM held
               )
               SELECT p.id AS person_id, p.employee_id AS id, p.name, d.name AS department, held.kind
               FROM held JOIN chosen USING (address) JOIN person p ON p.id = held.person_id
               JOIN department d ON d.id = p.department_id ORDER BY p.id""",
            {"spellings": list(spellings), "given": spellings[0]},
        )
    )


async def people_mailed(session: AsyncSession, address: str) -> list[RowMapping]:
    return list(
        await rows(
            session,
            """SELECT p.id AS person_id, p.employee_id AS id, p.name, d.name AS department
               FROM contact_point c JOIN person p ON p.id = c.person_id JOIN department d ON d.id = p.department_id
               WHERE c.address = :address AND c.kind = 'email' AND p.active ORDER BY p.id""",
            {"address": address},
        )
    )


async def suppress(session: AsyncSession, addresses: Sequence[str], channel: str, reason: str, at: datetime) -> bool:
    return bool(
        await run(
            session,
            """INSERT INTO suppression (address, channel, reason, since)
               SELECT address, :channel, :reason, :at FROM unnest(CAST(:addresses AS text[])) AS a (address)
               ORDER BY address
               ON CONFLICT (address, channel, reason) DO UPDATE SET by_account = NULL
                 WHERE suppression.by_account IS NOT NULL""",
            {"addresses": list(addresses), "channel": channel, "reason": reason, "at": at},
        )
    )


async def opt_out(
    session: AsyncSession, addresses: Sequence[str], channel: str, at: datetime, *, account_id: int
) -> bool:
    """On the holder's behalf; false when the address was opted out already."""
    return bool(
        await run(
            session,
            """INSERT INTO suppression (address, channel, reason, since, by_account)
               SELECT address, :channel, 'opted_out', :at, :account
               FROM unnest(CAST(:addresses AS text[])) AS a (address) ORDER BY address
               ON CONFLICT (address, channel, reason) DO NOTHING""",
            {"addresses": list(addresses), "channel": channel, "at": at, "account": account_id},
        )
    )


async def opt_in(session: AsyncSession, addresses: Sequence[str], channel: str) -> bool:
    """Ends an opt-out that was recorded on the holder's behalf; false when there was none."""
    return bool(
        await run(
            session,
            """DELETE FROM suppression WHERE address = ANY(CAST(:addresses AS text[])) AND channel = :channel
               AND reason = 'opted_out' AND by_account IS NOT NULL""",
            {"addresses": list(addresses), "channel": channel},
        )
    )


async def add_contact_note(
    session: AsyncSession, person: int, kind: str, reason: str, *, opted_out: bool, account_id: int, at: datetime
) -> int:
    """Keeps why somebody opted an address out or in; its id."""
    found = await row(
        session,
        """INSERT INTO contact_note (person_id, kind, opted_out, reason, by_account, at)
           VALUES (:person, :kind, :out, :reason, :account, :at) RETURNING id""",
        {"person": person, "kind": kind, "out": opted_out, "reason": reason, "account": account_id, "at": at},
    )
    assert found
    return int(found["id"])


async def lift(session: AsyncSession, addresses: Sequence[str], channel: str, reason: str) -> bool:
    return bool(
        await run(
            session,
            """DELETE FROM suppression
               WHERE address = ANY(CAST(:addresses AS text[])) AND channel = :channel AND reason = :reason""",
            {"addresses": list(addresses), "channel": channel, "reason": reason},
        )
    )


async def sites(session: AsyncSession) -> dict[str, int]:
    found = await rows(
        session,
        """SELECT site, count(*) FILTER (WHERE active) AS n FROM person
           WHERE site IS NOT NULL GROUP BY site ORDER BY site""",
    )
    return {entry["site"]: entry["n"] for entry in found}


async def departments(session: AsyncSession) -> dict[str, int]:
    found = await rows(
        session,
        """SELECT d.name, count(p.id) AS n FROM department d
           LEFT JOIN person p ON p.department_id = d.id AND p.active GROUP BY d.id ORDER BY d.name""",
    )
    return {entry["name"]: entry["n"] for entry in found}


async def names(session: AsyncSession) -> dict[str, list[str]]:
    found = await row(
        session,
        """SELECT array_agg(DISTINCT d.name) AS departments,
                  array_remove(array_agg(DISTINCT p.site), NULL) AS sites,
                  array_remove(array_agg(DISTINCT p.title), NULL) AS titles,
                  array_remove(array_agg(DISTINCT p.shift), NULL) AS shifts,
                  array_agg(DISTINCT p.employee_id) AS people
           FROM person p JOIN department d ON d.id = p.department_id WHERE p.active""",
    )
    assert found is not None
    return {kind: list(there or ()) for kind, there in found.items()}


async def countries(session: AsyncSession) -> dict[str, int]:
    found = await rows(
        session,
        """SELECT c.country, count(*) AS n FROM contact_point c JOIN person p ON p.id = c.person_id
           WHERE p.active AND c.country IS NOT NULL GROUP BY c.country ORDER BY n DESC, c.country""",
    )
    return {entry["country"]: entry["n"] for entry in found}


async def time_zones(session: AsyncSession) -> list[RowMapping]:
    return list(
        await rows(
            session,
            """SELECT coalesce(time_zone, '') AS zone, count(*) AS people,
                      (array_agg(employee_id ORDER BY employee_id))[1:5] AS some
               FROM person WHERE active GROUP BY 1 ORDER BY people DESC, zone""",
        )
    )


async def unreachable(
    session: AsyncSession, *, channels: Sequence[str], allowed: Sequence[str] | None, department: str | None
) -> list[RowMapping]:
    return list(
        await rows(
            session,
            f"""SELECT p.id AS person_id, p.employee_id AS id, p.name, d.name AS department, why.reason
                FROM ({why_unreachable_sql()}) AS why
                JOIN person p ON p.id = why.person_id AND p.active
                JOIN department d ON d.id = p.department_id
                WHERE CAST(:department AS text) IS NULL OR d.key = :department
                ORDER BY p.employee_id""",
            {**route_parameters(channels, allowed), "department": None if department is None else fold(department)},
        )
    )


async def flagged_people(
    session: AsyncSession,
    *, department: str | None, after: str | None, limit: int, channels: Sequence[str], allowed: Sequence[str] | None,
) -> list[RowMapping]:  # fmt: skip
    return list(
        await rows(
            session,
            f"""
            WITH page AS MATERIALIZED (
              SELECT p.id AS person_id, p.employee_id AS id, p.name, p.title, p.site, d.name AS department, d.key
              FROM person p JOIN department d ON d.id = p.department_id
              WHERE p.active AND {_FLAGGED} AND (CAST(:department AS text) IS NULL OR d.key = :department)
                AND (CAST(:after AS text) IS NULL OR (d.key, p.name, p.employee_id) > (
                  SELECT dx.key, x.name, x.employee_id FROM person x JOIN department dx ON dx.id = x.department_id
                  WHERE x.employee_id = :after))
              ORDER BY d.key, p.name, p.employee_id LIMIT :limit
            ), route AS MATERIALIZED ({routes_sql(among="page")})
            SELECT page.*, (
              SELECT jsonb_agg(jsonb_build_object('kind', f.kind, 'address', f.address, 'reason', f.reason,
                       'channels', f.channels, 'since', f.since, 'by', f.by) ORDER BY f.position, f.since, f.reason)
              FROM (SELECT c.kind, c.address, c.position, s.reason, min(s.since) AS since,
                           jsonb_agg(s.channel ORDER BY s.channel) AS channels,
                           (SELECT a.name FROM account a WHERE a.id = min(s.by_account)) AS by
                    FROM contact_point c JOIN suppression s ON s.address = c.address
                    WHERE c.person_id = page.person_id GROUP BY c.id, s.reason) f
            ) AS flagged, (
              SELECT coalesce(jsonb_object_agg(route.channel, route.address), '{{}}') FROM route
              WHERE route.person_id = page.person_id
            ) AS routes
            FROM page ORDER BY page.key, page.name, page.id
            """,
            {
                **route_parameters(channels, allowed),
                "department": None if department is None else fold(department), "after": after, "limit": limit,
            },
        )
    )  # fmt: skip


async def flagged_counts(session: AsyncSession, department: str | None) -> list[RowMapping]:
    return list(
        await rows(
            session,
            """SELECT d.name AS department, count(DISTINCT flagged.person_id) AS people,
                      count(*) FILTER (WHERE flagged.refused) AS to_mend,
                      count(*) FILTER (WHERE NOT flagged.refused) AS opted_out
               FROM (SELECT c.person_id, c.id, bool_or(s.reason <> 'opted_out') AS refused
                     FROM suppression s JOIN contact_point c ON c.address = s.address GROUP BY c.id) flagged
               JOIN person p ON p.id = flagged.person_id AND p.active JOIN department d ON d.id = p.department_id
               WHERE CAST(:department AS text) IS NULL OR d.key = :department
               GROUP BY d.id ORDER BY d.key""",
            {"department": None if department is None else fold(department)},
        )
    )


async def contact_point(session: AsyncSession, employee_id: str, kind: str) -> RowMapping | None:
    return await row(
        session,
        """SELECT c.id, c.address, c.kind, p.id AS person_id, d.name AS department
           FROM contact_point c JOIN person p ON p.id = c.person_id JOIN department d ON d.id = p.department_id
           WHERE p.employee_id = :person AND c.kind = :kind""",
        {"person": employee_id, "kind": kind},
    )


async def lift_refusals(session: AsyncSession, address: str) -> list[str]:
    """Ends what the network said of an address; returns those reasons. What its holder chose stays."""
    found = await rows(
        session,
        "DELETE FROM suppression WHERE address = :address AND reason IN ('invalid', 'landline') RETURNING reason",
        {"address": address},
    )
    return sorted({entry["reason"] for entry in found})
