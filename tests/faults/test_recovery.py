"""How soon it goes on: the times that `docs/guarantees.md` promises, tried one at a time in a send to 300."""

from __future__ import annotations

import pytest

from tests.fleet import BACK_WITHIN, MOVES_WITHIN, Fleet, Told, someone

pytestmark = [pytest.mark.slow, pytest.mark.faults]

PEOPLE = 300


def _in_the_middle(muster: Fleet) -> Told:
    muster.faults(latency_ms=500)
    told = muster.tell([someone() for _ in range(PEOPLE)])
    muster.until(lambda: sum(muster.texts(told).values()) >= 20, seconds=30)
    return told


def test_a_killed_workers_claimed_work_moves_again_within_fifteen_seconds(muster: Fleet) -> None:
    """By our own lease and sweep: whatever the dead worker had leased is another's, and what it was writing is unknown.

    It held every turn there is, so nobody else settles, times or asks before that turn is over.
    """
    muster.pause("b")
    muster.until(lambda: _turns(muster) == {muster.name_of("a")}, seconds=60)
    told = _in_the_middle(muster)
    dead = muster.name_of("a")
    left = "SELECT count(*) FROM attempt WHERE worker = %s AND state IN ('queued', 'handing_over') AND tries <= 1"
    muster.kill("a")
    assert muster.ask(left, dead)[0][0] > 20
    muster.wake("b")
    took = muster.until(lambda: muster.ask(left, dead)[0][0] == 0, seconds=MOVES_WITHIN)
    print(f"a killed worker's work moved again after {took:.1f} s")
    muster.each_told_once(told, more=True)


def _turns(muster: Fleet) -> set[str]:
    return {holder for (holder,) in muster.ask("SELECT holder FROM lease WHERE name IN ('timer', 'reconciler')")}


def test_messages_go_out_again_within_twenty_seconds_of_a_database_restart(muster: Fleet) -> None:
    told = _in_the_middle(muster)
    muster.server.stop()
    muster.until(lambda: muster.api.get("/readyz").status_code == 503, seconds=30)
    muster.server.start()
    out = sum(muster.texts(told).values())
    assert out < PEOPLE
    took = muster.until(lambda: sum(muster.texts(told).values()) > out, seconds=BACK_WITHIN)
    print(f"went out again {took:.1f} s after the database was back")
    muster.each_told_once(told, more=True)
