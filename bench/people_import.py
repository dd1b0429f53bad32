"""Imports a large people CSV: seconds, memory and the ratio to a statement a row.

    python -m bench.people_import [--rows 100000] [--sample 500]

Runs on an embedded PostgreSQL of its own, or in a fresh database on the server of MUSTER_DATABASE_URL, dropped at
the end. "A statement a row" is the usual design: one upsert for the person, one for each contact point, awaited one
after the other in a single transaction, run over a sample and extrapolated. Both sides read the same file and parse
numbers the same way. CPU seconds are this process's own, without the database's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from app.directory import service
from app.directory.audiences import AudienceSpec, members_sql, route_parameters, routes_sql
from app.directory.csv_source import read_table
from app.directory.folding import fold
from app.directory.numbers import ContactProblem, Number, read_email, read_number
from app.kernel import migrate
from app.kernel.clock import ManualClock
from app.kernel.db import Database, row, run
from app.kernel.postgres import EmbeddedPostgres
from tests.databases import create_database, drop_database

DEPARTMENTS = ("Store Operations", "Customer Service", "IT", "Security", "Marketing", "Finance", "Operations")
SITES = ("Chicago", "Boston", "Paris", "Zürich", "Toronto", "Manchester", "Dallas", "Seattle")
TITLES = ("Gate Agent", "Shift Manager", "Cashier", "Team Lead", "Site Reliability Engineer")
FORMS = ("({}) 555-{}", "{}.555.{}", "1-{}-555-{}", "+1{}555{}", " {} 555 {} ")
AREAS = ("206", "312", "404", "416", "617", "647", "773", "972")


def write_file(path: Path, rows: int) -> None:
    """The same file every time: mostly good rows, two numbers each, one row in fifty with dirt."""
    rng = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("id,name,department,title,site,manager_id,mobile,email,phone,language,time_zone,shift,active\n")
        for n in range(1, rows + 1):
            area, last = rng.choice(AREAS), f"{rng.randrange(100, 200):04}"
            site = rng.choice(SITES)
            mobile = f"+33 6 12 {n % 100:02} {n // 100 % 100:02} {n % 97:02}" if site == "Paris" else ""
            mobile = mobile or ("TBD" if n % 50 == 0 else rng.choice(FORMS).format(area, last))
            manager = f"P{rng.randrange(1, rows + 1):07}" if n % 3 else ""
            file.write(
                f'P{n:07},"Zoë, {n} Müller",{rng.choice(DEPARTMENTS)},{rng.choice(TITLES)},{site},{manager},'
                f"{mobile},p{n:07}@example.com,+4420794{n % 100000:05},en,Europe/Paris,day,"
                f"{'maybe' if n % 5000 == 0 else 'true'}\n"
            )


def peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)


def _number(text: str) -> Number | None:
    try:
        return read_number(text, "US")
    except ContactProblem:
        return None


async def a_statement_a_row(db: Database, head: bytes, sample: int) -> float:
    """Seconds for the first `sample` rows."""
    now = datetime.now(UTC)
    begun = time.perf_counter()
    async with db.begin() as session:
        for place, entry in enumerate(read_table([head]).rows):
            if place == sample:
                break
            cells = entry.cells
            department = await row(
                session,
                """INSERT INTO department (name, key) VALUES (:name, :key)
                   ON CONFLICT (key) DO UPDATE SET name = department.name RETURNING id""",
                {"name": cells["department"], "key": fold(cells["department"])},
            )
            assert department
            person = await row(
                session,
                """INSERT INTO person (employee_id, name, department_id, title, site, language, time_zone, shift,
                                       active, created_at, updated_at)
                   VALUES (:id, :name, :department, :title, :site, :language, :time_zone, :shift, true, :now,
                           :now)
                   ON CONFLICT (employee_id) DO UPDATE SET name = excluded.name RETURNING id""",
                {**{name: cells[name] for name in ("id", "name", "title", "site", "language", "time_zone", "shift")},
                 "department": department["id"], "now": now},
            )  # fmt: skip
            assert person
            for position, kind in enumerate(("mobile", "phone", "email")):
                number = None if kind == "email" else _number(cells[kind])
                if kind == "email" or number:
                    await run(
                        session,
                        """INSERT INTO contact_point (person_id, kind, position, address, country, can_text)
                           VALUES (:person, :kind, :position, :address, :country, :can_text)
                           ON CONFLICT (person_id, kind) DO UPDATE SET address = excluded.address""",
                        {"person": person["id"], "kind": kind, "position": position,
                         "address": number.e164 if number else read_email(cells[kind]),
                         "country": number.country if number else None,
                         "can_text": bool(number and number.can_text)},
                    )  # fmt: skip
    return time.perf_counter() - begun


async def measure(url: str, path: Path, head: bytes, rows: int, sample: int) -> None:
    clock = ManualClock(datetime(2026, 3, 2, 3, 0, tzinfo=UTC))
    db = Database(url)
    try:
        before = peak_megabytes()
        took: list[float] = []
        for what in ("first import", "second import, nothing new"):
            begun, cpu = time.perf_counter(), time.process_time()
            report = await service.import_people(
                db, clock, path, country="US", actor="bench",
                progress=lambda read: print(f"\r{read:,} rows read", end="", file=sys.stderr),
            )  # fmt: skip
            took.append(time.perf_counter() - begun)
            print(file=sys.stderr)
            print(
                f"{what}: {rows:,} rows in {took[-1]:.1f} s ({time.process_time() - cpu:.1f} s of CPU here), "
                f"{rows / took[-1]:,.0f} a second; "
                f"peak memory {peak_megabytes():.0f} MB ({before:.0f} MB before it); created {report.created:,}, "
                f"updated {report.updated:,}, unchanged {report.unchanged:,}, rejected {len(report.rejected):,}, "
                f"warnings {len(report.warnings):,}"
            )
        await resolve(db)
        async with db.begin() as session:
            await run(session, "DELETE FROM contact_point")
            await run(session, "DELETE FROM person")
        slow = await a_statement_a_row(db, head, sample) * rows / sample
        print(f"a statement a row: {slow:.1f} s (from {sample:,} rows); ratio {slow / took[0]:.1f}")
    finally:
        await db.close()


async def resolve(db: Database) -> None:
    """One site's people as two audiences, with the route of each channel: what a send does first."""
    members, parameters = members_sql([
        AudienceSpec("leads", sites=("boston",), titles=("team lead",)), AudienceSpec("rest", sites=("BOSTON",)),
    ])  # fmt: skip
    took: list[float] = []
    people = 0
    for _ in range(5):
        begun = time.perf_counter()
        async with db.begin() as session:
            found = await row(
                session,
                f"""WITH m AS MATERIALIZED ({members})
                    SELECT count(DISTINCT person_id) AS n
                    FROM m JOIN ({routes_sql(among="m")}) AS r USING (person_id)""",
                parameters | route_parameters(["sms", "email"], None),
            )
        assert found
        people = found["n"]
        took.append(time.perf_counter() - begun)
    print(f"audience of {people:,} resolved with routes in {min(took) * 1000:.0f} ms")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--sample", type=int, default=500)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = os.environ.get("MUSTER_DATABASE_URL") or stack.enter_context(EmbeddedPostgres(Path(folder) / "pg"))
        name = f"bench_{uuid4().hex[:12]}"
        url = create_database(server, name)
        stack.callback(drop_database, server, name)
        migrate.upgrade(url)
        path = Path(folder) / "people.csv"
        write_file(path, given.rows)
        head = path.read_bytes()[: given.sample * 400]
        asyncio.run(measure(url, path, head, given.rows, given.sample))


if __name__ == "__main__":
    main()
