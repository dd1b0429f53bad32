"""The all-clear that waited in the queue: by then it may be known who never heard of the trouble."""

from __future__ import annotations

from app.deliveries import repository
from app.deliveries.handover import NOTHING_BEFORE, PROOF_LOOK_SECONDS, PROOF_SECONDS
from app.kernel.db import rows, run
from tests.journeys.crew import Crew, Desk, Person, a_person


async def _one_heard_and_one_unknown(desk: Desk, crew: Crew) -> tuple[str, Person, Person]:
    """The first bulletin arrived at one person, and of the other's nothing is known when the all-clear is sent."""
    told, lost = a_person(email=""), a_person("4008", email="")
    key = await crew.told(told, lost)
    await desk.hand_over()
    assert sorted(attempt["state"] for attempt in await desk.attempts(key)) == ["accepted", "unknown"]
    await desk.send(key, "resolved")
    desk.clock.advance(seconds=3)
    await desk.hand_over()
    assert (await _states(desk, key, told), await _states(desk, key, lost)) == (["accepted"], ["queued"])
    return key, told, lost


async def _states(desk: Desk, key: str, person: Person) -> list[str]:
    return [attempt["state"] for attempt in (await desk.person(key, person.id, 2))["attempts"]]


async def test_who_is_proven_to_have_heard_nothing_does_not_hear_that_it_is_over(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    key, told, lost = await _one_heard_and_one_unknown(the_desk, at_the_desk)
    await Crew(the_desk).told(a_person(email=""))  # the control
    the_desk.clock.advance(seconds=PROOF_LOOK_SECONDS + the_desk.house.settle_seconds)
    await the_desk.hand_over()
    await the_desk.settle_unknown()
    the_desk.clock.advance(seconds=PROOF_LOOK_SECONDS)
    await the_desk.hand_over()
    entry = await the_desk.person(key, lost.id, 2)
    assert (entry["status"], entry["reason"], entry["next_step"]) == ("cancelled", NOTHING_BEFORE, None)
    assert await the_desk.texts(lost.mobile) == []
    assert (await the_desk.person(key, told.id, 2))["status"] == "waiting"


async def test_what_stays_unknown_holds_the_all_clear_up_no_longer_than_five_minutes(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    key, _, lost = await _one_heard_and_one_unknown(the_desk, at_the_desk)
    the_desk.clock.advance(seconds=PROOF_SECONDS - 10)
    await the_desk.hand_over()
    assert await _states(the_desk, key, lost) == ["queued"]
    the_desk.clock.advance(seconds=10)
    await the_desk.hand_over()
    assert await _states(the_desk, key, lost) != ["queued"]


async def test_a_text_that_waits_does_not_go_to_a_number_that_is_somebody_elses_by_now(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person, only = a_person(), a_person(email="")
    key = await at_the_desk.told(person, only)
    async with the_desk.house.db.begin() as session:
        await run(
            session,
            """UPDATE contact_point SET address = '+1206' || (5550000 + id)
               WHERE kind = 'mobile' AND address = ANY(:old)""",
            {"old": [person.mobile, only.mobile]},
        )
    await the_desk.hand_over()
    await the_desk.take_steps()
    await the_desk.hand_over()
    first, second = (await the_desk.person(key, person.id))["attempts"]
    assert (first["state"], first["reason"]) == ("suppressed", "the number is no longer theirs")
    assert (second["channel"], second["state"]) == ("email", "accepted")
    entry = await the_desk.person(key, only.id)
    assert (entry["status"], entry["reason"]) == ("unreachable", "the number is no longer theirs")
    assert await the_desk.texts(person.mobile) == await the_desk.texts(only.mobile) == []


async def _set(desk: Desk, key: str, person: Person, number: int, state: str) -> None:
    async with desk.house.db.begin() as session:
        await run(
            session,
            """UPDATE attempt a SET state = :state, lease_until = clock_timestamp() + interval '1 hour'
               FROM delivery d JOIN bulletin b ON b.id = d.bulletin_id JOIN incident i ON i.id = d.incident_id
                 JOIN person p ON p.id = d.person_id
               WHERE d.id = a.delivery_id AND i.key = :key AND b.number = :number AND p.employee_id = :person""",
            {"state": state, "key": key, "number": number, "person": person.id},
        )


async def test_what_is_being_handed_over_is_waited_for_like_what_is_unknown(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person(email="")
    key = await at_the_desk.told(person)
    await _set(the_desk, key, person, 1, "handing_over")
    await the_desk.send(key, "resolved")
    await the_desk.hand_over()
    assert await _states(the_desk, key, person) == ["queued"]
    await _set(the_desk, key, person, 1, "absent")


async def test_who_may_have_the_all_clear_itself_is_not_said_to_have_heard_nothing(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    await the_desk.send(key, "resolved")
    await the_desk.hand_over()
    await _set(the_desk, key, person, 1, "absent")
    await _set(the_desk, key, person, 2, "uncertain")
    async with the_desk.house.db.begin() as session:
        found = await rows(
            session,
            "SELECT d.id FROM delivery d JOIN bulletin b ON b.id = d.bulletin_id "
            "JOIN incident i ON i.id = d.incident_id WHERE i.key = :key AND b.number = 2",
            {"key": key},
        )
        await repository.go_on(session, [entry["id"] for entry in found], now=the_desk.clock.now())
    await the_desk.take_steps()
    await the_desk.hand_over()
    assert await _states(the_desk, key, person) == ["uncertain", "accepted"]
