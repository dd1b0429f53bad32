"""An all-clear is news: one text, another channel only where that failed, no call, and nobody is told of silence."""

from __future__ import annotations

import pytest

from app.bulletins.checks import CALLS_NOBODY, ladder_findings
from app.kernel.db import row
from tests.escalations.cast import a_manager, after, notices, told
from tests.journeys.crew import Crew, Desk, Person, a_person, adds_up, tried
from tests.journeys.test_stopping import counts


async def over(desk: Desk, at: Crew, *people: Person) -> str:
    """These people were told of an incident and then that it is over; the all-clear is bulletin 2."""
    key = await told(desk, at, *people)
    await desk.send(key, "resolved")
    await desk.hand_over()
    return key


async def fails(desk: Desk, key: str) -> None:
    """The carrier says that the last attempt did not arrive."""
    last = (await desk.attempts(key))[-1]
    response = await desk.callback(last["id"], last["provider_message_id"], "undelivered", 30006)
    assert response.status_code == 204, response.text


async def test_it_is_one_text_and_nobody_is_told_that_it_was_not_answered(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    person = a_person(manager=manager.id)
    key = await over(the_desk, at_the_desk, person)
    entry = await at_the_desk.person(key, person, 2)
    assert (entry["status"], entry["next_step"], entry["next_step_at"]) == ("waiting", None, None)
    board = await the_desk.board(key, 2)
    assert board["next"] == []
    await after(the_desk, minutes=30)
    assert tried(await at_the_desk.person(key, person, 2)) == [("sms", "accepted")]
    assert await the_desk.emails(person.email) == []
    assert await notices(the_desk, manager) == []
    adds_up(await the_desk.board(key, 2))


async def test_the_text_ends_with_its_link_and_asks_for_nothing(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await over(the_desk, at_the_desk, person)
    shown = await the_desk.call("GET", f"/incidents/{key}/bulletins/2")
    assert {message["channel"] for message in shown["messages"]} == {"sms", "email"}
    text = str((await the_desk.texts(person.mobile))[-1]["body"])
    link = the_desk.house.link((await the_desk.delivery(key, person, 2))["id"])
    assert text == f"resolved for counters: tills are down. {link}"
    for message in shown["messages"]:
        assert "Code" not in message["text"]
        assert "Reply" not in message["text"]
        assert "nswer" not in message["text"]


@pytest.mark.parametrize("closed", [False, True])
async def test_only_a_definite_failure_goes_on_and_at_once(the_desk: Desk, at_the_desk: Crew, closed: bool) -> None:
    manager = await a_manager(at_the_desk)
    person = a_person(manager=manager.id)
    key = await over(the_desk, at_the_desk, person)
    if closed:
        await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    await fails(the_desk, key)
    await after(the_desk)
    assert tried(await at_the_desk.person(key, person, 2)) == [("sms", "undelivered"), ("email", "accepted")]
    (mail,) = await the_desk.emails(person.email)
    said = str(mail["text"])
    assert "/a/" in said
    assert "code" not in said
    assert "nswer" not in said
    await after(the_desk, minutes=30)
    assert await notices(the_desk, manager) == []
    assert await counts(the_desk, key, 2) == {"waiting": 1}


async def test_where_every_channel_failed_the_board_says_so_and_nobody_is_told(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    manager = await a_manager(at_the_desk)
    person = a_person(email="", manager=manager.id)
    key = await over(the_desk, at_the_desk, person)
    await fails(the_desk, key)
    await after(the_desk, minutes=30)
    entry = await at_the_desk.person(key, person, 2)
    assert (entry["status"], entry["next_step"], entry["told"]) == ("unreachable", None, [])
    assert await notices(the_desk, manager) == []


async def test_closing_right_after_it_stops_nobody_from_hearing_it(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.send(key, "resolved")
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    assert await counts(the_desk, key, 2) == {"pending": 1}
    await after(the_desk)
    assert [str(text["body"])[:8] for text in await the_desk.texts(person.mobile)][-1] == "resolved"
    assert await counts(the_desk, key, 2) == {"waiting": 1}


async def test_the_steps_that_tell_and_call_are_not_even_planned(the_desk: Desk, at_the_desk: Crew) -> None:
    key = await over(the_desk, at_the_desk, a_person())
    async with the_desk.house.db.begin() as session:
        found = await row(
            session,
            """SELECT array_agg(s.channel ORDER BY s.rung) AS channels, count(s.tell) AS tells FROM ladder_step s
               JOIN bulletin b ON b.id = s.bulletin_id JOIN incident i ON i.id = b.incident_id
               WHERE i.key = :key AND b.number = 2""",
            {"key": key},
        )
    assert found is not None
    assert (found["channels"], found["tells"]) == (["sms", "email"], 0)


def test_a_ladder_of_calls_alone_is_said_to_reach_nobody_with_an_all_clear() -> None:
    (found,) = ladder_findings([], ["sms", "email", "voice"], asking=False)
    assert (found.level, found.message) == ("warning", CALLS_NOBODY)
