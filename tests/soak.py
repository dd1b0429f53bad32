"""A real installation under random trouble: `make soak MINUTES=20 SEED=1`, or python -m tests.soak.

Two workers, a web, a carrier and a PostgreSQL of its own. A seed makes the same schedule of sends, answers,
cancellations and faults each time. The last minute mends everything; then all must settle within five. Exit code 1
when anybody was lost or told twice, an answer was lost or made up, or anything is still unknown.

`lost`: people of a confirmed send without an outcome on the board, or whom the board says to be reached by a text that
the carrier never took. `duplicates`: texts or mails with the same link to the same person beyond the first, by the
carrier's own count (a second try after the first has failed there is none).
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from app.deliveries.states import WITH_PROVIDER
from tests.faults.schedule import Event, Kind, schedule
from tests.fleet import Fleet
from tests.journeys.crew import COUNTS

SITES = 8
A_SITE = 150
HEALING_SECONDS = 60.0
SETTLE_WITHIN = 300.0
MOST_OPEN = 8
COMMANDS = {"web": "web", "carrier": "simulator"}
"""What each process runs; the others are workers."""
FATES = (
    "0004", "0009", "2001", "2003", "2005", "2007", "2008", "2036", "3001", "3002", "3003", "3004", "3005", "3006",
    "4001", "4002", "4004", "4005", "4007", "4008", "4009",
)  # fmt: skip
"""One person in eight has one of these; docs/simulator.md says what each does."""


def troubled_seconds(minutes: float) -> float:
    """Of so many minutes, those in which something goes wrong: the last one mends."""
    return max(10.0, minutes * 60 - HEALING_SECONDS)


ON_THEIR_WAY = """
SELECT state, count(*) FROM attempt WHERE state IN ('queued', 'handing_over', 'unknown') GROUP BY 1
UNION ALL SELECT 'step due', count(*) FROM delivery WHERE next_step_at < '9000-01-01' GROUP BY 1"""
"""A notice that goes on only when its first channel fails has a step in the year 9999."""


@dataclass
class Sent:
    """A send that Muster confirmed."""

    key: str
    path: str
    total: int
    closed: bool = False


@dataclass
class Soak:
    fleet: Fleet
    chance: random.Random
    began: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    answered: dict[tuple[str, str], bool] = field(default_factory=dict)
    """By number and code: whether Muster confirmed the answer to the phone."""
    did: Counter[str] = field(default_factory=Counter)
    down: set[str] = field(default_factory=set)
    away: bool = False

    # What commanders and people do

    def call(self, method: str, path: str, **more: Any) -> Any:
        """One API call, again and again while nothing answers; None when it is refused."""
        ends = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                answer = self.fleet.api.request(method, f"/api/v1{path}", timeout=20, **more)
                if answer.status_code < 400:
                    return answer.json()
                if answer.status_code < 500 and answer.status_code != 429:
                    self.did[f"refused {answer.status_code}"] += 1
                    return None
            if time.monotonic() > ends:
                raise TimeoutError(f"{method} {path} was not answered for two minutes")
            time.sleep(0.5)

    def hire(self) -> None:
        lines = ["id,name,department,site,mobile,email"]
        for place in range(SITES * A_SITE):
            fate = self.chance.choice(FATES) if self.chance.random() < 0.125 else ""
            mobile = f"+1500{200 + place % 800}{fate}" if fate else f"+1206{4_000_000 + place}"
            email = f"s{place}@example.org" if self.chance.random() < 0.7 else ""
            lines.append(f"S{place:05},Person {place},Store Operations,Soak {place % SITES},{mobile},{email}")
        self.call("POST", "/people/imports?country=US", content="\n".join(lines).encode(),
                  headers={"Content-Type": "text/csv"})  # fmt: skip

    def send(self, event: Event) -> None:
        sites = [f"Soak {(event.number + step) % SITES}" for step in range(1 + event.number % 2)]
        if event.again and self.open:
            key = self.open[event.number % len(self.open)]
        else:
            body = {"playbook": "exercise", "severity": "SEV1", "facts": {"what": "tills are down", "where": sites}}
            made = self.call("POST", "/incidents", json=body, headers={"Idempotency-Key": f"soak-{event.number}"})
            if not made:
                return
            key = made["key"]
            self.open.append(key)
        drafted = self.call("POST", f"/incidents/{key}/bulletins", json={"stage": "investigating", "facts": {}})
        if not drafted:
            return
        path = f"/incidents/{key}/bulletins/{drafted['number']}"
        if not self.call("POST", f"{path}/approve", json={"accept_warnings": True}):
            return
        done = self.call("POST", f"{path}/send", json={"confirm": True})
        if done:
            self.did["sends"] += 1
            self.sent.append(Sent(key, path, done["recipients"]["total"]))
        if len(self.open) > MOST_OPEN:
            self.close(self.open.pop(0))

    def close(self, key: str) -> None:
        for one in self.sent:
            one.closed = one.closed or one.key == key
        self.call("PATCH", f"/incidents/{key}", json={"status": "closed", "reason": "over", "accept_open_help": True})

    def cancel(self, event: Event) -> None:
        if self.sent:
            one = self.sent[-1 - event.number % min(3, len(self.sent))]
            if self.call("POST", f"{one.path}/cancel", json={}):
                self.did["cancelled"] += 1

    def answer(self, event: Event) -> None:
        """Some of those who were texted lately answer with the code of their text."""
        with contextlib.suppress(httpx2.HTTPError, KeyError):
            texts = self.fleet.carrier.get("/simulator/messages", timeout=20).json()["messages"][-600:]
            chosen = random.Random(event.number).sample(texts, min(event.many, len(texts)))
            for text in chosen:
                if text["status"] != "delivered" or not text["code"] or (text["to"], text["code"]) in self.answered:
                    continue
                # Noted before: whatever becomes of this call, the carrier may have taken the text.
                self.answered[text["to"], text["code"]] = False
                reply = self.fleet.carrier.post(
                    f"/simulator/phones/{text['to']}/reply", json={"body": f"1 {text['code']}"}, timeout=20
                ).json()
                self.did["answers"] += 1
                if reply["status"] == 200 and reply["twiml"].count("<Message>"):
                    self.answered[text["to"], text["code"]] = True

    # What goes wrong

    def kill(self, event: Event) -> None:
        if event.name in self.down:
            return
        self.down.add(event.name)
        self.fleet.kill(event.name)
        self.did["crashes"] += 1
        time.sleep(event.seconds)
        self.fleet.launch(event.name, COMMANDS.get(event.name, "worker"))
        self.down.discard(event.name)

    def supervise(self) -> None:
        """Starts again what has ended by itself, as systemd would: a start that finds no database says so and ends."""
        for name, process in list(self.fleet.running.items()):
            if process.poll() is not None and name not in self.down:
                self.fleet.launch(name, COMMANDS.get(name, "worker"))
                self.did["starts again"] += 1

    def pause(self, event: Event) -> None:
        if event.name in self.down:
            return
        self.down.add(event.name)
        process = self.fleet.running[event.name]
        process.send_signal(signal.SIGSTOP)
        self.did["pauses"] += 1
        time.sleep(event.seconds)
        process.send_signal(signal.SIGCONT)
        self.down.discard(event.name)

    def database(self, event: Event) -> None:
        if self.away:
            return
        self.away = True
        if event.number % 2:
            with contextlib.suppress(AssertionError):
                self.fleet.postmaster().kill()
        self.fleet.server.stop()
        self.did["databases"] += 1
        time.sleep(event.seconds)
        self.fleet.server.start()
        self.away = False

    def trouble(self, event: Event) -> None:
        kind, value = event.fault
        with contextlib.suppress(httpx2.HTTPError):
            self.fleet.carrier.post("/simulator/faults", json={kind: value}, timeout=20)
            self.did["faults"] += 1
        time.sleep(event.seconds)
        with contextlib.suppress(httpx2.HTTPError):
            self.fleet.carrier.post("/simulator/faults", json={kind: None}, timeout=20)

    def relay(self, event: Event) -> None:
        self.fleet.relay.hold("answer" if event.number % 2 else "request")
        time.sleep(event.seconds)
        self.fleet.relay.let_go("cut" if event.again else "pass")
        self.did["faults"] += 1

    # The run

    def run(self, minutes: float, seed: int) -> int:
        actions: dict[Kind, Callable[[Event], None]] = {
            "send": self.send, "cancel": self.cancel, "answer": self.answer, "kill": self.kill, "pause": self.pause,
            "database": self.database, "trouble": self.trouble, "relay": self.relay,
        }  # fmt: skip
        plan = schedule(seed, troubled_seconds(minutes))
        self.hire()
        self.began = time.monotonic()
        told = 30.0
        with ThreadPoolExecutor(40) as beside:
            running = []
            for event in plan:
                while (left := event.at - (time.monotonic() - self.began)) > 0:
                    time.sleep(min(left, 1.0))
                    self.supervise()
                    if time.monotonic() - self.began > told:
                        told += 30
                        print(self.line(), flush=True)
                running.append(beside.submit(actions[event.kind], event))
        failed = [error for one in running if (error := one.exception())]
        self.heal()
        print(f"{self.line()}; everything is mended, and must settle", flush=True)
        left = self.settle()
        code = self.judge(left)
        if failed:
            raise failed[0]  # the soak's own fault: what it found is told, but it did less than it should
        return code

    def heal(self) -> None:
        self.fleet.relay.let_go()
        off: dict[str, Any] = {"http": None, "receipts": None, "list": None, "smtp": None, "latency_ms": None}
        self.supervise()
        self.fleet.until(self.fleet.answers, seconds=120)
        self.fleet.faults(**off, lag_seconds=None)
        # What the board still calls unknown is settled by the carrier's list, which needs somebody told later.
        self.send(Event(0.0, "send", number=1_000_003))

    def settle(self) -> int:
        """Waits until nothing is on its way; returns how much still is."""
        ends = time.monotonic() + SETTLE_WITHIN
        while True:
            with contextlib.suppress(psycopg.Error):
                left = dict(self.fleet.ask(ON_THEIR_WAY))
                if not left or time.monotonic() > ends:
                    print(f"still on their way: {left or 'none'}")
                    return sum(left.values())
            time.sleep(1)
            self.supervise()

    def line(self) -> str:
        states: dict[str, int] = {}
        stats: dict[str, Any] = {}
        with contextlib.suppress(psycopg.Error):
            states = dict(self.fleet.ask("SELECT state, count(*) FROM attempt GROUP BY 1"))
        with contextlib.suppress(httpx2.HTTPError):
            stats = self.fleet.carrier.get("/simulator/stats", timeout=10).json()
        done = ", ".join(f"{self.did[name]} {name}" for name in
                         ("sends", "crashes", "pauses", "databases", "faults", "answers", "cancelled"))  # fmt: skip
        shown = stats.get("duplicates", 0) + stats.get("email_duplicates", 0) if stats else "?"
        return (
            f"{time.monotonic() - self.began:5.0f} s: {done}; {stats.get('accepted', '?')} texts, "
            f"{stats.get('emails', '?')} mails, {shown} duplicates, {states.get('uncertain', 0)} uncertain, "
            f"{states.get('absent', 0)} proven absent, {states.get('unknown', 0)} unknown"
        )

    def judge(self, left: int) -> int:
        """Compares what the board says with what the carrier has; returns the exit code."""
        # Late callbacks and answers that were lost have a moment to be asked for.
        self.fleet.until(lambda: not self.missing(), seconds=90) if self.missing() else None
        texts = {text["sid"]: text for text in self.fleet.carrier.get("/simulator/messages").json()["messages"]}
        stats = self.fleet.stats()
        lost: list[str] = []
        people = Counter[str]()
        for one in self.sent:
            board = self.fleet.call("GET", f"{one.path}/board")
            if set(board["counts"]) != set(COUNTS) or sum(board["counts"].values()) != board["total"]:
                lost.append(f"{one.path}: the counts do not add up")
            if board["total"] != one.total or board["counts"]["pending"]:
                lost.append(f"{one.path}: {board['total']} of {one.total}, {board['counts']['pending']} pending")
            people.update(board["counts"])
            for item in self.everybody(one):
                lost += [f"{one.path} {item['person_id']}: {why}" for why in false_claims(item, texts)]
        missing, made_up = self.missing(), self.made_up()
        duplicates = stats["duplicates"] + stats["email_duplicates"]
        print(self.line())
        print(f"people told: {dict(people)}")
        print(
            f"sends {self.did['sends']}, crashes {self.did['crashes']}, pauses {self.did['pauses']}, "
            f"database restarts {self.did['databases']}, faults {self.did['faults']}, "
            f"texts {stats['accepted']}, mails {stats['emails']}, "
            f"lost {len(lost)}, duplicates {duplicates}, answers lost {len(missing)}, answers made up {made_up}, "
            f"still on their way {left}, uncertain {people['uncertain']}"
        )
        for what in [*lost[:20], *missing[:20]]:
            print("  ", what)
        return 1 if lost or duplicates or missing or made_up or left else 0

    def everybody(self, one: Sent) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.fleet.call("GET", f"{one.path}/recipients?limit=500{cursor}")
            found += page["items"]
            if not page["next_cursor"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def missing(self) -> list[str]:
        """Answers that Muster confirmed to the phone and does not show."""
        shown = set(self.fleet.ask("SELECT reply_address, code FROM delivery WHERE response IS NOT NULL"))
        return [f"the answer with code {code}" for (number, code), confirmed in self.answered.items()
                if confirmed and (number, code) not in shown]  # fmt: skip

    def made_up(self) -> int:
        """Acknowledgments of people who never answered."""
        shown = set(self.fleet.ask("SELECT reply_address, code FROM delivery WHERE response IS NOT NULL"))
        return len(shown - set(self.answered))


def false_claims(item: dict[str, Any], texts: dict[str, dict[str, Any]]) -> list[str]:
    """What the board says of one person that the carrier's records do not bear out."""
    found = []
    reached = [entry for entry in item["attempts"] if entry["state"] in WITH_PROVIDER]
    if item["status"] == "waiting" and not reached:
        found.append("waits for an answer to nothing")
    if item["status"] not in COUNTS or item["status"] == "pending":
        found.append(f"has no outcome but {item['status']}")
    texted = [entry["provider_message_id"] for entry in reached if entry["channel"] == "sms"]
    return found + ["was told by a text that the carrier never took" for sid in texted if sid not in texts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mst"))
    fleet = Fleet(folder, MUSTER_SETTLE_SECONDS="5")
    code = 1
    try:
        for name in ("a", "b"):
            fleet.launch(name, "worker")
        fleet.start()
        fleet.until(lambda: bool(fleet.name_of("a") and fleet.name_of("b")), seconds=150)
        print(f"soak of {given.minutes:g} minutes with seed {given.seed}; the log is {fleet.log}", flush=True)
        code = Soak(fleet, random.Random(given.seed)).run(given.minutes, given.seed)
        return code
    finally:
        fleet.stop()
        if code == 0:
            fleet.server.start()
            fleet.server.discard()
            shutil.rmtree(folder, ignore_errors=True)
        else:
            fleet.server.stop()
            print(f"not removed, to look into: {folder}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
