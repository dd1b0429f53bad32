"""Workers that die, stop, or have a wrong clock, at each point of a hand-over.

What must hold each time: everybody gets the message once by the carrier's own count, the board's eight counts add up
and know each text, and a dead worker's work moves again.
"""

from __future__ import annotations

import pytest

from tests.faults.inside.points import HELD_DELIVERY, waiting_for_a_lock
from tests.fleet import INSIDE, LEASE_SECONDS, MOVES_WITHIN, Fleet, Told, someone

pytestmark = pytest.mark.slow


def _moves_again(muster: Fleet, told: Told) -> None:
    """Nothing is left as the dead worker left it."""

    def so() -> bool:
        return not any(
            entry["state"] == "handing_over" or (entry["state"] == "queued" and entry["tries"] == 0)
            for entry in muster.attempts(told)
        )

    # test_recovery.py holds it to the fifteen seconds, where nothing else keeps the machine busy.
    took = muster.until(so, seconds=2 * MOVES_WITHIN)
    print(f"moved again after {took:.1f} s")


@pytest.mark.faults
def test_a_worker_that_dies_before_it_claims_anything(muster: Fleet) -> None:
    """Die before claim: nobody notices but the watch; the other worker sends it all."""
    muster.pause("a")
    muster.pause("b")
    told = muster.tell([someone() for _ in range(20)])
    muster.kill("a")
    muster.wake("b")
    muster.each_told_once(told)
    assert {entry["fence"] for entry in muster.attempts(told)} == {1}


@pytest.mark.faults
def test_a_worker_that_dies_with_messages_at_every_point(muster: Fleet) -> None:
    """Die between claim and write, after the write (arrived or not), and with the carrier's answer on its way.

    What did not arrive is sent again once its absence is proven, what did is found in the carrier's list (receipts are
    off, so there is nothing else to go by), and what was only claimed is sent by the other worker.
    """
    people = [someone() for _ in range(100)]
    lost, found, answered = (people[place:80:4] for place in range(3))
    at = {p.mobile: "answer" if p in answered else "request" for p in (*lost, *found, *answered)}
    muster.faults(receipts="off")
    muster.pause("a")
    muster.pause("b")
    told = muster.tell(people)
    muster.relay.hold(lambda number: at.get(number))  # type: ignore[arg-type, return-value]
    with muster.locked(HELD_DELIVERY, people[-1].id):
        muster.wake("a")
        muster.until(lambda: len(muster.relay.held) == 60, seconds=20)
        muster.until(lambda: muster.states(told)["accepted"] == 20, seconds=20)
        before = muster.attempts(told)
        assert sum(entry["state"] == "queued" and entry["lease_until"] is not None for entry in before) == 20
        muster.kill("a")
    muster.wake("b")
    never = {person.mobile for person in lost}
    muster.relay.let_go(lambda number: "cut" if number in never else "pass")
    _moves_again(muster, told)
    muster.each_told_once(told, more=True)
    again = {entry["address"] for entry in muster.attempts(told) if entry["state"] == "absent"}
    assert again == never


@pytest.mark.faults
def test_a_worker_that_dies_after_its_mark_and_before_a_byte(muster: Fleet) -> None:
    """Die between the mark that is committed and the first byte: proven absent, then sent once."""
    muster.pause("b")
    muster.relay.deafen()
    told = muster.tell([someone() for _ in range(20)])
    muster.until(lambda: muster.states(told)["handing_over"] == 20, seconds=20)
    muster.kill("a")
    muster.relay.hear()
    muster.wake("b")
    _moves_again(muster, told)
    muster.each_told_once(told, more=True)
    assert muster.states(told)["absent"] == 20


@pytest.mark.faults
def test_a_worker_that_dies_after_the_2xx(muster: Fleet) -> None:
    """Die with the answer read and not yet recorded: receipts or the carrier's list tell, nothing is sent again."""
    muster.pause("b")
    muster.relay.hold("answer")
    told = muster.tell([someone() for _ in range(20)])
    muster.until(lambda: len(muster.relay.held) == 20, seconds=20)
    ids = [entry["id"] for entry in muster.attempts(told)]
    with muster.locked("SELECT 1 FROM attempt WHERE id = ANY(%s) ORDER BY id FOR UPDATE", ids):
        muster.relay.let_go()
        muster.until(lambda: waiting_for_a_lock(muster, "FOR UPDATE") > 0, seconds=20)
        muster.kill("a")
    muster.wake("b")
    muster.each_told_once(told)
    assert len(muster.attempts(told)) == 20


@pytest.mark.faults
def test_a_worker_that_is_stopped_for_longer_than_its_lease(muster: Fleet) -> None:
    """SIGSTOP beyond the lease: the other worker takes over; the late one wakes up fenced out and sends nothing."""
    people = [someone() for _ in range(40)]
    muster.pause("a")
    muster.pause("b")
    told = muster.tell(people)
    muster.relay.hold("answer")
    with muster.locked(HELD_DELIVERY, people[-1].id):
        muster.wake("a")
        muster.until(lambda: len(muster.relay.held) == 20, seconds=20)
        muster.pause("a")
    muster.relay.let_go()
    muster.wake("b")
    muster.each_told_once(told, more=True)
    written = len(muster.relay.written)
    muster.wake("a")
    muster.until(lambda: not muster.paused("a"), seconds=5)
    after = muster.tell([someone() for _ in range(10)])
    muster.each_told_once(after)
    muster.each_told_once(told)
    assert len(muster.relay.written) == written + 10
    assert len(muster.attempts(told)) == 40


@pytest.mark.faults
def test_a_worker_that_is_stopped_between_headers_and_body(muster: Fleet) -> None:
    """SIGSTOP after the headers have left, beyond the lease: awake again it writes no body, and the carrier has one."""
    flag = muster.folder / "pause"
    muster.pause("a")
    late = muster.worker("late", PYTHONPATH=str(INSIDE), FAULT_PAUSE_BEFORE_BODY=str(flag))
    muster.pause("b")
    flag.touch()
    told = muster.tell([someone() for _ in range(12)])
    muster.until(lambda: muster.paused("late"), seconds=20)
    muster.wake("b")
    muster.each_told_once(told, more=True)
    halves = muster.relay.halves
    late.resume()
    muster.until(lambda: muster.relay.halves > halves, seconds=20)
    muster.each_told_once(told)


@pytest.mark.parametrize("seconds", ["3600", "-3600"])
@pytest.mark.faults
def test_a_worker_whose_clock_is_one_hour_off(muster: Fleet, seconds: str) -> None:
    """It sends at once and not in an hour, takes the ladder's next step when it is due, and writes true times."""
    muster.pause("a")
    muster.pause("b")
    muster.worker("wrong", PYTHONPATH=str(INSIDE), FAULT_CLOCK_SECONDS=seconds)
    told = muster.tell([someone(email=True) for _ in range(8)])
    muster.until(lambda: sum(muster.mails(told).values()) == 8, seconds=20)
    muster.each_told_once(told)
    [[wrong]] = muster.ask(
        """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id JOIN incident i
           ON i.id = d.incident_id, unnest(ARRAY[a.created_at, a.handed_over_at, a.accepted_at, a.updated_at]) t
           WHERE i.key = %s AND abs(extract(epoch FROM clock_timestamp() - t)) > 60""",
        told.key,
    )
    assert wrong == 0


@pytest.mark.faults
def test_two_timers_take_each_step_once(muster: Fleet) -> None:
    """Two workers look at whose step is due, one of them stopped across the time and then awake: one mail each."""
    told = [muster.tell([someone(email=True) for _ in range(10)]) for _ in range(2)]
    for one in told:
        muster.until(lambda one=one: muster.states(one)["queued"] == 0, seconds=20)  # type: ignore[misc]

    def holding() -> list[str]:
        [[holder]] = muster.ask("SELECT holder FROM lease WHERE name = 'timer'")
        return [name for name in ("a", "b") if muster.name_of(name) == holder]

    muster.until(lambda: bool(holding()), seconds=30)  # one that was killed before may hold it for a moment
    leader = holding()[0]
    muster.pause(leader)
    muster.until(lambda: all(sum(muster.mails(one).values()) == 10 for one in told), seconds=30)
    muster.wake(leader)
    for one in told:
        muster.each_told_once(one)
        assert muster.mails(one) == dict.fromkeys(one.mailboxes, 1)
        assert len(muster.attempts(one)) == 20


def test_a_lease_is_as_long_as_the_promise_takes_it_to_be() -> None:
    from app.deliveries import handover

    assert handover.LEASE_SECONDS == LEASE_SECONDS
    assert handover.LEASE_SECONDS + 1 < MOVES_WITHIN
