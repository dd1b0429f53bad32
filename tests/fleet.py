"""Muster as several processes on one PostgreSQL, each of which a test can kill, stop and start by itself.

Workers reach the carrier through a relay, where messages can be stopped at a point. The database is the test's own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg

from app.access import service as access
from app.kernel import migrate
from app.kernel.clock import DatabaseClock
from app.kernel.db import Database
from app.kernel.postgres import EmbeddedPostgres
from tests import log_guard
from tests.conftest import ROOT, SECRET
from tests.installation import Installation, shown
from tests.journeys.crew import COUNTS, FINE, playbook_folder
from tests.relay import Relay
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER

INSIDE = ROOT / "tests" / "faults" / "inside"
LEASE_SECONDS = 10.0
START_WITHIN = 150.0
MOVES_WITHIN = 15.0
"""A killed worker's claimed work moves again within this."""
BACK_WITHIN = 20.0
"""After the database is back, messages go out again within this."""
SETTLED_WITHIN = 60.0

_people = itertools.count(1)


@dataclass(frozen=True)
class Someone:
    id: str
    mobile: str
    email: str


def someone(fate: str = FINE, *, mobile: bool = True, email: bool = False, mailbox: str = "") -> Someone:
    """A person whom nobody met before. `fate`: see docs/simulator.md."""
    place = next(_people)
    number = f"+1206{3_000_000 + place}" if fate == FINE else f"+1500{200 + place % 800}{fate}"
    address = f"{mailbox or 'f'}+{place}@example.org" if email or mailbox else ""
    return Someone(f"F{place:06}", number if mobile else "", address)


@dataclass
class Told:
    """A bulletin to some people."""

    key: str
    path: str
    people: Sequence[Someone]

    @property
    def numbers(self) -> set[str]:
        return {person.mobile for person in self.people if person.mobile}

    @property
    def mailboxes(self) -> set[str]:
        return {person.email for person in self.people if person.email}


class Fleet(Installation):
    """`settings` are every process's; those of one process alone are given when it is started."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder)
        self.server = EmbeddedPostgres(folder / "data")
        self.url = self.server.start()
        migrate.upgrade(self.url)
        own = folder / "own"
        own.mkdir()
        ports = dict(self.environment)
        self.relay = Relay(int(ports["MUSTER_SIMULATOR_PORT"]))
        self.environment |= {
            "MUSTER_DATABASE_URL": self.url,
            "MUSTER_SECRET_KEY": SECRET,
            "MUSTER_BASE_URL": f"http://127.0.0.1:{self.port}",
            "MUSTER_TWILIO_ACCOUNT_SID": ACCOUNT,
            "MUSTER_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "MUSTER_TWILIO_SENDER": SENDER,
            "MUSTER_TWILIO_API_BASE_URL": f"http://127.0.0.1:{self.relay.port}",
            "MUSTER_SMTP_URL": f"smtp://127.0.0.1:{ports['MUSTER_SIMULATOR_SMTP_PORT']}",
            "MUSTER_EMAIL_SENDER": "muster@example.org",
            "MUSTER_SMS_COUNTRIES": "US",
            "MUSTER_SETTLE_SECONDS": "2",
            "MUSTER_TIME_SCALE": "30",
            "MUSTER_PLAYBOOKS_DIR": str(playbook_folder(own)),
            **settings,
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    # Processes

    def launch(self, name: str, command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Starts `muster COMMAND` under a name of the test's own; does not wait until it works."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", command],
                env=self.environment | settings, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.running[name] = process
        return process

    def worker(self, name: str, **settings: str) -> psutil.Process:
        """Starts a worker and waits until it says that it lives."""
        process = self.launch(name, "worker", **settings)
        self.until(lambda: bool(self.name_of(name)), seconds=START_WITHIN)
        return psutil.Process(process.pid)

    def name_of(self, name: str) -> str:
        """What a worker calls itself in the database; '' while it does not."""
        pid = self.running[name].pid
        found = self.ask("SELECT worker FROM worker_heartbeat WHERE worker LIKE %s", f"%-{pid}-%")
        return str(found[0][0]) if found else ""

    def start(self) -> None:
        """The carrier and a web."""
        self.launch("carrier", "simulator")
        self.launch("web", "web")
        self.until(self.answers, seconds=START_WITHIN)
        self.sign_in()

    def sign_in(self) -> None:
        """Calls the API as an admin from here on."""
        if "Authorization" not in self.api.headers:
            self.api.headers["Authorization"] = f"Bearer {_token(self.url)}"

    def answers(self) -> bool:
        try:
            return (
                self.api.get("/healthz").status_code == 200 and self.carrier.get("/simulator/stats").status_code == 200
            )
        except httpx2.HTTPError:
            return False

    def kill(self, name: str) -> None:
        """SIGKILL; also ends what is stopped."""
        process = self.running.pop(name)
        process.kill()
        process.wait(20)

    def end(self, name: str) -> None:
        """SIGTERM: what it has begun, it ends first."""
        process = self.running.pop(name)
        process.terminate()
        process.wait(40)

    def pause(self, name: str) -> None:
        os.kill(self.running[name].pid, signal.SIGSTOP)
        self.until(lambda: self.paused(name), seconds=10)

    def paused(self, name: str) -> bool:
        return bool(psutil.Process(self.running[name].pid).status() == psutil.STATUS_STOPPED)

    def wake(self, name: str) -> None:
        os.kill(self.running[name].pid, signal.SIGCONT)

    def stop(self) -> None:
        """Everything ends as an operator would end it; what does not is killed."""
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running = {}
        self.relay.close()

    def throw_away(self) -> None:
        """After `stop`: the database, the folder, and what the log says."""
        self.api.close()
        self.carrier.close()
        log_guard.GUARD.see(self.log.read_text(errors="replace"))
        self.server.start()
        self.server.discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The database

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement with the owner's rights."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locked(self, sql: str, *values: object) -> Iterator[None]:
        """Somebody's open transaction that holds what this statement locks."""
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.encode(), values)
            yield
            connection.rollback()

    def attempts(self, told: Told) -> list[dict[str, Any]]:
        """Every attempt of a bulletin, in the order of their making."""
        with psycopg.connect(self.url, row_factory=psycopg.rows.dict_row) as connection:
            return connection.execute(
                """SELECT a.*, p.employee_id FROM attempt a JOIN delivery d ON d.id = a.delivery_id
                   JOIN incident i ON i.id = d.incident_id JOIN person p ON p.id = d.person_id
                   WHERE i.key = %s ORDER BY a.id""",
                [told.key],
            ).fetchall()

    def states(self, told: Told) -> Counter[str]:
        return Counter(entry["state"] for entry in self.attempts(told))

    # Telling people

    def write(self, people: Sequence[Someone], *, severity: str = "SEV1") -> Told:
        """Hires people at a site of their own and has an approved bulletin for them."""
        site = f"Site {people[0].id}"
        lines = ["id,name,department,site,mobile,email"]
        lines += [f"{p.id},Person {p.id},Store Operations,{site},{p.mobile},{p.email}" for p in people]
        report = self.call(
            "POST", "/people/imports?country=US", content="\n".join(lines).encode(),
            headers={"Content-Type": "text/csv"},
        )  # fmt: skip
        assert report["created"] == len(people), report
        facts = {"what": "tills are down", "where": [site]}
        incident = self.call("POST", "/incidents", json={"playbook": "exercise", "severity": severity, "facts": facts})
        path = f"/incidents/{incident['key']}/bulletins"
        number = self.call("POST", path, json={"stage": "investigating", "facts": {}})["number"]
        self.call("POST", f"{path}/{number}/approve", json={"accept_warnings": True})
        return Told(incident["key"], f"{path}/{number}", people)

    def send(self, told: Told) -> Told:
        self.call("POST", f"{told.path}/send", json={"confirm": True})
        return told

    def tell(self, people: Sequence[Someone], *, severity: str = "SEV1") -> Told:
        return self.send(self.write(people, severity=severity))

    def faults(self, **on: object) -> None:
        """Switches the carrier's faults on, or off with None (docs/simulator.md)."""
        self.carrier.post("/simulator/faults", json=on).raise_for_status()

    def texts(self, told: Told) -> Counter[str]:
        """How many texts the carrier has taken for each of these people."""
        found = self.carrier.get("/simulator/messages").json()["messages"]
        return Counter(text["to"] for text in found if text["to"] in told.numbers)

    def mails(self, told: Told) -> Counter[str]:
        found = self.carrier.get("/simulator/emails").json()["emails"]
        return Counter(mail["to"] for mail in found if mail["to"] in told.mailboxes)

    def counts(self, told: Told) -> dict[str, int]:
        """The board's eight counts; they add up, here and by department."""
        board = self.call("GET", f"{told.path}/board")
        counts: dict[str, int] = board["counts"]
        assert set(counts) == set(COUNTS)
        assert sum(counts.values()) == board["total"] == len(told.people), shown(board)
        for name in COUNTS:
            assert sum(part[name] for part in board["by_department"].values()) == counts[name], shown(board)
        return counts

    def settled(
        self, told: Told, *, seconds: float = SETTLED_WITHIN, between: Callable[[], object] | None = None
    ) -> float:
        """Waits until nobody is pending; `between` is done each time it is not so. Returns how long it took."""

        def nobody_pending() -> bool:
            board = self.board(told.path)
            if board and board["counts"]["pending"] == 0:
                return True
            if between:
                between()
            return False

        return self.until(nobody_pending, seconds=seconds)

    def one_more(self) -> None:
        """A text to one more person, which shows that the carrier's list is up to date."""
        self.tell([someone()])
        time.sleep(0.4)

    def each_told_once(self, told: Told, *, seconds: float = SETTLED_WITHIN, more: bool = False) -> dict[str, int]:
        """Everybody ends in `waiting`, with one text each by the carrier's own count, and the board knows each text.

        `more`: others are told meanwhile, as in life, so that absence can be proven.
        """
        self.settled(told, seconds=seconds, between=self.one_more if more else None)
        counts = self.counts(told)
        assert counts["waiting"] == len(told.people), (counts, self.states(told))
        assert self.texts(told) == dict.fromkeys(told.numbers, 1), self.states(told)
        self.nothing_twice()
        return counts

    def nothing_twice(self) -> None:
        """By the carrier's own count, over all that it ever took."""
        stats = self.stats()
        assert stats["duplicates"] == 0, shown(stats)
        assert stats["email_duplicates"] == 0, shown(stats)


def _token(url: str) -> str:
    """An admin's, made in the database as `muster tokens create` does."""
    import asyncio

    async def make() -> str:
        database = Database(url, pool_size=1)
        try:
            async with database.begin() as session:
                return await access.create_token(session, DatabaseClock(), name="a test", role="admin")
        finally:
            await database.close()

    return asyncio.run(make())


@contextmanager
def fleet(*workers: str, **settings: str) -> Iterator[Fleet]:
    """A carrier, a web and workers of these names; stopped and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mst"))
    made = Fleet(folder, **settings)
    try:
        for name in workers:
            made.launch(name, "worker")
        made.start()
        for name in workers:
            made.until(lambda name=name: bool(made.name_of(name)), seconds=START_WITHIN)  # type: ignore[misc]
        yield made
    finally:
        made.stop()
        made.throw_away()
