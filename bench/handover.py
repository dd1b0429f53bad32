"""How fast one worker process hands texts over to a carrier in another process, against the usual design.

    python -m bench.handover [--n 600] [--times 3] [--sample 120]

Uses MUSTER_DATABASE_URL (with the right to create a database, dropped at the end), else an embedded PostgreSQL in a
temporary folder. The carrier is the simulator with its receipts off, so that only the hand-over is measured: from the
commit of the send to the last text that the carrier has. "One at a time" is the usual design: each message claimed,
marked, posted and written back by itself, with commits of its own, before the next; its n is `--sample`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx2

from app.access import service as access
from app.bulletins import service as bulletins
from app.compose import open_program
from app.deliveries import sending
from app.directory import service as directory
from app.incidents import service as incidents
from app.kernel import migrate
from app.kernel.house import House
from app.kernel.postgres import EmbeddedPostgres
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.settings import Settings
from tests.databases import create_database, drop_database

ACCOUNT, TOKEN, SENDER = "AC" + "0123456789abcdef" * 2, "bench", "+15005550006"
SLUG = "global-vendor-outage"

CARRIER = """
import sys
from pathlib import Path
from app.simulator.config import SimulatorConfig
from app.simulator.server import run
run(SimulatorConfig(http_port={http}, smtp_port={smtp}, account_sid={account!r}, auth_token={token!r},
    sender={sender!r}, inbound_url="http://127.0.0.1:9/webhooks/twilio/inbound", journal=Path({journal!r})))
"""
WORKER = """
import uvloop
from app.settings import Settings
from app.worker import serve
{change}
uvloop.run(serve(Settings()))
"""
ONE_AT_A_TIME = """
from dataclasses import replace
from app.channels.kinds import KINDS
from app.deliveries import dispatcher
dispatcher.BATCH = 1
KINDS["sms"] = replace(KINDS["sms"], chunk=1, lanes=1)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def a_process(code: str) -> Iterator[None]:
    """A Python process of its own, stopped as an operator would stop it."""
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextlib.contextmanager
def a_database(folder: Path) -> Iterator[str]:
    """A fresh migrated database."""
    given = os.environ.get("MUSTER_DATABASE_URL")
    embedded = None if given else EmbeddedPostgres(folder / "postgres")
    server = embedded.start() if embedded else str(given)
    name = f"bench_{uuid4().hex[:12]}"
    url = create_database(server, name)
    try:
        migrate.upgrade(url)
        yield url
    finally:
        if embedded:
            embedded.stop()
        else:
            drop_database(server, name)


def people(many: int, batch: int) -> bytes:
    lines = ["id,name,department,site,mobile"]
    lines += [
        f"B{batch}-{n},Person {n},Store Operations,Site {batch},+1206{2_000_000 + batch * 10_000 + n}"
        for n in range(many)
    ]  # fmt: skip
    return "\n".join(lines).encode()


class Bench:
    """Sends bulletins and watches the carrier's count. Each send goes to people, and a site, of its own."""

    def __init__(self, house: House, carrier: httpx2.AsyncClient) -> None:
        self.house = house
        self.carrier = carrier
        self.batch = 0

    async def accepted(self) -> int:
        return int((await self.carrier.get("/simulator/stats")).json()["accepted"])

    async def send(self, many: int) -> float:
        """Seconds from the commit of a send to `many` until the carrier has every text."""
        self.batch += 1
        house, site = self.house, f"Site {self.batch}"
        await directory.import_people(house.db, house.clock, people(many, self.batch), country="US", actor="bench")
        async with house.db.begin() as session:
            token = await access.create_token(session, house.clock, name=f"bench {self.batch}", role="admin")
            actor = await access.by_token(session, token)
            playbook = (await playbooks.current(session, SLUG)).playbook
            facts = fact_rules.examples(playbook, sites=[site], now=house.clock.now()) | {"sites": [site]}
            incident = await incidents.declare(
                session, house, actor, slug=SLUG, severity="SEV1", title=None, facts=facts, drill=False
            )
            key = incident["key"]
            drafted = await bulletins.draft(
                session, house, actor, key, stage="investigating", facts={}, audiences=["front_line"]
            )
            await bulletins.approve(session, house, actor, key, drafted["number"], accept_warnings=True)
        before = await self.accepted()
        async with house.db.begin() as session:
            await sending.send(session, house, actor, key, drafted["number"])
        begun = time.perf_counter()
        while (got := await self.accepted()) < before + many:
            if time.perf_counter() - begun > 120:
                raise SystemExit(f"only {got - before} of {many} texts after two minutes")
            await asyncio.sleep(0.02)
        return time.perf_counter() - begun


async def ready(bench: Bench) -> None:
    """Waits until the worker works: a first small send, which also warms everything up."""
    await bench.send(20)


async def measure(settings: Settings, n: int, times: int, sample: int) -> None:
    async with (
        open_program(settings) as program,
        httpx2.AsyncClient(base_url=str(settings.twilio_api_base_url), trust_env=False) as carrier,
    ):
        house = replace(program.house, channels=("sms",))
        await playbooks.sync(house)
        bench = Bench(house, carrier)
        for _ in range(200):
            with contextlib.suppress(httpx2.HTTPError):
                await carrier.post("/simulator/faults", json={"receipts": "off"})
                break
            await asyncio.sleep(0.05)
        rates: dict[str, float] = {}
        for name, change, many in (("one worker", "", n), ("one at a time", ONE_AT_A_TIME, sample)):
            with a_process(WORKER.format(change=change)):
                await ready(bench)
                took = [await bench.send(many) for _ in range(times)]
            rates[name] = many / statistics.median(took)
            shown = ", ".join(f"{seconds:.2f}" for seconds in took)
            print(f"{name}: {many:,} texts in {statistics.median(took):.2f} s (median of {shown}), "
                  f"{rates[name]:,.0f} a second")  # fmt: skip
        stats = (await carrier.get("/simulator/stats")).json()
        print(f"ratio {rates['one worker'] / rates['one at a time']:.1f}; sent twice: {stats['duplicates']}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--n", type=int, default=600, help="recipients of each send")
    options.add_argument("--times", type=int, default=3, help="sends, of which the median counts")
    options.add_argument("--sample", type=int, default=120, help="recipients for the usual design")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        http, smtp = free_port(), free_port()
        with a_database(folder) as url:
            os.environ |= {
                "MUSTER_DATABASE_URL": url, "MUSTER_DATA_DIR": named, "MUSTER_SECRET_KEY": "a bench's secret key",
                "MUSTER_TWILIO_ACCOUNT_SID": ACCOUNT, "MUSTER_TWILIO_AUTH_TOKEN": TOKEN,
                "MUSTER_TWILIO_SENDER": SENDER, "MUSTER_TWILIO_API_BASE_URL": f"http://127.0.0.1:{http}",
                "MUSTER_SMTP_URL": f"smtp://127.0.0.1:{smtp}", "MUSTER_EMAIL_SENDER": "muster@example.org",
                "MUSTER_BASE_URL": "http://127.0.0.1:9",
            }  # fmt: skip
            carrier = CARRIER.format(
                http=http, smtp=smtp, account=ACCOUNT, token=TOKEN, sender=SENDER, journal=str(folder / "journal")
            )
            with a_process(carrier):
                asyncio.run(measure(Settings(), given.n, given.times, given.sample))


if __name__ == "__main__":
    main()
