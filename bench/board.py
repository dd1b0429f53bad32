"""The board's numbers at 10,000 and 100,000 deliveries, against a query for each person.

    python -m bench.board [--sizes 10000 100000] [--times 5] [--sample 300]

Uses MUSTER_DATABASE_URL (with the right to create a database, dropped at the end), else an embedded PostgreSQL in a
temporary folder. "A query a person" is the usual design: the deliveries of the bulletin, then each one's person,
attempts and status by themselves; measured for `--sample` of them and extrapolated.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from app.access import service as access
from app.board import service as board
from app.deliveries.states import IN_FLIGHT, WITH_PROVIDER, State
from app.kernel.clock import ManualClock
from app.kernel.db import Database, row, rows
from app.kernel.house import House
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs, make_app
from app.playbooks import service as playbooks
from bench.handover import a_database

_PEOPLE = """
WITH dep AS (
  INSERT INTO department (name, key)
  SELECT '{key} ' || n, lower('{key} ') || n FROM generate_series(0, 6) n RETURNING id, name
)
INSERT INTO person (employee_id, name, department_id, active, created_at, updated_at)
SELECT '{key}-' || n, 'Person ' || n, dep.id, n % 50 <> 0, now(), now()
FROM generate_series(1, {people}) n JOIN dep ON dep.name = '{key} ' || n % 7
"""

_FILL = """
WITH i AS (
  INSERT INTO incident (key, revision_id, title, status, severity, facts, drill, simulated, declared_by, declared_at)
  SELECT '{key}', r.id, 'Large', 'investigating', 'SEV1', '{{}}', false, true, a.id, now()
  FROM (SELECT max(id) AS id FROM playbook_revision) r, (SELECT min(id) AS id FROM account) a RETURNING id, declared_by
), b AS (
  INSERT INTO bulletin (incident_id, number, state, stage, severity, facts, audiences, problems, warnings_accepted,
                        created_by, created_at, sent_by, sent_at)
  SELECT id, 1, 'sent', 'investigating', 'SEV1', '{{}}', '[]', '[]', true, declared_by, now(), declared_by, now()
  FROM i RETURNING id, incident_id
), d AS (
  INSERT INTO delivery (bulletin_id, incident_id, person_id, audience, language, code, code_seq, created_at, response,
                        responded_via, responded_at)
  SELECT b.id, b.incident_id, p.id, 'all', '', 'K7', 0, now(),
         CASE WHEN p.id % 3 = 0 THEN (ARRAY['ok', 'ok', 'need_help', 'cannot'])[p.id % 4 + 1] END,
         CASE WHEN p.id % 3 = 0 THEN 'sms' END, CASE WHEN p.id % 3 = 0 THEN now() END
  FROM b, person p WHERE starts_with(p.employee_id, '{key}-') RETURNING id
)
INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                     provider_message_id, lease_until, unknown_since, created_at, updated_at)
SELECT d.id, r.rung, 0, (ARRAY['sms', 'email'])[r.rung + 1], 'x' || d.id, s.state, 5, now(), 0, 0,
       CASE WHEN s.state = 'accepted' THEN '{key}' || d.id || '-' || r.rung END, now(), now(), now(), now()
FROM d CROSS JOIN generate_series(0, 1) r (rung)
CROSS JOIN LATERAL (SELECT (ARRAY[{states}])[(d.id * 7 + r.rung * 3) % {many} + 1] AS state) s
"""


def fill(url: str, key: str, people: int) -> None:
    """A sent bulletin to so many in incident `key`, two attempts each, with answers and attempts of every state.

    Needs a playbook revision and an account in the database, and the owner's rights.
    """
    states = ", ".join(f"'{state}'" for state in State)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_PEOPLE.format(key=key, people=people).encode())
        connection.execute(_FILL.format(key=key, states=states, many=len(State)).encode())
        connection.execute("ANALYZE")


async def a_query_a_person(db: Database, key: str, sample: int) -> float:
    """Seconds for one person, as the usual design looks at each."""
    async with db.begin() as session:
        deliveries = await rows(
            session,
            """SELECT d.* FROM delivery d JOIN incident i ON i.id = d.incident_id WHERE i.key = :key
               ORDER BY d.id LIMIT :limit""",
            {"key": key, "limit": sample},
        )
        begun = time.perf_counter()
        counts: dict[tuple[str, str], int] = {}
        for delivery in deliveries:
            person = await row(
                session,
                """SELECT p.active, dep.name AS department FROM person p JOIN department dep ON dep.id = p.department_id
                   WHERE p.id = :id""",
                {"id": delivery["person_id"]},
            )
            attempts = await rows(
                session, "SELECT channel, state FROM attempt WHERE delivery_id = :id", {"id": delivery["id"]}
            )
            assert person
            states = {State(attempt["state"]) for attempt in attempts}
            if delivery["response"]:
                status = str(delivery["response"])
            elif states & WITH_PROVIDER:
                status = "waiting"
            elif not person["active"]:
                status = "cancelled"
            elif states & IN_FLIGHT:
                status = "pending"
            else:
                status = "uncertain" if State.UNCERTAIN in states else "unreachable"
            place = (person["department"], status)
            counts[place] = counts.get(place, 0) + 1
        return (time.perf_counter() - begun) / len(deliveries)


async def measure(url: str, sizes: list[int], times: int, sample: int) -> None:
    db = Database(url)
    clock = ManualClock(datetime(2026, 3, 2, 3, 0, tzinfo=UTC))
    folder = Path(__file__).parents[1] / "playbooks"
    house = House(
        db=db, clock=clock, signer=Signer("a bench's secret key"), jobs=Jobs(make_app(url)),
        base_url="http://127.0.0.1:9", playbooks_dir=folder,
    )  # fmt: skip
    try:
        await playbooks.sync(house)
        async with db.begin() as session:
            await access.create_token(session, clock, name="bench", role="admin")
        for size in sizes:
            key = f"INC-1000-{size}"
            await asyncio.to_thread(fill, url, key, size)
            took: list[float] = []
            for _ in range(times + 1):  # the first one warms up
                begun = time.perf_counter()
                async with db.begin() as session:
                    found = await board.board(session, key, 1)
                took.append(time.perf_counter() - begun)
            if found["total"] != size:
                raise SystemExit(f"the board counts {found['total']} of {size}")
            mine = statistics.median(took[1:])
            usual = statistics.median([await a_query_a_person(db, key, min(sample, size)) for _ in range(3)]) * size
            print(
                f"board of {size:,}: {mine * 1000:,.0f} ms in one statement (median of {times}); a query a person: "
                f"{usual:,.1f} s (from {min(sample, size)} of them); ratio {usual / mine:,.0f}"
            )
    finally:
        await db.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="deliveries")
    options.add_argument("--times", type=int, default=5, help="boards, of which the median counts")
    options.add_argument("--sample", type=int, default=300, help="people looked at by the usual design")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as named, a_database(Path(named)) as url:
        asyncio.run(measure(url, given.sizes, given.times, given.sample))


if __name__ == "__main__":
    main()
