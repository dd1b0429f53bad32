"""SQL that finds one person under several ids: in the file, in the directory, or in both.

A spreadsheet that drops leading zeros makes a second person of everybody, and each of them would be told twice. All of
it is set-based; names and ids are folded by the database on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.directory.folding import fold_sql, id_key_sql
from app.kernel.db import rows

SHARED_MAILBOX = 5
"""An address that more people than this have is a mailbox shared on purpose, and no sign of one person."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A row of the file whose person is there under another id. `other_line` is None for one of the directory."""

    line: int
    employee_id: str
    other: str
    other_line: int | None


@dataclass(frozen=True, slots=True)
class Likeness:
    """A person of the file who may be another one: `column` says what is alike."""

    line: int
    employee_id: str
    column: str
    other: str


async def take_out_twins(session: AsyncSession, alike: Sequence[str]) -> list[Twin]:
    """Takes rows out of the staging table whose id differs from another only in zeros, case or spaces, and whose name
    and one number are the same. An id that the directory knows stays, else the one on the earlier line.

    `alike`: ids of the file that are alike among themselves. Whoever has left is no twin: coming back under another id
    would reach nobody.
    """
    key, called = id_key_sql("i.employee_id"), fold_sql("i.name")
    found = await rows(
        session,
        f"""
        WITH given AS MATERIALIZED (
          SELECT i.line, i.employee_id, known.id IS NOT NULL AS known, {key} AS key, {called} AS called, n.address
          FROM people_import i LEFT JOIN person known ON known.employee_id = i.employee_id
          CROSS JOIN LATERAL (SELECT DISTINCT unnest(ARRAY[i.mobile, i.phone])) AS n (address)
          WHERE n.address IS NOT NULL AND (
            i.employee_id = ANY(CAST(:alike AS text[]))
            OR (known.id IS NULL AND n.address IN (SELECT address FROM contact_point)))
        ), held AS MATERIALIZED (
          SELECT p.employee_id, {id_key_sql("p.employee_id")} AS key, {fold_sql("p.name")} AS called, c.address
          FROM contact_point c JOIN person p ON p.id = c.person_id AND p.active
          WHERE c.address IN (SELECT address FROM given WHERE NOT known)
        ), twin AS (
          SELECT DISTINCT ON (line) * FROM (
            SELECT g.line, g.employee_id, h.employee_id AS other, CAST(NULL AS integer) AS other_line
            FROM given g JOIN held h USING (address, key, called) WHERE NOT g.known
            UNION ALL
            SELECT g.line, g.employee_id, o.employee_id, o.line
            FROM given g JOIN given o USING (address, key, called)
            WHERE NOT g.known AND o.line <> g.line AND (o.known OR o.line < g.line)
          ) AS each_twin ORDER BY line, other_line NULLS FIRST
        ), gone AS (
          DELETE FROM people_import i USING twin WHERE i.line = twin.line
        )
        SELECT line, employee_id, other, other_line FROM twin ORDER BY line
        """,
        {"alike": list(alike)},
    )
    return [Twin(**entry) for entry in found]


async def likenesses(session: AsyncSession) -> list[Likeness]:
    """After the merge: people of the file who share with somebody active the id but for zeros, a number and the name,
    or the mail address. Each pair once, by the first of these; the later of the two is named."""
    found = await rows(
        session,
        f"""
        WITH alike AS (
          SELECT 1 AS place, 'id' AS "column", array_agg(id) AS people
          FROM (SELECT id, {id_key_sql("employee_id")} AS key FROM person) AS keyed GROUP BY key HAVING count(*) > 1
          UNION ALL
          SELECT 2, min(c.kind), array_agg(DISTINCT p.id)
          FROM contact_point c JOIN person p ON p.id = c.person_id AND p.active
          WHERE c.kind <> 'email' AND c.address IN (
            SELECT address FROM contact_point WHERE kind <> 'email' GROUP BY address HAVING count(*) > 1)
          GROUP BY c.address, {fold_sql("p.name")} HAVING count(DISTINCT p.id) > 1
          UNION ALL
          SELECT 3, 'email', array_agg(p.id)
          FROM contact_point c JOIN person p ON p.id = c.person_id AND p.active WHERE c.kind = 'email'
          GROUP BY c.address HAVING count(*) BETWEEN 2 AND {SHARED_MAILBOX}
        ), member AS (
          SELECT alike.place, alike."column", i.line, p.employee_id,
                 first_value(p.employee_id) OVER (
                   PARTITION BY alike.place, alike.people ORDER BY i.line NULLS FIRST, p.id) AS other
          FROM alike CROSS JOIN LATERAL unnest(alike.people) AS m (id) JOIN person p ON p.id = m.id
          LEFT JOIN people_import i ON i.employee_id = p.employee_id
        )
        SELECT DISTINCT ON (line, other) line, employee_id, "column", other
        FROM member WHERE line IS NOT NULL AND employee_id <> other ORDER BY line, other, place
        """,
    )
    return [Likeness(**entry) for entry in found]
