"""SQL of the people import: rows go into a staging table by COPY, then a handful of set-based statements merge them.

Everything happens in the caller's transaction; the staging tables vanish with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.directory.folding import id_key_sql
from app.directory.importing import STAGED, TEXTS, Nameless
from app.directory.managers import Link, cuts
from app.kernel.db import driver_connection, row, rows, run
from app.kernel.locks import Lock

_STAGED_NAMES = ", ".join(name for name, _ in STAGED)


@dataclass(frozen=True)
class Counts:
    created: int
    updated: int
    deactivated: int


@dataclass(frozen=True, slots=True)
class ManagerRead:
    """A manager's id that nobody has, taken for `meant`, the only one that differs from it in zeros, case or spaces."""

    line: int
    employee_id: str
    manager: str
    meant: str


@dataclass(frozen=True, slots=True)
class Circle:
    """A row whose manager closes a circle and was left out. `path` are the employer's ids from this person back to
    them; `kept` says whether the known manager stays."""

    line: int
    path: tuple[str, ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class Merged:
    counts: Counts
    read: list[ManagerRead]
    circles: list[Circle]


async def open_staging(session: AsyncSession) -> None:
    # Reading a large file pauses between statements for longer than a request may, and the merge may take longer.
    await run(session, "SET LOCAL statement_timeout = '10min'")
    await run(session, "SET LOCAL idle_in_transaction_session_timeout = '10min'")
    columns = ", ".join(f"{name} {kind}" for name, kind in STAGED)
    await run(session, f"CREATE TEMP TABLE people_import ({columns}) ON COMMIT DROP")
    await run(session, "CREATE TEMP TABLE people_created (person_id bigint PRIMARY KEY) ON COMMIT DROP")
    await run(session, "CREATE TEMP TABLE people_touched (person_id bigint PRIMARY KEY) ON COMMIT DROP")


async def stage(session: AsyncSession, copy_text: bytes) -> None:
    """Appends rows in COPY's text format."""
    connection = await driver_connection(session)
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY people_import ({_STAGED_NAMES}) FROM STDIN") as copy,
    ):
        await copy.write(copy_text)


async def lock(session: AsyncSession) -> None:
    """Waits for an import that runs now, and gives the planner the staged rows' true number."""
    await run(session, "SELECT pg_advisory_xact_lock(:key)", {"key": Lock.IMPORT.value})
    await run(session, "ANALYZE people_import")


async def active_count(session: AsyncSession) -> int:
    found = await row(session, "SELECT count(*) AS n FROM person WHERE active")
    assert found
    return int(found["n"])


_MISSING = """
  FROM person p
  WHERE p.active
    AND NOT EXISTS (SELECT FROM people_import i WHERE i.employee_id = p.employee_id)
    AND NOT EXISTS (SELECT FROM unnest(CAST(:ids AS text[])) AS seen(id) WHERE seen.id = p.employee_id)
    AND NOT EXISTS (SELECT FROM unnest(CAST(:names AS text[])) AS seen(name) WHERE lower(seen.name) = lower(p.name))
    AND NOT EXISTS (
      SELECT FROM contact_point c WHERE c.person_id = p.id AND c.address = ANY(CAST(:addresses AS text[])))
"""
"""Active people whom the file does not mention: not by an id, rejected or not, nor by a row without an id."""


def _seen(rejected_ids: Sequence[str], nameless: Nameless) -> dict[str, list[str]]:
    return {"ids": list(rejected_ids), "names": nameless.names, "addresses": nameless.addresses}


async def missing_count(session: AsyncSession, rejected_ids: Sequence[str], nameless: Nameless) -> int:
    found = await row(session, f"SELECT count(*) AS n {_MISSING}", _seen(rejected_ids, nameless))
    assert found
    return int(found["n"])


async def deactivate_missing(
    session: AsyncSession, rejected_ids: Sequence[str], nameless: Nameless, now: datetime
) -> int:
    return await run(
        session,
        f"""UPDATE person SET active = false, left_at = :now, updated_at = :now
            WHERE id IN (SELECT p.id {_MISSING})""",
        {**_seen(rejected_ids, nameless), "now": now},
    )


async def merge(session: AsyncSession, now: datetime, *, complete: bool) -> Merged:
    """Brings departments, people, contact points and managers to what the staged rows say, changing nothing else.

    In a `complete` file, being there means to be there: whoever had left and comes again without a word is back.
    """
    await run(
        session,
        """INSERT INTO department (name, key)
           SELECT DISTINCT ON (department_key) department, department_key FROM people_import i
           WHERE NOT EXISTS (SELECT FROM department d WHERE d.key = i.department_key)
           ORDER BY department_key, line
           ON CONFLICT (key) DO NOTHING""",
    )
    created = await run(session, _CREATE, {"now": now})
    await run(session, "ANALYZE people_created")
    await run(session, _CONTACT_POINTS)
    read, circles = await _managers(session)
    changed = await row(session, _UPDATE, {"now": now, "complete": complete})
    assert changed
    counts = Counts(created=created, updated=int(changed["updated"]), deactivated=int(changed["deactivated"]))
    return Merged(counts, read, circles)


async def _managers(session: AsyncSession) -> tuple[list[ManagerRead], list[Circle]]:
    """Finds managers whose id is written in another shape, and leaves out the links that close a circle."""
    found = await rows(session, _READ_MANAGERS)
    links = await rows(session, _LINKS)
    cut = cuts(Link(entry["person"], entry["manager"], entry["line"], entry["known"]) for entry in links)
    if cut:
        await run(session, _LEAVE_OUT, {"lines": [entry.line for entry in cut]})
        gone = [entry.person for entry in cut if not entry.kept]
        await run(session, _WITHOUT_MANAGER, {"people": gone})
    people = {person for entry in cut for person in entry.circle}
    ids = {
        entry["id"]: entry["employee_id"]
        for entry in await rows(
            session, "SELECT id, employee_id FROM person WHERE id = ANY(:people)", {"people": list(people)}
        )
    } if people else {}  # fmt: skip
    circles = [
        Circle(entry.line, tuple(ids[person] for person in (*entry.circle, entry.person)), entry.kept) for entry in cut
    ]
    return [ManagerRead(**entry) for entry in found], circles


_READ_MANAGERS = f"""
WITH unknown AS MATERIALIZED (
  SELECT i.line, i.employee_id, i.manager, {id_key_sql("i.manager")} AS key FROM people_import i
  WHERE i.manager IS NOT NULL AND NOT EXISTS (SELECT FROM person m WHERE m.employee_id = i.manager)
), alike AS (
  SELECT key, min(employee_id) AS meant
  FROM (SELECT employee_id, {id_key_sql("employee_id")} AS key FROM person WHERE EXISTS (SELECT FROM unknown)) AS keyed
  WHERE key IN (SELECT key FROM unknown) GROUP BY key HAVING count(*) = 1
), changed AS (
  UPDATE people_import i SET manager = alike.meant FROM unknown JOIN alike USING (key) WHERE i.line = unknown.line
)
SELECT line, employee_id, manager, meant FROM unknown JOIN alike USING (key) ORDER BY line
"""

# Only who is somebody's manager can be in a circle.
_LINKS = """
WITH link AS MATERIALIZED (
  SELECT p.id AS person, coalesce(m.id, p.manager_id) AS manager, CASE WHEN m.id IS NOT NULL THEN i.line END AS line,
         p.manager_id AS known
  FROM person p LEFT JOIN people_import i ON i.employee_id = p.employee_id
  LEFT JOIN person m ON m.employee_id = i.manager
  WHERE (m.id IS NOT NULL OR p.manager_id IS NOT NULL)
    AND EXISTS (SELECT FROM people_import WHERE manager IS NOT NULL)
)
SELECT person, manager, line, known FROM link WHERE person IN (SELECT manager FROM link)
"""

_LEAVE_OUT = "UPDATE people_import SET manager = NULL WHERE line = ANY(:lines)"

_WITHOUT_MANAGER = """
WITH freed AS (
  UPDATE person SET manager_id = NULL WHERE id = ANY(:people) AND manager_id IS NOT NULL RETURNING id
)
INSERT INTO people_touched SELECT id FROM freed ON CONFLICT DO NOTHING
"""


_CREATE = f"""
WITH fresh AS (
  INSERT INTO person (employee_id, name, department_id, {", ".join(TEXTS)}, active, left_at, created_at, updated_at)
  SELECT i.employee_id, i.name, d.id, {", ".join(f"i.{name}" for name in TEXTS)}, coalesce(i.active, true),
         CASE WHEN NOT i.active THEN CAST(:now AS timestamptz) END, :now, :now
  FROM people_import i JOIN department d ON d.key = i.department_key
  WHERE NOT EXISTS (SELECT FROM person p WHERE p.employee_id = i.employee_id)
  ORDER BY i.line
  RETURNING id
)
INSERT INTO people_created SELECT id FROM fresh
"""

# An address that stays keeps its row, and so its id; one that changes is another address, without suppression.
_CONTACT_POINTS = """
WITH wanted AS (
  SELECT p.id AS person_id, c.*
  FROM people_import i
  JOIN person p ON p.employee_id = i.employee_id
  CROSS JOIN LATERAL (VALUES
    ('mobile', 0, i.mobile, i.mobile_country, i.mobile_can_text),
    ('phone', 1, i.phone, i.phone_country, i.phone_can_text),
    ('email', 2, i.email, NULL, false)
  ) AS c (kind, position, address, country, can_text)
  WHERE c.address IS NOT NULL
), merged AS (
  INSERT INTO contact_point AS c (person_id, kind, position, address, country, can_text)
  SELECT person_id, kind, position, address, country, can_text FROM wanted w
  WHERE NOT EXISTS (
    SELECT FROM contact_point h
    WHERE h.person_id = w.person_id AND h.kind = w.kind AND h.position = w.position AND h.address = w.address
      AND h.country IS NOT DISTINCT FROM w.country AND h.can_text = w.can_text)
  ORDER BY person_id, position
  ON CONFLICT (person_id, kind) DO UPDATE
    SET position = excluded.position, address = excluded.address, country = excluded.country,
        can_text = excluded.can_text
  RETURNING c.person_id
)
INSERT INTO people_touched
SELECT DISTINCT person_id FROM merged
WHERE NOT EXISTS (SELECT FROM people_created n WHERE n.person_id = merged.person_id)
"""

# One pass over everybody in the file: new people get their manager here, known people whatever changed. Somebody
# whose contact points alone changed is in it too, for `updated_at` and the count.
_UPDATE = f"""
WITH wanted AS (
  SELECT p.id, p.active AS was_active, n.person_id IS NOT NULL AS is_new, i.name, d.id AS department_id,
         {", ".join(f"coalesce(i.{name}, p.{name}) AS {name}" for name in TEXTS)},
         coalesce(m.id, p.manager_id) AS manager_id, coalesce(i.active, p.active OR :complete) AS active
  FROM people_import i
  JOIN person p ON p.employee_id = i.employee_id
  JOIN department d ON d.key = i.department_key
  LEFT JOIN person m ON m.employee_id = i.manager
  LEFT JOIN people_created n ON n.person_id = p.id
  LEFT JOIN people_touched t ON t.person_id = p.id
  WHERE t.person_id IS NOT NULL
     OR (p.name, p.department_id, p.manager_id, p.active, {", ".join(f"p.{name}" for name in TEXTS)})
        IS DISTINCT FROM
        (i.name, d.id, coalesce(m.id, p.manager_id), coalesce(i.active, p.active OR :complete),
         {", ".join(f"coalesce(i.{name}, p.{name})" for name in TEXTS)})
), changed AS (
  UPDATE person p
  SET name = w.name, department_id = w.department_id, manager_id = w.manager_id, active = w.active,
      {", ".join(f"{name} = w.{name}" for name in TEXTS)}, updated_at = :now,
      left_at = CASE WHEN w.active THEN NULL WHEN w.was_active THEN CAST(:now AS timestamptz) ELSE p.left_at END
  FROM wanted w WHERE p.id = w.id
  RETURNING w.is_new, w.was_active AND NOT w.active AS deactivated
)
SELECT count(*) FILTER (WHERE NOT is_new AND deactivated) AS deactivated,
       count(*) FILTER (WHERE NOT is_new AND NOT deactivated) AS updated
FROM changed
"""


async def still_left(session: AsyncSession) -> list[tuple[int, str]]:
    """After the merge: (line, employee id) of people who have left, although the file has them and does not say so."""
    found = await rows(
        session,
        """SELECT i.line, i.employee_id FROM people_import i JOIN person p ON p.employee_id = i.employee_id
           WHERE i.active IS NULL AND NOT p.active ORDER BY i.line""",
    )
    return [(entry["line"], entry["employee_id"]) for entry in found]


async def unknown_managers(session: AsyncSession) -> list[tuple[int, str, str, bool]]:
    """After the merge: (line, employee id, the manager's id, whether another manager is known)."""
    found = await rows(
        session,
        """SELECT i.line, i.employee_id, i.manager, p.manager_id IS NOT NULL AS kept
           FROM people_import i JOIN person p ON p.employee_id = i.employee_id
           WHERE i.manager IS NOT NULL AND NOT EXISTS (SELECT FROM person m WHERE m.employee_id = i.manager)
           ORDER BY i.line""",
    )
    return [(entry["line"], entry["employee_id"], entry["manager"], entry["kept"]) for entry in found]


async def known_cells(session: AsyncSession, employee_ids: Sequence[str]) -> set[tuple[str, str]]:
    """What is known of these people, whatever it is: (employee id, the column of the file)."""
    found = await rows(
        session,
        f"""SELECT p.employee_id, k.name FROM person p
            CROSS JOIN LATERAL (
              VALUES {", ".join(f"('{name}', p.{name} IS NOT NULL)" for name in TEXTS)},
                     ('manager_id', p.manager_id IS NOT NULL)
            ) AS k (name, there)
            WHERE p.employee_id = ANY(CAST(:ids AS text[])) AND k.there
            UNION ALL
            SELECT p.employee_id, c.kind FROM person p JOIN contact_point c ON c.person_id = p.id
            WHERE p.employee_id = ANY(CAST(:ids AS text[]))""",
        {"ids": list(employee_ids)},
    )
    return {(entry["employee_id"], entry["name"]) for entry in found}
