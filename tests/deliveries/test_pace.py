"""How fast texts leave: the sender's rate and day, a provider that asks to slow down, and who goes first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.bulletins import service as bulletins
from app.bulletins.figures import BULK_SHARE
from app.channels.kinds import KINDS
from app.channels.port import Kind, Outcome
from app.deliveries import notices
from app.deliveries.tempo import REST_SECONDS, WAIT_SECONDS, Tempo
from app.kernel.db import run
from tests.journeys.crew import Crew, Desk, a_person, adds_up, faults

ACCEPTED = Outcome(Kind.ACCEPTED, provider_message_id="SM1")
SLOW_DOWN = Outcome(Kind.LATER, error_code=20429)
DOWN = Outcome(Kind.UNKNOWN, down=True)


@dataclass
class Watch:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def paced(the_desk: Desk) -> Iterator[Desk]:
    usual = the_desk.house
    yield the_desk
    the_desk.house = usual


def learned(tempo: Tempo, *outcomes: Outcome) -> Tempo:
    tempo.learn(outcomes, outcomes, of=len(outcomes))
    return tempo


def test_asked_to_slow_down_chunks_shrink_and_lanes_wait_and_both_recover() -> None:
    tempo = Tempo("sms", Watch())
    assert (tempo.chunk, tempo.wait, tempo.slowed) == (KINDS["sms"].chunk, 0.0, False)
    learned(tempo, ACCEPTED, SLOW_DOWN)
    assert (tempo.chunk, tempo.wait, tempo.slowed) == (KINDS["sms"].chunk // 2, WAIT_SECONDS[0], True)
    for _ in range(20):
        learned(tempo, SLOW_DOWN)
    assert (tempo.chunk, tempo.wait) == (1, WAIT_SECONDS[1])
    assert not tempo.resting  # it answers: it is slow, and not down
    for _ in range(KINDS["sms"].chunk):
        learned(tempo, ACCEPTED)
    assert (tempo.chunk, tempo.wait, tempo.slowed) == (KINDS["sms"].chunk, 0.0, False)


def test_a_channel_rests_while_its_provider_is_down_and_longer_each_time() -> None:
    watch = Watch()
    tempo = Tempo("sms", watch)
    for seconds in (2.0, 4.0, 8.0, 16.0, 16.0):
        learned(tempo, DOWN, DOWN, DOWN)
        watch.at += seconds - 0.1
        assert tempo.resting
        watch.at += 0.2
        assert not tempo.resting
    learned(tempo, DOWN, ACCEPTED)  # it answered somebody
    assert not tempo.resting
    learned(tempo, DOWN, DOWN, DOWN)
    watch.at += REST_SECONDS[0] + 0.1
    assert not tempo.resting


def test_what_fails_for_one_or_two_again_and_again_is_a_short_rest_each_time() -> None:
    watch = Watch()
    tempo = Tempo("sms", watch)
    for many in (1, 2, 1, 1):
        learned(tempo, *[DOWN] * many)
        assert tempo.resting
        watch.at += REST_SECONDS[0] + 0.1
        assert not tempo.resting


def test_one_that_fails_while_others_come_through_is_no_reason_to_rest() -> None:
    watch = Watch()
    tempo = Tempo("sms", watch)
    learned(tempo, ACCEPTED, ACCEPTED)
    learned(tempo, DOWN)
    assert not tempo.resting
    watch.at += REST_SECONDS[0] + 0.1
    learned(tempo, DOWN)
    assert tempo.resting


def test_the_first_answers_of_a_chunk_are_no_reason_to_rest() -> None:
    tempo = Tempo("sms", Watch())
    tempo.learn([DOWN, DOWN], [DOWN, DOWN], of=20)
    assert not tempo.resting
    tempo.learn([DOWN] * 8, [DOWN] * 10, of=20)
    assert tempo.resting


def test_what_fails_together_is_one_rest_and_not_many() -> None:
    """Eight chunks were under way when the provider went: that is no reason to rest for a quarter of a minute."""
    watch = Watch()
    tempo = Tempo("sms", watch)
    for _ in range(8):
        learned(tempo, DOWN)
        watch.at += 0.1
    watch.at += REST_SECONDS[0] - 0.7
    assert not tempo.resting


async def _by_state(desk: Desk, key: str, channel: str = "sms") -> dict[str, int]:
    return dict((await desk.board(key))["by_channel"].get(channel, {}))


async def test_no_more_leave_than_the_senders_rate_allows(paced: Desk, at_the_desk: Crew) -> None:
    paced.house = replace(paced.house, sms_a_second=5.0)
    key = await at_the_desk.told(*(a_person() for _ in range(40)))
    began = time.monotonic()
    for n in range(4):
        await paced.hand_over(f"worker {n}")
    most = 5 + 5 * (time.monotonic() - began) + 1
    states = await _by_state(paced, key)
    assert 1 <= states["accepted"] <= most
    assert states["queued"] == 40 - states["accepted"]


async def test_what_is_urgent_goes_before_what_goes_to_everybody(paced: Desk, at_the_desk: Crew) -> None:
    paced.house = replace(paced.house, sms_a_second=1.0)
    lead = a_person()
    people = [lead, *(a_person() for _ in range(10))]
    key = await at_the_desk.told(*people)
    await paced.hand_over()
    async with paced.house.db.begin() as session:
        delivery = await paced.delivery(key, lead)
        assert await notices.tell(
            session, paced.house, person_id=delivery["person_id"], incident_id=delivery["incident_id"], kind="help",
            subject="Somebody needs help", line="Somebody needs help.",
        )  # fmt: skip

    async def there() -> bool:
        await paced.hand_over()
        return any("Somebody needs help" in text["body"] for text in await paced.texts() if text["to"] == lead.mobile)

    await paced.until(there)
    assert (await _by_state(paced, key))["queued"] >= 5


async def _nothing_waits(desk: Desk) -> None:
    """What other tests left in the queue has gone."""
    desk.clock.advance(seconds=60)
    await desk.hand_over()


async def test_no_message_of_several_parts_passes_the_cap(paced: Desk, at_the_desk: Crew) -> None:
    await _nothing_waits(paced)
    paced.clock.advance(seconds=86_400)  # what went before is another day's
    key = await at_the_desk.told(*(a_person() for _ in range(4)))
    async with paced.house.db.begin() as session:
        await run(session, "UPDATE attempt SET parts = 3 WHERE state = 'queued'")
    # Three of three parts fit into eleven; the fourth begins within the bulk's share and would end beyond the cap.
    paced.house = replace(paced.house, sms_a_day=11)
    await paced.hand_over()
    assert (await _by_state(paced, key))["accepted"] == 3
    async with paced.house.db.begin() as session:
        assert await bulletins.parts_today(session, now=paced.clock.now()) == 9


async def test_a_used_up_day_sends_everybody_to_the_next_channel_and_keeps_a_rest(
    paced: Desk, at_the_desk: Crew
) -> None:
    await _nothing_waits(paced)
    async with paced.house.db.begin() as session:
        before = await bulletins.parts_today(session, now=paced.clock.now())
    cap = before + 100
    paced.house = replace(paced.house, sms_a_day=cap)
    room = int(cap * BULK_SHARE) + 1 - before
    first = await at_the_desk.told(*(a_person() for _ in range(room)))
    await paced.hand_over()
    assert await _by_state(paced, first) == {"accepted": room}
    people = [a_person() for _ in range(6)]
    key = await Crew(paced).told(*people)
    await paced.hand_over()
    assert await _by_state(paced, key) == {"suppressed": 6}
    attempts = await paced.attempts(key)
    assert {(a["error_code"], a["reason"]) for a in attempts} == {(63038, "the cap on texts a day is reached")}
    await paced.take_steps()
    await paced.hand_over()
    assert await _by_state(paced, key, "email") == {"accepted": 6}
    adds_up(await paced.board(key))
    async with paced.house.db.begin() as session:
        delivery = await paced.delivery(key, people[0])
        await notices.tell(
            session, paced.house, person_id=delivery["person_id"], incident_id=delivery["incident_id"], kind="help",
            subject="Somebody needs help", line="Somebody needs help.",
        )  # fmt: skip
    await paced.hand_over()
    assert any("Somebody needs help" in text["body"] for text in await paced.texts() if text["to"] == people[0].mobile)
    # A day later there is room again.
    paced.clock.advance(seconds=86_400 + 60)
    later = await Crew(paced).told(a_person())
    await paced.hand_over()
    assert await _by_state(paced, later) == {"accepted": 1}


async def test_more_bulk_than_is_dropped_at_once_leaves_the_rest_alone(paced: Desk, at_the_desk: Crew) -> None:
    """Neither a bulletin to very many nor a text of several parts goes into what is kept for the urgent."""
    await _nothing_waits(paced)
    async with paced.house.db.begin() as session:
        before = await bulletins.parts_today(session, now=paced.clock.now())
    cap = before + 60
    paced.house = replace(paced.house, sms_a_day=cap)
    people = [a_person(email="") for _ in range(1100)]
    key = await at_the_desk.told(*people)
    for _ in range(3):
        await paced.hand_over()
    states = await _by_state(paced, key)
    assert set(states) == {"accepted", "suppressed"}
    assert sum(states.values()) == len(people)
    async with paced.house.db.begin() as session:
        used = await bulletins.parts_today(session, now=paced.clock.now())
    assert cap * BULK_SHARE <= used < cap
    adds_up(await paced.board(key))
    paced.clock.advance(seconds=86_400 + 60)


async def test_a_carrier_that_asks_to_slow_down_holds_up_no_other_channel(the_desk: Desk, at_the_desk: Crew) -> None:
    await faults(the_desk, http="429")
    try:
        by_text = await at_the_desk.told(*(a_person(email="") for _ in range(30)))
        by_mail = await at_the_desk.told(*(a_person(mobile="") for _ in range(10)))

        async def mailed() -> bool:
            await the_desk.hand_over()
            return await _by_state(the_desk, by_mail, "email") == {"accepted": 10}

        await the_desk.until(mailed)
        assert await _by_state(the_desk, by_text) == {"queued": 30}
    finally:
        await faults(the_desk, http=None)
    tries: list[dict[str, Any]] = await the_desk.attempts(by_text)
    assert {attempt["error_code"] for attempt in tries} <= {20429, None}
    the_desk.clock.advance(seconds=60)

    async def texted() -> bool:
        await the_desk.hand_over()
        return await _by_state(the_desk, by_text) == {"accepted": 30}

    await the_desk.until(texted)
