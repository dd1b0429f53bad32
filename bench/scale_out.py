"""How evenly three workers and two webs on one PostgreSQL share a send, and how fast it goes beside one of each.

    python -m bench.scale_out [--n 20000] [--workers 3] [--webs 2]

Everything is on this machine: the carrier (the simulator, receipts on) and the way to it take their share of its cores.
A small balancer stands before the webs, as a proxy would.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import START_WITHIN, Fleet, someone
from tests.stack import free_port

BALANCER = """
import asyncio, itertools, sys, uvloop
own, *webs = map(int, sys.argv[1:])
turn = itertools.cycle(webs)
async def pump(source, target):
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
async def serve(reader, writer):
    for _ in webs:
        try:
            back, beyond = await asyncio.open_connection("127.0.0.1", next(turn))
            break
        except OSError:
            continue
    else:
        return writer.close()
    await asyncio.gather(pump(reader, beyond), pump(back, writer))
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", own, backlog=1024) as server:
        await server.serve_forever()
uvloop.run(main())
"""


@dataclass(frozen=True)
class Shared:
    """What came of one send. `shares`: the texts that each worker handed over. Times in seconds from the 202."""

    people: int
    accepted: int
    duplicates: int
    waiting: int
    delivered: int
    shares: tuple[int, ...]
    handed_over: float
    all_delivered: float

    def __str__(self) -> str:
        parts = ", ".join(f"{100 * share / self.people:.0f} %" for share in self.shares)
        return (
            f"{self.people} people: {self.accepted} texts, {self.duplicates} twice, {self.waiting} waiting, "
            f"{self.delivered} delivered; workers {parts}; all handed over after {self.handed_over:.1f} s "
            f"({self.people / self.handed_over:.0f} texts a second), all receipts in after {self.all_delivered:.1f} s"
        )


@contextlib.contextmanager
def machines(workers: int, webs: int) -> Iterator[Fleet]:
    """So many of each, the carrier reached without a relay."""
    folder = Path(tempfile.mkdtemp(prefix="mst"))
    made = Fleet(folder, MUSTER_SETTLE_SECONDS="60", MUSTER_TIME_SCALE="1")
    ports = [free_port() for _ in range(webs)]
    made.environment["MUSTER_TWILIO_API_BASE_URL"] = f"http://127.0.0.1:{made.environment['MUSTER_SIMULATOR_PORT']}"
    balancer = subprocess.Popen([sys.executable, "-c", BALANCER, str(made.port), *map(str, ports)])
    try:
        made.launch("carrier", "simulator")
        for place, port in enumerate(ports):
            made.launch(f"web {place}", "web", MUSTER_PORT=str(port))
        for place in range(workers):
            made.launch(f"worker {place}", "worker")
        made.until(made.answers, seconds=START_WITHIN)
        made.sign_in()
        for place in range(workers):
            made.until(lambda place=place: bool(made.name_of(f"worker {place}")), seconds=START_WITHIN)  # type: ignore[misc]
        yield made
    finally:
        made.stop()
        os.kill(balancer.pid, signal.SIGTERM)
        balancer.wait()
        made.throw_away()


def share(fleet: Fleet, people: int, *, within: float = 600.0) -> Shared:
    """Sends to so many people and waits until all is delivered."""
    told = fleet.write([someone() for _ in range(people)])
    began = time.monotonic()
    fleet.send(told)
    fleet.until(lambda: int(fleet.stats()["accepted"]) >= people, seconds=within)
    handed_over = time.monotonic() - began
    delivered = "SELECT count(*) FROM attempt WHERE state = 'delivered'"
    fleet.until(lambda: fleet.ask(delivered)[0][0] >= people, seconds=within)
    took = time.monotonic() - began
    shares = fleet.ask("SELECT count(*) FROM attempt WHERE accepted_at IS NOT NULL GROUP BY worker ORDER BY 1 DESC")
    stats = fleet.stats()
    return Shared(
        people=people, accepted=stats["accepted"], duplicates=stats["duplicates"],
        waiting=fleet.counts(told)["waiting"], delivered=fleet.ask(delivered)[0][0],
        shares=tuple(int(found[0]) for found in shares), handed_over=handed_over, all_delivered=took,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--webs", type=int, default=2)
    given = parser.parse_args()
    with machines(1, 1) as fleet:
        alone = share(fleet, given.n)
    print(f"one worker, one web: {alone}", flush=True)
    with machines(given.workers, given.webs) as fleet:
        several = share(fleet, given.n)
    print(f"{given.workers} workers, {given.webs} webs: {several}")
    print(f"handing over takes {several.handed_over / alone.handed_over:.2f} of the time that one worker needs")


if __name__ == "__main__":
    main()
