"""The whole program in one process on free ports: web, worker, and the simulator on the other side of real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from app.access import service as access
from app.board.stream import Hub
from app.channels import registry
from app.channels.port import Mailbox, SmtpConfig, TwilioConfig
from app.channels.twilio import Signatures
from app.compose import Program
from app.directory import service as directory
from app.kernel.clock import DatabaseClock
from app.kernel.db import Database
from app.kernel.house import House
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs, make_app
from app.main import create_app
from app.playbooks import service as playbooks
from app.settings import Settings
from app.simulator.config import SimulatorConfig
from app.simulator.server import Running, running
from app.worker import Worker
from tests.conftest import PEOPLE_600, ROOT, SECRET
from tests.patience import patience

ACCOUNT = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "the account's auth token"
SENDER = "+15005550006"


def _ports() -> Iterator[int]:
    """This process's own, in no order, below those that the system gives to others between our look and our use."""
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    ports = list(range(18_000 + part * 1_800, 18_000 + (part + 1) * 1_800))
    random.SystemRandom().shuffle(ports)
    return itertools.cycle(ports)


_PORTS = _ports()


def free_port() -> int:
    """A port of this machine that nothing else takes before the one who asks does."""
    for port in itertools.islice(_PORTS, 1_800):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("none of our ports is free")


@dataclass
class Stack:
    """A running installation. `api` carries an admin's token; `carrier` speaks to the simulator's controls."""

    house: House
    program: Program
    worker: Worker | None
    simulator: Running
    api: httpx2.AsyncClient
    carrier: httpx2.AsyncClient
    base_url: str

    async def token(self, role: str, **given: Any) -> str:
        async with self.house.db.begin() as session:
            return await access.create_token(session, self.house.clock, name=f"a {role}", role=role, **given)

    async def client(self, role: str, **given: Any) -> httpx2.AsyncClient:
        token = await self.token(role, **given)
        return httpx2.AsyncClient(
            verify=False,  # all is plain http here, and reading certificates takes longer than most requests
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=30,
        )

    async def import_people(self, content: bytes | None = None, country: str = "US") -> dict[str, Any]:
        report = await directory.import_people(
            self.house.db, self.house.clock, content or PEOPLE_600.read_bytes(), country=country, complete=False,
            force=False, dry_run=False, actor="test", progress=None,
        )  # fmt: skip
        return report.as_dict()

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None, **more: Any) -> Any:
        """One API call under /api/v1; checks the status and returns the JSON."""
        response = await self.api.request(method, f"/api/v1{path}", json=body, **more)
        assert status is None or response.status_code == status, (response.status_code, response.text[:800])
        assert status is not None or response.status_code < 400, (response.status_code, response.text[:800])
        return response.json()

    async def examples(self, slug: str = "global-vendor-outage") -> dict[str, Any]:
        playbook = await self.call("GET", f"/playbooks/{slug}")
        return {fact["name"]: fact["example"] for fact in playbook["facts"] if fact["name"] != "sites"}

    async def declare(self, slug: str = "global-vendor-outage", **more: Any) -> str:
        facts = await self.examples(slug)
        body = {"playbook": slug, "severity": "SEV1", "facts": facts, **more}
        return str((await self.call("POST", "/incidents", body, status=201))["key"])

    async def write(self, key: str, stage: str = "investigating", **more: Any) -> int:
        """Drafts and approves; returns the number."""
        body = {"stage": stage, "facts": {}, **more}
        drafted = await self.call("POST", f"/incidents/{key}/bulletins", body, status=201)
        number = int(drafted["number"])
        await self.call("POST", f"/incidents/{key}/bulletins/{number}/approve", {"accept_warnings": True})
        return number

    async def send(self, key: str, stage: str = "investigating", **more: Any) -> int:
        number = await self.write(key, stage, **more)
        await self.call("POST", f"/incidents/{key}/bulletins/{number}/send", {"confirm": True}, status=202)
        return number

    async def board(self, key: str, number: int = 1) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("GET", f"/incidents/{key}/bulletins/{number}/board")
        return found

    async def recipients(self, key: str, number: int = 1, **query: Any) -> list[dict[str, Any]]:
        path = f"/incidents/{key}/bulletins/{number}/recipients"
        found = await self.call("GET", path, params={"limit": 1000, **query})
        return list(found["items"])

    async def person(self, key: str, employee_id: str, number: int = 1) -> dict[str, Any]:
        return next(e for e in await self.recipients(key, number) if e["person_id"] == employee_id)

    async def texts(self, to: str | None = None) -> list[dict[str, Any]]:
        found = (await self.carrier.get("/simulator/messages")).json()
        messages = found["messages"] if isinstance(found, dict) else found
        return [message for message in messages if to is None or message["to"] == to]

    async def emails(self, to: str | None = None) -> list[dict[str, Any]]:
        found = (await self.carrier.get("/simulator/emails")).json()
        mails = found["emails"] if isinstance(found, dict) else found
        return [mail for mail in mails if to is None or to in str(mail["to"])]

    async def reply(self, number: str, body: str) -> str:
        """A text from that phone; returns the TwiML that Muster answered."""
        response = await self.carrier.post(f"/simulator/phones/{number}/reply", json={"body": body})
        assert response.status_code < 400, response.text
        return str(response.json()["twiml"])

    async def calls(self, to: str) -> list[dict[str, Any]]:
        """Every call to that phone, as the carrier remembers it, the oldest first."""
        found = (await self.carrier.get("/simulator/calls", params={"to": to})).json()
        return list(found["calls"])

    async def phone(self, number: str, does: str, key: str = "") -> dict[str, Any]:
        """What the person at that phone does in a call (pick_up, press, hang_up); returns the call."""
        response = await self.carrier.post(f"/simulator/phones/{number}/call", json={"do": does, "key": key})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def until(self, true: Callable[[], Awaitable[bool]], *, seconds: float = 20.0) -> None:
        """Waits for something that must come to hold; fails when it does not in time.

        Looks less often as time goes by: looking is work, on the processors that what we wait for needs too.
        """
        began = time.monotonic()
        while not await true():
            waited = time.monotonic() - began
            assert waited < patience(seconds), f"not so within {patience(seconds)} s: {true}"
            await asyncio.sleep(min(0.2, max(0.05, waited / 10)))

    async def settled(self, key: str, number: int = 1, *, seconds: float = 20.0) -> dict[str, Any]:
        """Waits until nobody is pending; returns the board."""

        async def nobody_pending() -> bool:
            return bool((await self.board(key, number))["counts"]["pending"] == 0)

        await self.until(nobody_pending, seconds=seconds)
        return await self.board(key, number)


@contextlib.asynccontextmanager
async def stack(
    database_url: str, folder: Path, *, auto: bool = False, worker: bool = True, time_scale: float = 1.0,
    settle_seconds: float = 1.0, channels: tuple[str, ...] = ("email", "sms"), playbooks_dir: Path | None = None,
    mailbox: Mailbox | None = None,
) -> AsyncIterator[Stack]:  # fmt: skip
    """Starts everything; stops it in order. `mailbox` is where mail answers arrive."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as opened:
        config = SimulatorConfig(
            http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=AUTH_TOKEN, sender=SENDER,
            inbound_url=f"{base_url}/webhooks/twilio/inbound", journal=folder / "simulator.jsonl", auto=auto,
            speed=time_scale,
        )  # fmt: skip
        simulator = await opened.enter_async_context(running(config))
        db = Database(database_url, pool_size=10)
        opened.push_async_callback(db.close)
        jobs = make_app(database_url)
        clock = DatabaseClock()
        await clock.calibrate(db)
        house = House(
            db=db, clock=clock, signer=Signer(SECRET), jobs=Jobs(jobs), base_url=base_url,
            playbooks_dir=playbooks_dir or ROOT / "playbooks", channels=channels, simulated=True,
            time_scale=time_scale, settle_seconds=settle_seconds,
        )  # fmt: skip
        playbooks.forget_folder(house.playbooks_dir)
        await playbooks.sync(house)
        providers = registry.build(
            TwilioConfig(
                ACCOUNT,
                AUTH_TOKEN,
                SENDER,
                f"http://127.0.0.1:{simulator.http_port}",
                SENDER if "voice" in channels else None,
            ),
            SmtpConfig("127.0.0.1", simulator.smtp_port, False, None, None, "muster@example.org", None),
        )
        hub = Hub(database_url)
        hub.start()
        opened.push_async_callback(hub.stop)
        app = create_app(house, hub, signatures=Signatures(ACCOUNT, AUTH_TOKEN))
        server = uvicorn.Server(
            uvicorn.Config(
                app, port=port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
            )
        )
        serving = asyncio.create_task(server.serve())

        async def stop_web() -> None:
            hub.close_streams()
            server.should_exit = True
            await serving

        opened.push_async_callback(stop_web)
        while not server.started:  # noqa: ASYNC110 (uvicorn offers no event)
            await asyncio.sleep(0.01)
        program = Program(Settings(), house, database_url, jobs, None)
        working: Worker | None = None
        if worker:
            working = Worker(program, providers, mailbox)
            stop = asyncio.Event()
            running_worker = asyncio.create_task(working.run(stop))

            async def stop_worker() -> None:
                stop.set()
                await running_worker

            opened.push_async_callback(stop_worker)
        async with house.db.begin() as session:
            token = await access.create_token(session, clock, name="an admin", role="admin")
        api = await opened.enter_async_context(
            httpx2.AsyncClient(
                verify=False,
                base_url=base_url,
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=30,
            )
        )
        carrier = await opened.enter_async_context(
            httpx2.AsyncClient(
                verify=False, base_url=f"http://127.0.0.1:{simulator.http_port}", trust_env=False, timeout=30
            )
        )
        yield Stack(house, program, working, simulator, api, carrier, base_url)
