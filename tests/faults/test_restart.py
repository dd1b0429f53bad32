"""kill -9 of any process, and of all, and a database that goes away, in the middle of a send to 600.

What must hold each time: everybody gets the message, nobody twice by the carrier's own count, and everything is
settled within 60 seconds.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.installation import Installation, installation, shown, told

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SETTLED_WITHIN = 60.0


@pytest.fixture(scope="module")
def muster() -> Iterator[Installation]:
    """One for all: each test sends a bulletin of an incident of its own."""
    with installation() as started:
        started.hire()
        yield started


def _accepted(muster: Installation) -> int:
    try:
        return int(muster.stats()["accepted"])
    except httpx2.HTTPError:
        return 0


def _send_until_in_the_middle(muster: Installation, *, milliseconds: int = 150) -> str:
    bulletin = muster.prepare()
    muster.forget()
    muster.slow_carrier(milliseconds)
    muster.call("POST", f"{bulletin}/send", json={})
    muster.until(lambda: _accepted(muster) >= 120, seconds=30)
    assert _accepted(muster) < 500, "the send was over before anything could be broken"
    return bulletin


def _everybody_was_told_once(muster: Installation, bulletin: str) -> None:
    def settled() -> bool:
        counts = muster.board(bulletin).get("counts")
        return bool(counts and counts["pending"] == 0)

    took = muster.until(settled, seconds=SETTLED_WITHIN, every=0.25)  # a board of 600 is work for who must settle it
    board = muster.board(bulletin)
    stats = muster.stats()
    items = muster.recipients(bulletin)
    reachable = [item for item in items if item["reason"] != "no usable contact point"]
    # A mail that was being said when everything went is the one thing that no record can settle.
    cut = [item for item in reachable if item["status"] == "uncertain"]
    assert all({attempt["channel"] for attempt in item["attempts"]} == {"email"} for item in cut), cut
    assert len(cut) <= 4, "no more than there are connections"
    assert board["counts"]["waiting"] == len(reachable) - len(cut), shown(board)
    assert stats["duplicates"] == 0, shown(stats)
    assert stats["email_duplicates"] == 0, shown(stats)
    # Each text of the bulletin that the carrier has is one that we know of, and the other way round. (Notices to
    # managers of whoever was uncertain have no code.)
    assert sorted(told(items)) == sorted(
        message["sid"] for message in _listed(muster.carrier.get("/simulator/messages").json()) if message["code"]
    )
    print(f"settled {took:.1f} s after the start; {stats['accepted']} texts, {stats['emails']} mails")


def _listed(answer: object) -> list[dict[str, str]]:
    return answer["messages"] if isinstance(answer, dict) else answer  # type: ignore[return-value]


def test_processes_killed_one_after_the_other_lose_nobody_and_repeat_nothing(muster: Installation) -> None:
    """Worker, web, carrier and database, each killed while the rest goes on, in one send."""
    bulletin = _send_until_in_the_middle(muster, milliseconds=1000)
    for victim in ("worker", "web", "simulator", "postgres"):
        process = muster.postmaster() if victim == "postgres" else muster.children()[victim]
        process.send_signal(signal.SIGKILL)
        muster.until(lambda gone=process: not gone.is_running(), seconds=10)  # type: ignore[misc]
        muster.until(muster.ready, seconds=60)
    _everybody_was_told_once(muster, bulletin)


def test_a_power_cut_loses_nobody_and_repeats_nothing(muster: Installation) -> None:
    """Everything at once, the database too; then a start."""
    bulletin = _send_until_in_the_middle(muster)
    muster.kill_all()
    muster.start()
    _everybody_was_told_once(muster, bulletin)


def test_a_database_that_is_away_for_twenty_seconds_loses_nobody(muster: Installation) -> None:
    """Stopped with SIGSTOP: nothing answers, and nobody may take its place."""
    bulletin = _send_until_in_the_middle(muster)
    postmaster = muster.postmaster()
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        process.suspend()
    began = time.monotonic()
    muster.until(lambda: not muster.ready(), seconds=15)
    muster.until(lambda: time.monotonic() > began + 20, seconds=25)
    for process in reversed(family):
        process.resume()
    muster.until(muster.ready, seconds=60)
    _everybody_was_told_once(muster, bulletin)
