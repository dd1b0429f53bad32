"""A database that goes away, has no room for one more connection, or makes everybody wait.

What must hold each time: nothing that was confirmed is lost, nobody gets a message twice by the carrier's own count,
no callback is answered as taken that was not kept, and messages go out again soon.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg
import pytest

from tests.fleet import BACK_WITHIN, Fleet, Told, someone

pytestmark = pytest.mark.slow


def _in_the_middle(muster: Fleet, many: int = 120) -> Told:
    """A send of which some is out and much is not."""
    muster.faults(latency_ms=300)
    told = muster.tell([someone() for _ in range(many)])
    muster.until(lambda: sum(muster.texts(told).values()) >= 20, seconds=30)
    return told


def _gone_out(muster: Fleet, told: Told) -> int:
    return sum(muster.texts(told).values())


@pytest.mark.parametrize("how", ["stopped", "killed"])
@pytest.mark.faults
def test_a_database_that_is_restarted_while_callbacks_come(muster: Fleet, how: str) -> None:
    """Stopped in order, or killed; away for four seconds in which receipts arrive; then it is there again."""
    told = _in_the_middle(muster)
    if how == "stopped":
        muster.server.stop()
    else:
        postmaster = muster.postmaster()
        postmaster.send_signal(signal.SIGKILL)
        muster.until(lambda: not postmaster.is_running(), seconds=10)
        muster.server.stop()
    taken = muster.stats()["callbacks"]["delivered"]
    assert muster.api.get("/readyz").status_code == 503
    time.sleep(4)
    assert muster.stats()["callbacks"]["delivered"] == taken
    out = _gone_out(muster, told)
    assert out < 120
    muster.server.start()
    took = muster.until(lambda: _gone_out(muster, told) > out, seconds=2 * BACK_WITHIN)
    print(f"went out again {took:.1f} s after the database was back")
    muster.each_told_once(told, more=True)
    muster.until(lambda: muster.states(told)["delivered"] == 120, seconds=60)


@pytest.mark.faults
def test_a_web_whose_connections_are_all_taken(muster: Fleet) -> None:
    """Pool exhausted: sixty people look at the board while somebody holds its table. Who waits too long is told so."""
    told = _in_the_middle(muster)

    def look(_: int) -> int:
        with httpx2.Client(base_url=muster.api.base_url, headers=muster.api.headers, timeout=60, verify=False) as one:
            return one.get(f"/api/v1{told.path}/board").status_code

    with ThreadPoolExecutor(60) as eyes:
        with muster.locked("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE"):
            looks = [eyes.submit(look, place) for place in range(60)]
            muster.until(lambda: sum(one.done() for one in looks) >= 10, seconds=30)
            assert muster.api.get("/healthz").status_code == 200
        answers = Counter(one.result(90) for one in looks)
    assert set(answers) == {200, 503}, answers
    muster.each_told_once(told, more=True)


@pytest.mark.faults
def test_a_server_without_a_free_connection(muster: Fleet) -> None:
    """Somebody takes every connection of the server, and ours are cut: all of it goes on once there are some again."""
    muster.pause("a")
    muster.pause("b")
    told = muster.write([someone() for _ in range(200)])
    muster.faults(latency_ms=300)
    with contextlib.ExitStack() as taken:
        administering = taken.enter_context(psycopg.connect(muster.url, autocommit=True))

        def take_all() -> None:
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(muster.url))

        take_all()
        muster.send(told)
        muster.wake("a")
        muster.wake("b")
        muster.until(lambda: _gone_out(muster, told) >= 20, seconds=30)
        ends = time.monotonic() + 4
        while time.monotonic() < ends:
            administering.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'muster%'"
            )
            take_all()
            time.sleep(0.05)
        out = _gone_out(muster, told)
        assert out < 200
        assert muster.api.get("/readyz").status_code == 503
    took = muster.until(lambda: _gone_out(muster, told) > out, seconds=2 * BACK_WITHIN)
    print(f"went out again {took:.1f} s after connections were free")
    muster.each_told_once(told, more=True)
