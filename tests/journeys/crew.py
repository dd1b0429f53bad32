"""A company of a few people for each test, on a small playbook of its own; with or without a worker.

Every test works at a site of its own, so that many share one running installation without meeting. Numbers in the
area code 500 take their fate from their last four digits (docs/simulator.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx2
import psycopg
import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator

from app.access import service as access
from app.board.stream import Hub
from app.channels import registry
from app.channels.port import Providers, SmtpConfig, TwilioConfig
from app.channels.twilio import Signatures
from app.compose import Program
from app.deliveries.dispatcher import Dispatcher
from app.deliveries.reconciler import Reconciler
from app.escalations.timer import Timer
from app.kernel.clock import ManualClock
from app.kernel.db import Database, row, rows
from app.kernel.house import House
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs, make_app
from app.main import create_app
from app.playbooks import service as playbooks
from app.settings import Settings
from app.simulator.config import SimulatorConfig
from app.simulator.server import running
from tests.conftest import SECRET
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER, Stack, free_port

COUNTS = ("acknowledged", "need_help", "cannot", "cancelled", "waiting", "pending", "uncertain", "unreachable")
STEP_SECONDS = 120.0
"""When the ladder's second step is due, before the time scale."""

_SCRIPT = """\
    {audience}:
      sms: "{stage} for {audience}: ${{what}}."
      email:
        subject: "{stage} for {audience}"
        body: "What we know: ${{what}}."
      voice: "{stage}: ${{what}}."
      say: ["We are working on it."]
      do_not_say: ["Soon."]
"""
_FRENCH = """\
      languages:
        fr:
          sms: "Panne : ${what}. Servez a la main."
"""
PLAYBOOK = """\
slug: exercise
title: Exercise
when:
  trigger: Something fails
  symptoms: [tills are dead, screens are black]
owner: IT
default_severity: SEV1
facts:
  what: {type: text, max: 40, example: tills are down, help: What is down}
  where: {type: choice, many: true, from: directory.sites, help: Where}
departments:
  IT:
    owns: The repair
    tasks: {investigating: [Open the bridge]}
  Store Operations:
    owns: The counters
    tasks: {investigating: [Answer for the site]}
severities:
  SEV1: {means: Nobody is served, cadence: 20m}
  SEV2: {means: Some are served, cadence: 60m, ladder: [{send: sms}]}
  SEV3: {means: All are served slowly, cadence: 12h, ladder: [{send: sms}, {send: email, after: 1h}]}
  SEV4: {means: A warning, cadence: 1d, ladder: [{send: email}, {send: sms, after: 2m}]}
ladder: [{send: sms}, {send: email, after: 2m}]
audiences:
  counters: {label: Counters, departments: [Store Operations], sites: $where}
  others: {label: Others, sites: $where}
waterline:
  anyone: {never: [Guess]}
holding:
  everyone:
    sms: We are looking.
    email: {subject: We are looking, body: We are looking.}
    voice: We are looking.
stages:
""" + "".join(
    f"  {stage}:\n" + _SCRIPT.format(stage=stage, audience="counters") + _FRENCH
    + _SCRIPT.format(stage=stage, audience="others")
    for stage in ("investigating", "identified", "monitoring", "resolved")
)  # fmt: skip

_count = itertools.count(1)


FINE = "0006"


def a_number(fate: str = FINE) -> str:
    """A number that nobody else has, with this fate; `fine` is a phone that takes every text and stays silent."""
    place = next(_count)
    return f"+1206{2_000_000 + place}" if fate == FINE else f"+1500{200 + place % 800}{fate}"


@dataclass(frozen=True)
class Person:
    id: str
    mobile: str = ""
    email: str = ""
    phone: str = ""
    department: str = "Store Operations"
    language: str = ""
    active: bool = True
    name: str = ""
    manager: str = ""
    time_zone: str = ""


def a_person(fate: str = FINE, *, email: str | None = None, **given: Any) -> Person:
    """Somebody with a mobile of this fate and a mailbox that takes everything."""
    place = next(_count)
    given.setdefault("mobile", a_number(fate))
    return Person(f"C{place:05}", email=f"c{place:05}@example.org" if email is None else email, **given)


@dataclass
class Crew:
    """The people of one site, and the incidents there."""

    muster: Stack
    site: str = field(default_factory=lambda: f"Site {uuid.uuid4().hex[:10]}")

    async def hire(self, *people: Person) -> None:
        """Puts them into the directory, or changes them."""
        lines = ["id,name,department,site,mobile,email,phone,language,active,manager_id,time_zone"]
        lines += [
            ",".join((p.id, p.name or f"Person {p.id}", p.department, self.site, p.mobile, p.email, p.phone,
                      p.language, str(p.active).lower(), p.manager, p.time_zone))
            for p in people
        ]  # fmt: skip
        report = await self.muster.import_people("\n".join(lines).encode())
        assert not report["rejected"], report

    async def declare(self, **more: Any) -> str:
        facts = {"what": "tills are down", "where": [self.site]}
        body = {"playbook": "exercise", "severity": "SEV1", "facts": facts, **more}
        return str((await self.muster.call("POST", "/incidents", body, status=201))["key"])

    async def told(self, *people: Person, **more: Any) -> str:
        """Hires, declares and sends the first bulletin; returns the incident's key."""
        await self.hire(*people)
        key = await self.declare(**more)
        await self.muster.send(key)
        return key

    async def person(self, key: str, person: Person, number: int = 1) -> dict[str, Any]:
        return await self.muster.person(key, person.id, number)

    async def until(self, key: str, person: Person, number: int = 1, *, seconds: float = 40.0, **wanted: Any) -> Any:
        """Waits until the person's entry has these values; returns it."""
        entry: dict[str, Any] = {}

        async def there() -> bool:
            nonlocal entry
            entry = await self.person(key, person, number)
            return all(entry[name] == value for name, value in wanted.items())

        try:
            await self.muster.until(there, seconds=seconds)
        except AssertionError:
            raise AssertionError(f"not {wanted} within {seconds} s but {entry}") from None
        return entry

    async def until_attempts(
        self, key: str, person: Person, *wanted: tuple[str, str], number: int = 1, seconds: float = 40.0
    ) -> dict[str, Any]:
        """Waits until the person's attempts are these (channel, state), in order."""
        entry: dict[str, Any] = {}

        async def there() -> bool:
            nonlocal entry
            entry = await self.person(key, person, number)
            return tried(entry) == list(wanted)

        try:
            await self.muster.until(there, seconds=seconds)
        except AssertionError:
            raise AssertionError(f"not {wanted} within {seconds} s but {tried(entry)}, {entry}") from None
        return entry


def tried(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return [(attempt["channel"], attempt["state"]) for attempt in entry["attempts"]]


def adds_up(board: dict[str, Any]) -> None:
    """The eight counts are the eight, add up to the total, and so do the departments."""
    assert set(board["counts"]) == set(COUNTS)
    assert sum(board["counts"].values()) == board["total"]
    for name in COUNTS:
        assert sum(counts[name] for counts in board["by_department"].values()) == board["counts"][name]
    assert sum(counts["total"] for counts in board["by_department"].values()) == board["total"]


def signed(url: str, form: dict[str, str]) -> dict[str, str]:
    """The headers with which Twilio would post this form there."""
    return {
        "X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, form),
        "Content-Type": "application/x-www-form-urlencoded",
    }


@dataclass
class Desk(Stack):
    """An installation without a worker, on a clock that moves when told: a test does each round by itself.

    The web app is called without a socket; the carrier and the mail server are on real ones. Receipts are off unless
    the test brings them.
    """

    providers: Providers = field(default_factory=Providers)

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.house.clock, ManualClock)
        return self.house.clock

    async def hand_over(self, name: str = "a worker") -> int:
        """What a worker does when it is woken, to the last answer; returns how many provider calls were made."""
        dispatcher = Dispatcher(self.house, self.providers, name)
        try:
            return await dispatcher.drain()
        finally:
            await dispatcher.stop()

    async def take_steps(self) -> int:
        return await Timer(self.house).step()

    async def settle_unknown(self) -> int:
        return await Reconciler(self.house, self.providers).step()

    async def post(self, path: str, form: dict[str, str]) -> httpx2.Response:
        """A webhook as the carrier would post it, signed."""
        form = {"AccountSid": ACCOUNT, **form}
        return await self.api.post(
            path, content=urlencode(form).encode(), headers=signed(f"{self.house.base_url}{path}", form)
        )

    async def callback(self, attempt_id: int, sid: str, status: str, code: int | None = None) -> httpx2.Response:
        form = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "SmsStatus": status}
        if code is not None:
            form["ErrorCode"] = str(code)
        return await self.post(f"/webhooks/twilio/status/{self.house.signer.attempt_token(attempt_id)}", form)

    async def text(self, sender: str, body: str, *, sid: str = "", **more: str) -> str:
        """Somebody texts us; returns what the TwiML says to them, '' for nothing."""
        form = {"MessageSid": sid or "SM" + uuid.uuid4().hex, "From": sender, "To": SENDER, "Body": body, **more}
        response = await self.post("/webhooks/twilio/inbound", form)
        assert response.status_code == 200, response.text
        return said(response.text)

    async def attempts(self, key: str) -> list[dict[str, Any]]:
        """Every attempt of an incident with its row's columns and the person's id, in the order of their making."""
        async with self.house.db.begin() as session:
            found = await rows(
                session,
                """SELECT a.*, p.employee_id, d.code, d.bulletin_id FROM attempt a
                   JOIN delivery d ON d.id = a.delivery_id JOIN incident i ON i.id = d.incident_id
                   JOIN person p ON p.id = d.person_id WHERE i.key = :key ORDER BY a.id""",
                {"key": key},
            )
        return [dict(entry) for entry in found]

    async def code(self, key: str, person: Person, number: int = 1) -> str:
        return str((await self.delivery(key, person, number))["code"])

    async def delivery(self, key: str, person: Person, number: int = 1) -> dict[str, Any]:
        async with self.house.db.begin() as session:
            found = await row(
                session,
                """SELECT d.* FROM delivery d JOIN incident i ON i.id = d.incident_id
                   JOIN bulletin b ON b.id = d.bulletin_id JOIN person p ON p.id = d.person_id
                   WHERE i.key = :key AND b.number = :number AND p.employee_id = :person""",
                {"key": key, "number": number, "person": person.id},
            )
        assert found is not None
        return dict(found)

    async def acts(self, key: str, person: Person, number: int = 1) -> list[tuple[str, bool]]:
        """Every acknowledgment kept of a person's: (response, late), the oldest first."""
        delivery = await self.delivery(key, person, number)
        async with self.house.db.begin() as session:
            found = await rows(
                session,
                "SELECT response, late FROM acknowledgment WHERE delivery_id = :id ORDER BY id",
                {"id": delivery["id"]},
            )
        return [(entry["response"], entry["late"]) for entry in found]

    async def reports(self, key: str) -> list[dict[str, Any]]:
        found = await self.call("GET", f"/incidents/{key}/field-reports")
        return list(found["items"])


def said(twiml: str) -> str:
    """The words of a TwiML answer; '' when it says nothing."""
    return "".join(message.text or "" for message in ElementTree.fromstring(twiml).findall("Message"))


def playbook_folder(folder: Path, text: str = PLAYBOOK) -> Path:
    """A folder with the crew's playbook, or another one of its name."""
    made = folder / "playbooks"
    made.mkdir(exist_ok=True)
    (made / "exercise.yaml").write_text(text, encoding="utf-8")
    return made


@contextlib.asynccontextmanager
async def desk(
    database_url: str, folder: Path, *, time_scale: float = 1.0, settle_seconds: float = 5.0,
    channels: tuple[str, ...] = ("email", "sms"), playbook: str = PLAYBOOK,
) -> AsyncIterator[Desk]:  # fmt: skip
    """An installation without a worker."""
    base_url = f"http://127.0.0.1:{free_port()}"
    async with contextlib.AsyncExitStack() as opened:
        config = SimulatorConfig(
            http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=AUTH_TOKEN, sender=SENDER,
            inbound_url=f"{base_url}/webhooks/twilio/inbound", journal=folder / "simulator.jsonl",
        )  # fmt: skip
        simulator = await opened.enter_async_context(running(config))
        db = Database(database_url, pool_size=10)
        opened.push_async_callback(db.close)
        jobs = make_app(database_url)
        house = House(
            db=db, clock=ManualClock(datetime(2026, 3, 2, 3, 0, tzinfo=UTC)), signer=Signer(SECRET), jobs=Jobs(jobs),
            base_url=base_url, playbooks_dir=playbook_folder(folder, playbook), channels=channels, simulated=True,
            time_scale=time_scale, settle_seconds=settle_seconds,
        )  # fmt: skip
        playbooks.forget_folder(house.playbooks_dir)
        await playbooks.sync(house)
        providers = registry.build(
            TwilioConfig(ACCOUNT, AUTH_TOKEN, SENDER, simulator.url, SENDER if "voice" in channels else None),
            SmtpConfig("127.0.0.1", simulator.smtp_port, False, None, None, "muster@example.org", None),
        )
        opened.push_async_callback(providers.close)
        async with house.db.begin() as session:
            token = await access.create_token(session, house.clock, name="an admin", role="admin")
        app = create_app(house, Hub(database_url), signatures=Signatures(ACCOUNT, AUTH_TOKEN))
        api = await opened.enter_async_context(
            httpx2.AsyncClient(
                verify=False, transport=httpx2.ASGITransport(app), base_url=base_url, timeout=30, trust_env=False,
                headers={"Authorization": f"Bearer {token}"},
            )
        )  # fmt: skip
        carrier = await opened.enter_async_context(
            httpx2.AsyncClient(verify=False, base_url=simulator.url, trust_env=False, timeout=30)
        )
        made = Desk(
            house, Program(Settings(), house, database_url, jobs, None), None, simulator, api, carrier, base_url,
            providers=providers,
        )  # fmt: skip
        await faults(made, receipts="off")
        yield made


async def faults(muster: Stack, **on: object) -> None:
    """Switches the carrier's faults on, or off with None (docs/simulator.md)."""
    response = await muster.carrier.post("/simulator/faults", json=on)
    assert response.status_code == 200, response.text


def shared_loop(items: list[pytest.Item], folder: Path, scope: str = "module") -> None:
    """Every test under `folder` runs on its module's loop, so that a running installation can outlive a test."""
    for item in items:
        if item.path.is_relative_to(folder) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope=scope), append=False)


async def statement(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    """One statement with the owner's rights, which our own connections never have."""

    def do() -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    return await asyncio.to_thread(do)
