"""What no longer holds is not sent: left, closed, cancelled, replaced. Looked at again just before it leaves."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.journeys.crew import STEP_SECONDS, Crew, Desk, Person, a_person, adds_up, faults, tried


def gone(person: Person) -> Person:
    return Person(**{**vars(person), "active": False})


async def counts(desk: Desk, key: str, number: int = 1) -> dict[str, int]:
    board = await desk.board(key, number)
    adds_up(board)
    return {name: many for name, many in board["counts"].items() if many}


async def nothing_was_sent(desk: Desk, *people: Person) -> None:
    for person in people:
        assert not person.mobile or await desk.texts(person.mobile) == []
        assert not person.email or await desk.emails(person.email) == []


async def test_whoever_leaves_between_send_and_hand_over_gets_nothing(the_desk: Desk, at_the_desk: Crew) -> None:
    leaver, mailed, stays = a_person(), a_person(mobile=""), a_person()
    key = await at_the_desk.told(leaver, mailed, stays)
    await at_the_desk.hire(gone(leaver), gone(mailed))
    # From that moment on, whatever is still queued.
    assert await counts(the_desk, key) == {"cancelled": 2, "pending": 1}
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=STEP_SECONDS)
    await the_desk.take_steps()
    await the_desk.hand_over()
    await nothing_was_sent(the_desk, leaver, mailed)
    assert await counts(the_desk, key) == {"cancelled": 2, "waiting": 1}
    entry = await at_the_desk.person(key, leaver)
    assert (entry["status"], entry["reason"], entry["next_step"]) == ("cancelled", "left", None)
    assert [attempt["state"] for attempt in entry["attempts"]] == ["suppressed"]


async def test_whoever_leaves_after_the_text_gets_no_mail(the_desk: Desk, at_the_desk: Crew) -> None:
    leaver = a_person()
    key = await at_the_desk.told(leaver)
    await the_desk.hand_over()
    await at_the_desk.hire(gone(leaver))
    the_desk.clock.advance(seconds=STEP_SECONDS)
    await the_desk.take_steps()
    await the_desk.hand_over()
    assert await the_desk.emails(leaver.email) == []
    entry = await the_desk.person(key, leaver.id)
    assert (entry["left"], entry["next_step"], entry["status"]) == (True, None, "waiting")
    # They have the text: it was accepted, so they are not `cancelled`.
    assert await counts(the_desk, key) == {"waiting": 1}
    assert (await at_the_desk.person(key, leaver))["next_step"] is None


async def test_closing_the_incident_stops_what_is_queued_and_the_ladder(the_desk: Desk, at_the_desk: Crew) -> None:
    had, queued, refused_first = a_person(), a_person(mobile=""), a_person("0001")
    key = await at_the_desk.told(had, refused_first)
    await the_desk.hand_over()  # the mail that follows a refusal is due, and not yet made
    await at_the_desk.hire(queued)
    await the_desk.send(key, "identified")
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=STEP_SECONDS)
    await the_desk.take_steps()
    await the_desk.hand_over()
    assert len(await the_desk.texts(had.mobile)) == 1
    assert await the_desk.emails(had.email) == []
    await nothing_was_sent(the_desk, queued, refused_first)
    assert await counts(the_desk, key) == {"waiting": 1, "cancelled": 1}
    assert await counts(the_desk, key, 2) == {"cancelled": 3}
    assert (await at_the_desk.person(key, queued, 2))["reason"] == "the incident is closed"
    refused = await the_desk.api.post(f"/api/v1/incidents/{key}/bulletins", json={"stage": "resolved", "facts": {}})
    assert refused.status_code == 409


async def test_cancelling_stops_what_was_not_handed_over_and_the_counts_say_so(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    """Half way through a send: the carrier took ten and asked to wait with the others."""
    people = [a_person() for _ in range(30)]
    key = await at_the_desk.told(*people)
    await faults(the_desk, http="429", count=20)
    await the_desk.hand_over()
    assert await counts(the_desk, key) == {"waiting": 10, "pending": 20}
    had = [person for person in people if await the_desk.texts(person.mobile)]
    await the_desk.text(had[0].mobile, "1")
    shown = await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    assert shown["state"] == "cancelled"
    expected = {"acknowledged": 1, "waiting": 9, "cancelled": 20}
    assert await counts(the_desk, key) == expected
    the_desk.clock.advance(seconds=STEP_SECONDS)
    await the_desk.take_steps()
    await the_desk.hand_over()
    assert await counts(the_desk, key) == expected
    assert [len(await the_desk.texts(person.mobile)) for person in had] == [1] * 10
    for person in people:
        assert await the_desk.emails(person.email) == []
    entry = await at_the_desk.person(key, next(person for person in people if person not in had))
    assert (entry["status"], entry["reason"], tried(entry)) == ("cancelled", "cancelled", [("sms", "cancelled")])
    # Again: nothing more happens.
    again = await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    assert again["cancelled_at"] == shown["cancelled_at"]
    sent = await the_desk.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    assert sent["state"] == "cancelled"


async def test_a_draft_can_be_cancelled_and_is_not_sent(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(a_person())
    key = await at_the_desk.declare()
    number = await the_desk.write(key)
    await the_desk.call("POST", f"/incidents/{key}/bulletins/{number}/cancel")
    refused = await the_desk.api.post(f"/api/v1/incidents/{key}/bulletins/{number}/send", json={})
    assert refused.status_code == 409
    assert await counts(the_desk, key) == {}


async def test_a_correction_replaces_what_is_still_queued_for_those_it_reaches(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    had = a_person()
    key = await at_the_desk.told(had)
    await the_desk.hand_over()
    late = [a_person(), a_person(department="IT")]
    await at_the_desk.hire(*late)
    await the_desk.send(key, "identified")  # number 2: had, and both who came late, all still queued
    corrected = await the_desk.send(key, "identified", audiences=["counters"])  # number 3: not IT
    await the_desk.hand_over()
    bodies = {person.id: [text["body"] for text in await the_desk.texts(person.mobile)] for person in (had, *late)}
    assert [len(bodies[person.id]) for person in (had, *late)] == [2, 1, 1]
    assert await counts(the_desk, key, 2) == {"cancelled": 2, "waiting": 1}
    assert await counts(the_desk, key, corrected) == {"waiting": 2}
    # The first one had arrived: it stays `waiting`, and its mail is not sent any more.
    assert await counts(the_desk, key) == {"waiting": 1}
    replaced = await at_the_desk.person(key, late[0], 2)
    assert (replaced["reason"], tried(replaced)) == ("replaced by a newer bulletin", [("sms", "cancelled")])
    the_desk.clock.advance(seconds=STEP_SECONDS)
    await the_desk.take_steps()
    await the_desk.hand_over()
    mails = {person.id: len(await the_desk.emails(person.email)) for person in (had, *late)}
    assert mails == {had.id: 1, late[0].id: 1, late[1].id: 1}
    assert tried(await at_the_desk.person(key, late[1], 2)) == [("sms", "accepted"), ("email", "accepted")]


async def test_resolved_replaces_everything_for_everybody(the_desk: Desk, at_the_desk: Crew) -> None:
    """Nobody gets older news after it, and whoever had heard nothing yet need not hear that it is over."""
    counter, office = a_person(), a_person(department="IT")
    key = await at_the_desk.told(counter, office)
    await the_desk.send(key, "resolved", audiences=["counters"])
    await the_desk.hand_over()
    assert await the_desk.texts(counter.mobile) == await the_desk.texts(office.mobile) == []
    assert await counts(the_desk, key) == {"cancelled": 2}
    assert (await at_the_desk.person(key, office))["reason"] == "replaced by a newer bulletin"


async def test_an_older_bulletin_cannot_follow_a_newer_one(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(a_person())
    key = await at_the_desk.declare()
    first = await the_desk.write(key)
    await the_desk.send(key, "identified")
    refused = await the_desk.api.post(f"/api/v1/incidents/{key}/bulletins/{first}/send", json={})
    assert refused.status_code == 409
    assert "out of date" in refused.text
    await the_desk.hand_over()


async def test_one_incidents_news_never_replaces_anothers(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    first = await at_the_desk.told(person)
    second = await at_the_desk.told(person)
    await the_desk.send(second, "resolved")
    await the_desk.hand_over()
    assert await counts(the_desk, first) == {"waiting": 1}
    assert await counts(the_desk, second) == {"cancelled": 1}
    assert len(await the_desk.texts(person.mobile)) == 1


async def test_a_second_send_sends_nothing_twice(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    once = await the_desk.call("GET", f"/incidents/{key}/bulletins/1")
    again = await the_desk.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    assert again == once
    await the_desk.hand_over()
    await the_desk.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    await the_desk.hand_over()
    assert len(await the_desk.texts(person.mobile)) == 1


async def test_two_sends_at_the_same_moment_are_one(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(5)]
    await at_the_desk.hire(*people)
    key = await at_the_desk.declare()
    number = await the_desk.write(key)
    path = f"/incidents/{key}/bulletins/{number}/send"
    answers: list[Any] = await asyncio.gather(*(the_desk.call("POST", path, {}, status=202) for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    await the_desk.hand_over()
    assert [len(await the_desk.texts(person.mobile)) for person in people] == [1] * 5


async def test_a_number_that_opted_out_while_queued_is_not_texted(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.text(person.mobile, "STOP")
    await the_desk.hand_over()
    await the_desk.take_steps()
    await the_desk.hand_over()
    assert await the_desk.texts(person.mobile) == []
    assert tried(await at_the_desk.person(key, person)) == [("sms", "suppressed"), ("email", "accepted")]
    await the_desk.text(person.mobile, "START")


async def test_an_unknown_text_is_not_sent_again_once_it_was_stopped(the_desk: Desk, at_the_desk: Crew) -> None:
    """Proven absent after the cancellation: the new attempt that follows ends before it leaves."""
    person = a_person("4006")
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    assert await counts(the_desk, key) == {"cancelled": 1}
    the_desk.clock.advance(seconds=2)
    await Crew(the_desk).told(a_person())
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=the_desk.house.settle_seconds)
    await the_desk.settle_unknown()
    await the_desk.hand_over()
    assert tried(await at_the_desk.person(key, person)) == [("sms", "absent"), ("sms", "cancelled")]
    assert await counts(the_desk, key) == {"cancelled": 1}
