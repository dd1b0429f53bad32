"""No callback came: the provider is asked how the message goes, less and less often, and only while it matters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.deliveries.asking import MOST_TIMES, Asking
from tests.journeys.crew import Crew, Desk, Person, a_person, faults

SETTLE = 5.0


async def delivered_there(desk: Desk, *people: Person) -> None:
    numbers = {person.mobile for person in people}

    async def so() -> bool:
        texts = [text for text in await desk.texts() if text["to"] in numbers]
        return len(texts) >= len(people) and all(text["status"] in ("delivered", "undelivered") for text in texts)

    await desk.until(so)


async def ask(desk: Desk, *, after: float = SETTLE) -> int:
    desk.clock.advance(seconds=after)
    return await Asking(desk.house, desk.providers).step()


async def one(desk: Desk, key: str) -> dict[str, Any]:
    (found,) = [attempt for attempt in await desk.attempts(key) if attempt["channel"] == "sms"]
    return found


async def test_what_no_callback_told_is_found_out(the_desk: Desk, at_the_desk: Crew) -> None:
    fine, gone = a_person(), a_person("2005")
    key = await at_the_desk.told(fine, gone)
    await the_desk.hand_over()
    await delivered_there(the_desk, fine, gone)
    assert {attempt["state"] for attempt in await the_desk.attempts(key)} == {"accepted"}
    assert await ask(the_desk, after=SETTLE - 1) == 0
    assert await ask(the_desk, after=1) == 2
    states = {attempt["employee_id"]: attempt for attempt in await the_desk.attempts(key) if attempt["rung"] == 0}
    assert states[fine.id]["state"] == "delivered"
    assert (states[gone.id]["state"], states[gone.id]["error_code"]) == ("undelivered", 30005)
    # What follows from a failure follows here too: the next channel is due at once.
    assert (await the_desk.delivery(key, gone))["next_step_at"] <= the_desk.clock.now()
    # And nobody asks again.
    assert {attempt["ask_at"] for attempt in states.values()} == {None}


async def test_a_provider_that_cannot_be_asked_is_asked_again(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    await delivered_there(the_desk, person)
    await faults(the_desk, http="down")
    try:
        assert await ask(the_desk) == 0
    finally:
        await faults(the_desk, http=None)
    assert await ask(the_desk, after=SETTLE) == 0
    assert await ask(the_desk, after=SETTLE) == 1
    assert (await one(the_desk, key))["state"] == "delivered"


async def test_each_wait_is_twice_the_one_before_and_it_ends(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    await faults(the_desk, http="down")
    waits = []
    try:
        while (due := (await one(the_desk, key))["ask_at"]) is not None:
            waits.append(due - the_desk.clock.now())
            await ask(the_desk, after=waits[-1].total_seconds())
    finally:
        await faults(the_desk, http=None)
    assert waits == [timedelta(seconds=SETTLE * 2**n) for n in range(MOST_TIMES)]


async def test_two_workers_never_ask_the_same_question(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(6)]
    await at_the_desk.told(*people)
    await the_desk.hand_over()
    await delivered_there(the_desk, *people)
    the_desk.clock.advance(seconds=SETTLE)
    first, second = Asking(the_desk.house, the_desk.providers), Asking(the_desk.house, the_desk.providers)
    assert await first.step() + await second.step() == 6


async def test_a_callback_that_comes_puts_the_question_off(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    attempt = await one(the_desk, key)
    the_desk.clock.advance(seconds=SETTLE - 1)
    await the_desk.callback(attempt["id"], attempt["provider_message_id"], "sent")
    assert (await one(the_desk, key))["ask_at"] == the_desk.clock.now() + timedelta(seconds=SETTLE)
    await the_desk.callback(attempt["id"], attempt["provider_message_id"], "delivered")
    assert (await one(the_desk, key))["ask_at"] is None
