"""Any number of timers may run: each step is taken once, each person told once, and an answer is never overtaken."""

from __future__ import annotations

import asyncio
from collections import Counter

from app.escalations.timer import Timer
from app.kernel import leases
from app.kernel.db import run
from tests.escalations.cast import a_manager, after, count_of, escalations, notices, told
from tests.journeys.crew import Crew, Desk, a_person, tried


async def with_lease(desk: Desk, name: str) -> int:
    """What a worker does: only who holds the lease acts."""
    if await leases.hold(desk.house.db, "timer", name, seconds=5):
        return await Timer(desk.house).step()
    return 0


async def test_two_timers_at_once_make_one_attempt_and_one_notice_a_step(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    people = [a_person(manager=manager.id) for _ in range(60)]
    key = await told(the_desk, at_the_desk, *people)
    for lease in (False, True):
        the_desk.clock.advance(seconds=125 if not lease else 180)

        async def one(name: str, lease: bool = lease) -> int:
            return await with_lease(the_desk, name) if lease else await Timer(the_desk.house).step()

        await asyncio.gather(*(one(f"worker {n % 2}") for n in range(6)))
        await the_desk.hand_over()
    the_desk.clock.advance(seconds=6)
    await the_desk.hand_over()
    entries = await the_desk.recipients(key)
    assert [tried(entry) for entry in entries] == [[("sms", "accepted"), ("email", "accepted")]] * len(people)
    mails = Counter(str(mail["to"]) for mail in await the_desk.emails())
    assert [sum(many for to, many in mails.items() if person.email in to) for person in people] == [1] * len(people)
    assert len(await escalations(the_desk, key)) == 60
    (text,) = await notices(the_desk, manager)
    assert text.startswith("60 people have not answered")


async def test_timers_that_come_while_one_is_telling_leave_it_alone(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    people = [a_person(manager=manager.id) for _ in range(30)]
    key = await told(the_desk, at_the_desk, *people)
    the_desk.clock.advance(seconds=301)
    await asyncio.gather(*(Timer(the_desk.house).step() for _ in range(5)))
    assert len(await escalations(the_desk, key)) == 30
    made = "SELECT count(*) AS n FROM notice n JOIN person p ON p.id = n.person_id WHERE p.employee_id = :id"
    assert await count_of(the_desk, made, id=manager.id) == 1


async def test_whose_answer_is_being_taken_is_not_told_of(the_desk: Desk, at_the_desk: Crew) -> None:
    """The answer's transaction is open when the timer looks: it waits for nobody, and nobody is told."""
    manager = await a_manager(at_the_desk)
    answering, silent = a_person(manager=manager.id), a_person(manager=manager.id)
    key = await told(the_desk, at_the_desk, answering, silent)
    the_desk.clock.advance(seconds=301)
    delivery = (await the_desk.delivery(key, answering))["id"]
    async with the_desk.house.db.begin() as session:
        await run(
            session,
            """UPDATE delivery SET response = 'ok', responded_via = 'sms', responded_at = :now, next_rung = NULL,
                      next_step_at = NULL, next_tell_rung = NULL, next_tell_at = NULL WHERE id = :id""",
            {"id": delivery, "now": the_desk.clock.now()},
        )
        await asyncio.wait_for(the_desk.take_steps(), 10)
        assert await escalations(the_desk, key) == [(silent.id, "manager", manager.id)]
    await after(the_desk, minutes=1)
    assert await escalations(the_desk, key) == [(silent.id, "manager", manager.id)]
    assert tried(await at_the_desk.person(key, answering)) == [("sms", "accepted")]


async def test_answers_that_race_the_timer_are_never_overtaken(the_desk: Desk, at_the_desk: Crew) -> None:
    """Of each person either the answer came first and nobody was told, or the telling did; and the record agrees."""
    manager = await a_manager(at_the_desk)
    people = [a_person(manager=manager.id) for _ in range(24)]
    key = await told(the_desk, at_the_desk, *people)
    the_desk.clock.advance(seconds=301)

    async def answer(place: int) -> None:
        await asyncio.sleep(place * 0.004)
        await the_desk.text(people[place].mobile, "1")

    async def look(delay: float) -> None:
        await asyncio.sleep(delay)
        await Timer(the_desk.house).step()

    await asyncio.gather(*(answer(n) for n in range(24)), *(look(n * 0.02) for n in range(6)))
    entries = (await the_desk.call("GET", f"/incidents/{key}/timeline?limit=500"))["items"]
    answered_at = {e["data"]["person"]["person_id"]: e["seq"] for e in entries if e["kind"] == "acknowledged"}
    told_at = [e["seq"] for e in entries if e["kind"] == "escalated"]
    silent = {entry[0] for entry in await escalations(the_desk, key)}
    assert set(answered_at) == {person.id for person in people}
    for person_id in silent:
        assert any(answered_at[person_id] > seq for seq in told_at), "told of somebody whose answer was there before"
    the_desk.clock.advance(seconds=6)
    await the_desk.hand_over()
    assert await notices(the_desk, manager) == [], "by the time it leaves, everybody has answered"
