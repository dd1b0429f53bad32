"""A carrier, a mail server or a network in trouble, callbacks in every order, and people who answer meanwhile.

What must hold each time: nobody gets a message twice by the carrier's own count, everybody ends in an outcome that the
board shows, its eight counts add up, and statuses never move backwards.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import httpx2
import pytest

from tests.faults.inside.flood import every_status, flood
from tests.fleet import SETTLED_WITHIN, Fleet, Told, someone

pytestmark = pytest.mark.slow


def _nobody_doubted(muster: Fleet, told: Told) -> None:
    """All are with the carrier, known by the first attempt: nothing was unknown for long enough to be tried again."""
    assert {entry["seq"] for entry in muster.attempts(told)} == {0}


@pytest.mark.faults
def test_accepted_and_never_answered_or_answered_with_500(muster: Fleet) -> None:
    """Accepts and never answers, accepts and answers 500, cuts: with receipts lost, the carrier's list tells."""
    muster.faults(receipts="off")
    fates = ("4001", "4002", "4005", "4009", "0006") * 3
    told = muster.tell([someone(fate) for fate in fates])
    muster.each_told_once(told, more=True)
    _nobody_doubted(muster, told)


@pytest.mark.faults
def test_refused_with_503_and_a_storm_of_429(muster: Fleet) -> None:
    """Refuses with 503: sent again once the list proves that it was not taken. 429: the same attempt waits."""
    told = muster.tell([someone(fate) for fate in ("4007", "4008", "0006") * 3])
    muster.each_told_once(told, more=True)
    tries = [entry["seq"] for entry in muster.attempts(told) if entry["state"] != "absent"]
    assert sorted(tries) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    muster.faults(http="429", count=60)
    stormed = muster.tell([someone() for _ in range(30)])
    muster.each_told_once(stormed)
    _nobody_doubted(muster, stormed)


@pytest.mark.faults
def test_a_list_that_is_empty_proves_nothing(muster: Fleet) -> None:
    """Empty list: what stays unknown is `uncertain` and never sent again, and the next channel is used."""
    muster.faults(receipts="off", list="empty")
    told = muster.tell([*(someone("4002", email=True) for _ in range(3)), *(someone("4002") for _ in range(3))])
    muster.until(lambda: muster.states(told)["uncertain"] == 6, seconds=SETTLED_WITHIN)
    muster.until(lambda: sum(muster.mails(told).values()) == 3, seconds=SETTLED_WITHIN)
    muster.settled(told)
    counts = muster.counts(told)
    assert (counts["waiting"], counts["uncertain"]) == (3, 3)
    assert set(muster.texts(told).values()) == {1}
    muster.nothing_twice()


def test_a_list_that_lags_is_waited_for(muster: Fleet) -> None:
    """Lagging list: it shows neither the message nor the control for a while, then both; nothing is repeated."""
    muster.faults(receipts="off", list="lagging", lag_seconds=4)
    told = muster.tell([someone("4002") for _ in range(4)])
    muster.each_told_once(told, more=True)
    _nobody_doubted(muster, told)


def test_callbacks_that_come_before_our_own_row(muster: Fleet) -> None:
    """Receipts are here before the answer to the hand-over: they count, and the answer takes nothing back."""
    muster.relay.hold("answer")
    told = muster.tell([someone() for _ in range(10)])
    muster.until(lambda: muster.states(told)["delivered"] == 10, seconds=20)
    muster.relay.let_go()
    muster.each_told_once(told)
    assert muster.states(told) == {"delivered": 10}


@pytest.mark.faults
def test_callbacks_shuffled_and_a_hundred_times_while_a_send_goes_on(muster: Fleet) -> None:
    """Shuffled, repeated 100 times, a webhook flood while sending: no state moves back, each fact is kept once."""
    before = muster.tell([someone() for _ in range(3)])
    muster.until(lambda: muster.states(before)["delivered"] == 3, seconds=20)
    known = muster.ask("SELECT count(*) FROM callback WHERE attempt_id = ANY(%s)", _ids(muster, before))
    muster.faults(latency_ms=100)
    told = muster.write([someone() for _ in range(60)])
    callbacks = list(chain.from_iterable(every_status(entry) for entry in muster.attempts(before)))
    assert len(callbacks) == 12
    with ThreadPoolExecutor(1) as beside:
        flooding = beside.submit(flood, muster, callbacks, times=100)
        muster.send(told)
        muster.each_told_once(told)
        answers = flooding.result(120)
    assert set(answers) <= {204, 503}, answers
    assert answers[204] > 1000
    assert muster.states(before) == {"delivered": 3}
    kept = muster.ask("SELECT count(*) FROM callback WHERE attempt_id = ANY(%s)", _ids(muster, before))
    assert known[0][0] <= kept[0][0] <= 12


def test_callbacks_that_are_lost(muster: Fleet) -> None:
    """Receipts never come: the carrier is asked, and the board shows what became of each message."""
    muster.faults(receipts="off")
    told = muster.tell([someone() for _ in range(10)])
    muster.until(lambda: muster.states(told)["delivered"] == 10, seconds=SETTLED_WITHIN)
    muster.each_told_once(told)


def test_a_carrier_that_is_down(muster: Fleet) -> None:
    """Provider down: everybody waits as `pending`, nothing is doubted, and all goes out when it is back."""
    muster.faults(http="down")
    told = muster.tell([someone() for _ in range(30)])
    muster.until(lambda: any(entry["tries"] for entry in muster.attempts(told)), seconds=20)
    time.sleep(1)
    assert muster.counts(told)["pending"] == 30
    assert not muster.texts(told)
    muster.faults(http=None)
    muster.each_told_once(told, more=True)


@pytest.mark.faults
def test_a_name_that_does_not_resolve(muster: Fleet) -> None:
    """DNS dead: the carrier's name leads nowhere. Everybody waits; a worker for which it resolves sends it all."""
    muster.pause("a")
    muster.pause("b")
    settings = {"MUSTER_TWILIO_API_BASE_URL": "http://carrier.invalid:1", "MUSTER_TIME_SCALE": "1"}
    muster.worker("lost", **settings)
    told = muster.tell([someone() for _ in range(10)])
    muster.until(lambda: any(entry["tries"] for entry in muster.attempts(told)), seconds=SETTLED_WITHIN)
    assert muster.counts(told)["pending"] == 10
    muster.end("lost")
    muster.wake("a")
    muster.wake("b")
    muster.each_told_once(told)
    _nobody_doubted(muster, told)


def test_mail_that_is_cut_after_its_data(muster: Fleet) -> None:
    """SMTP cut after DATA: a mail server keeps no records, so it is `uncertain` and never sent a second time."""
    muster.faults(smtp="cut_after_data")
    told = muster.tell([someone(mobile=False, email=True) for _ in range(6)])
    muster.settled(told)
    assert muster.counts(told)["uncertain"] == 6
    assert muster.mails(told) == dict.fromkeys(told.mailboxes, 1)
    muster.nothing_twice()


@pytest.mark.faults
def test_an_answer_that_races_the_next_step(muster: Fleet) -> None:
    """People answer while their mail is about to go: whoever's answer was confirmed gets nothing that begins later."""
    told = muster.tell([someone(email=True) for _ in range(40)])
    muster.until(lambda: muster.states(told)["queued"] == 0, seconds=20)
    [[due]] = muster.ask(
        """SELECT extract(epoch FROM min(d.next_step_at) - clock_timestamp()) FROM delivery d
           JOIN incident i ON i.id = d.incident_id WHERE i.key = %s""",
        told.key,
    )
    time.sleep(max(0.0, float(due or 0) - 0.7))
    confirmed: dict[str, float] = {}
    with ThreadPoolExecutor(4) as phones:

        def answer(number: str) -> None:
            reply = muster.carrier.post(f"/simulator/phones/{number}/reply", json={"body": "1"}).json()
            assert reply["status"] == 200, reply
            confirmed[number] = time.time()

        list(phones.map(answer, sorted(told.numbers)))
    muster.settled(told)
    assert muster.counts(told)["acknowledged"] == 40
    mailed = [entry for entry in muster.attempts(told) if entry["channel"] == "email" and entry["begun_at"]]
    number = {person.id: person.mobile for person in told.people}
    for entry in mailed:
        assert entry["begun_at"].timestamp() <= confirmed[number[entry["employee_id"]]] + 0.5
    assert sum(muster.mails(told).values()) == len(mailed)
    muster.nothing_twice()


def test_a_cancellation_in_the_middle_of_a_batch(muster: Fleet) -> None:
    """Cancel mid-batch: what was being handed over ends as it ends, nothing else goes out, nobody is left hanging."""
    muster.pause("b")
    muster.faults(latency_ms=400)
    told = muster.tell([someone() for _ in range(200)])
    muster.until(lambda: sum(muster.texts(told).values()) >= 20, seconds=30)
    muster.call("POST", f"{told.path}/cancel", json={})
    begun = sum(entry["handed_over_at"] is not None for entry in muster.attempts(told))
    muster.until(lambda: muster.states(told)["handing_over"] == 0, seconds=30)
    muster.settled(told)
    counts = muster.counts(told)
    texts = muster.texts(told)
    assert counts["waiting"] == len(texts) <= begun < 200
    assert counts["cancelled"] == 200 - len(texts)
    assert set(texts.values()) == {1}


def _ids(muster: Fleet, told: Told) -> list[int]:
    return [entry["id"] for entry in muster.attempts(told)]


def test_a_callback_that_nobody_signed_changes_nothing(muster: Fleet) -> None:
    told = muster.tell([someone()])
    muster.each_told_once(told)
    [entry] = muster.attempts(told)
    [callback, *_] = every_status(entry)
    answer = httpx2.post(f"{muster.api.base_url}{callback.path}", content=callback.body, headers={}, verify=False)
    assert answer.status_code == 403
