"""Texts that came while we were down: the carrier posts them once, so they are found again in its list."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from app.channels.port import Inbox
from app.kernel.db import row
from app.replies.lost import LostTexts
from app.replies.models import Inbound
from app.replies.service import receive_late
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person, faults
from tests.stack import SENDER


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _one_time_for_both(the_desk: Desk) -> None:
    """The carrier's list bears the carrier's times: here they are the desk's."""
    the_desk.simulator.simulator.world.now = lambda: the_desk.clock.now().timestamp()


async def told(desk: Desk, crew: Crew, *people: Person) -> str:
    key = await crew.told(*people)
    await desk.hand_over()
    desk.clock.advance(seconds=30)
    return key


async def missed(desk: Desk, person: Person, body: str) -> str:
    """The person texts while nobody listens at our address; returns the text's SID."""
    response = await desk.carrier.post(f"/simulator/phones/{person.mobile}/reply", json={"body": body})
    found = response.json()
    assert found["status"] == 0
    return str(found["sid"])


async def find(desk: Desk) -> int:
    """A round, when the text cannot be on its way any more."""
    desk.clock.advance(seconds=22)
    return await LostTexts(desk.house, desk.providers).step()


async def test_an_answer_that_was_lost_is_found_and_counts_from_when_it_was_sent(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    sent = the_desk.clock.now()
    await missed(the_desk, person, "1")
    assert await find(the_desk) == 1
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], entry["via"]) == ("acknowledged", "sms")
    assert abs(datetime.fromisoformat(entry["acknowledged_at"]) - sent) <= timedelta(seconds=1)
    assert (await at_the_desk.person(key, other))["status"] == "waiting"
    assert await find(the_desk) == 0
    assert await the_desk.acts(key, person) == [("ok", False)]


async def test_half_a_character_costs_nobody_their_answer(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    async with the_desk.house.db.begin() as session:
        text = Inbound(sid="SM" + "8" * 32, sender=person.mobile, body="2 \ud83d", found_at=the_desk.clock.now())
        assert await receive_late(session, the_desk.house, text)
    assert (await at_the_desk.person(key, person))["status"] == "need_help"


async def test_one_that_may_still_be_on_its_way_is_left_alone(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    sid = await missed(the_desk, person, "1")
    assert await LostTexts(the_desk.house, the_desk.providers).step() == 0
    # And it does come, late: it is answered as usual, and found by nobody.
    assert "1 OK" in await the_desk.text(person.mobile, "1", sid=sid)
    assert await find(the_desk) == 0
    assert await the_desk.acts(key, person) == [("ok", False)]


async def test_one_that_is_posted_after_it_was_found_counts_once(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    sid = await missed(the_desk, person, "2")
    assert await find(the_desk) == 1
    assert await the_desk.text(person.mobile, "2", sid=sid) == ""
    assert await the_desk.acts(key, person) == [("need_help", False)]
    requests = (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert [request["state"] for request in requests] == ["open"]


async def test_a_lost_digit_means_what_the_person_had_then(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await missed(the_desk, person, "1")
    the_desk.clock.advance(seconds=60)
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    assert await find(the_desk) == 1
    assert await the_desk.acts(key, person) == [("ok", True)]
    assert await the_desk.acts(key, person, 2) == []
    assert (await at_the_desk.person(key, person, 2))["status"] == "waiting"


async def test_a_lost_answer_never_overrides_a_later_one(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await missed(the_desk, person, "2")
    the_desk.clock.advance(seconds=30)
    await the_desk.text(person.mobile, "1")
    assert await find(the_desk) == 1
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], entry["response"]) == ("acknowledged", "ok")
    assert (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"] == []
    assert sorted(await the_desk.acts(key, person)) == [("need_help", False), ("ok", False)]


async def test_words_and_stop_are_found_too(the_desk: Desk, at_the_desk: Crew) -> None:
    speaker, stopper = a_person(), a_person()
    key = await told(the_desk, at_the_desk, speaker, stopper)
    await missed(the_desk, speaker, "tills 3 and 4 are down")
    await missed(the_desk, stopper, "STOP")
    assert await find(the_desk) == 2
    assert [report["text"] for report in await the_desk.reports(key)] == ["tills 3 and 4 are down"]
    number = await the_desk.send(key, "identified")
    (only,) = (await at_the_desk.person(key, stopper, number))["attempts"]
    assert only["channel"] == "email"


async def test_a_shared_phone_is_not_asked_back_late(the_desk: Desk, at_the_desk: Crew) -> None:
    """There is no TwiML to give, and nobody to whom a text of its own would be."""
    number = a_number()
    people = [a_person(mobile=number), a_person(mobile=number)]
    await told(the_desk, at_the_desk, *people)
    sid = await missed(the_desk, people[0], "1")
    before = len(await the_desk.texts(number))
    assert await find(the_desk) == 1
    await the_desk.hand_over()
    assert len(await the_desk.texts(number)) == before
    async with the_desk.house.db.begin() as session:
        kept = await row(session, "SELECT outcome, answer FROM inbound_message WHERE sid = :sid", {"sid": sid})
    assert kept
    assert (kept["outcome"], kept["answer"]) == ("asked_who", None)


@pytest.mark.parametrize("fault", [{"list": "500"}, {"http": "down"}])
async def test_a_list_that_cannot_be_read_is_tried_again(
    the_desk: Desk, at_the_desk: Crew, fault: dict[str, str]
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await missed(the_desk, person, "3")
    await faults(the_desk, **fault)
    assert await find(the_desk) == 0
    await faults(the_desk, **dict.fromkeys(fault))
    assert await find(the_desk) == 1
    assert await the_desk.acts(key, person) == [("cannot", False)]


async def test_a_messaging_services_numbers_are_all_looked_at(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await missed(the_desk, person, "1")
    sms = the_desk.providers.by_channel["sms"]
    assert sms.sender == SENDER  # type: ignore[attr-defined]
    sms.sender = "MG" + "0" * 32  # type: ignore[attr-defined]
    try:
        assert await find(the_desk) == 1
    finally:
        sms.sender = SENDER  # type: ignore[attr-defined]
    assert await the_desk.acts(key, person) == [("ok", False)]


async def test_more_texts_than_one_page_of_the_list_are_all_found(
    the_desk: Desk, at_the_desk: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the next page has a query of its own."""
    monkeypatch.setattr("app.channels.twilio.PAGE_SIZE", 7)
    people = [a_person(email="") for _ in range(23)]
    key = await told(the_desk, at_the_desk, *people)
    for person in people:
        await missed(the_desk, person, "1")
    inbox = the_desk.providers.by_channel["sms"]
    assert isinstance(inbox, Inbox)
    heard = [text.sid for text in await inbox.received(since=the_desk.clock.now() - timedelta(minutes=1))]
    assert len(heard) == len(set(heard)), "each page is another one"
    assert await find(the_desk) == len(people)
    assert (await the_desk.board(key))["counts"]["acknowledged"] == len(people)
    assert await find(the_desk) == 0


async def test_what_there_is_to_say_to_a_late_text_is_sent(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    await told(the_desk, at_the_desk, person)
    await missed(the_desk, person, "2")
    assert await find(the_desk) == 1
    await the_desk.hand_over()
    (text,) = [str(t["body"]) for t in await the_desk.texts(person.mobile) if "reached us late" in str(t["body"])]
    assert "2 need help" in text
