"""A reply to an all-clear: help is always heard, and everything else is thanked and changes nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.replies.whose import DIGIT_RACE_SECONDS, NEWS_SECONDS
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person, adds_up

BUTTON = re.compile(r'name="response" value="(\w+)"')


async def told(desk: Desk, at: Crew, *people: Person, **more: Any) -> str:
    """An incident whose first bulletin these people have on their phones since a good while."""
    key = await at.told(*people, **more)
    await desk.hand_over()
    desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 1)
    return key


async def over(desk: Desk, at: Crew, *people: Person, **more: Any) -> str:
    """The same, and then that it is over; the all-clear is bulletin 2."""
    key = await told(desk, at, *people, **more)
    await all_clear(desk, key)
    return key


async def all_clear(desk: Desk, key: str) -> None:
    await desk.send(key, "resolved")
    await desk.hand_over()


async def close(desk: Desk, key: str) -> None:
    await desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over", "accept_open_help": True})


async def helps(desk: Desk, key: str) -> list[dict[str, Any]]:
    return list((await desk.call("GET", f"/incidents/{key}/help-requests"))["items"])


async def link(desk: Desk, key: str, person: Person) -> str:
    return f"/a/{desk.house.signer.link_token((await desk.delivery(key, person, 2))['id'])}"


async def press(desk: Desk, url: str, **given: str) -> Any:
    page = await desk.api.get(url)
    nonce = re.search(r'name="nonce" value="([^"]+)"', page.text)
    assert nonce
    return await desk.api.post(url, data={"nonce": nonce[1], **given})


async def test_its_page_shows_the_news_and_only_offers_help(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await over(the_desk, at_the_desk, person)
    url = await link(the_desk, key, person)
    page = (await the_desk.api.get(url)).text
    assert "What we know" not in page
    assert "We are working on it." in page
    assert BUTTON.findall(page) == ["need_help"]
    assert "Send only this" in page
    assert (await press(the_desk, url, response="need_help")).status_code == 303
    (request,) = await helps(the_desk, key)
    assert request["person_id"] == person.id
    assert "You asked for help" in (await the_desk.api.get(url)).text
    board = await the_desk.board(key, 2)
    adds_up(board)
    assert board["counts"]["need_help"] == 1


@pytest.mark.parametrize("response", ["ok", "cannot"])
async def test_any_other_answer_on_its_page_is_thanked_and_changes_nothing(
    the_desk: Desk, at_the_desk: Crew, response: str
) -> None:
    person = a_person()
    key = await over(the_desk, at_the_desk, person)
    done = await press(the_desk, await link(the_desk, key, person), response=response)
    assert done.status_code == 303
    assert "Thank you. You don&#39;t need to answer this." in (await the_desk.api.get(done.headers["location"])).text
    assert await the_desk.acts(key, person, 2) == []
    assert (await at_the_desk.person(key, person, 2))["status"] == "waiting"


async def test_words_from_its_page_are_passed_on(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await over(the_desk, at_the_desk, person)
    done = await press(the_desk, await link(the_desk, key, person), response="", note="Till 4 is still dead")
    page = (await the_desk.api.get(done.headers["location"])).text
    assert "Passed on to the incident team." in page
    assert "press one of the three" not in page
    assert [report["text"] for report in await the_desk.reports(key)] == ["Till 4 is still dead"]


async def test_nothing_but_help_is_recorded_for_somebody(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await over(the_desk, at_the_desk, person)
    url = f"/api/v1/incidents/{key}/bulletins/2/recipients/{person.id}/acknowledgment"
    said = {"via": "in_person", "note": "asked at the desk"}
    refused = await the_desk.api.post(url, json=said | {"response": "ok"})
    assert refused.status_code == 409
    assert "asks for no answer" in refused.json()["detail"]
    done = await the_desk.api.post(url, json=said | {"response": "need_help"})
    assert done.status_code in (200, 201), done.text
    assert len(await helps(the_desk, key)) == 1


HELP_WORDS = ["2", "need help", "HELP", "help us at gate 4", "I need help", "2 thanks"]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("words", HELP_WORDS)
async def test_help_in_reply_to_it_always_opens_a_request(
    the_desk: Desk, at_the_desk: Crew, words: str, closed: bool
) -> None:
    person = a_person()
    key = await over(the_desk, at_the_desk, person)
    if closed:
        await close(the_desk, key)
        the_desk.clock.advance(seconds=3600)
    answer = await the_desk.text(person.mobile, words)
    assert "someone will contact you" in answer
    assert "Code" not in answer
    (request,) = await helps(the_desk, key)
    assert (request["person_id"], request["state"]) == (person.id, "open")
    timeline = await the_desk.call("GET", f"/incidents/{key}/timeline?limit=1000")
    assert "help_opened" in [entry["kind"] for entry in timeline["items"]]
    assert not any(report["maybe_help"] for report in await the_desk.reports(key)), "it is settled by the request"


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("words", ["1", "3", "ok", "cannot", "OK thanks", "YES"])
async def test_anything_else_is_thanked_and_changes_nothing(
    the_desk: Desk, at_the_desk: Crew, words: str, closed: bool
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "3")
    await all_clear(the_desk, key)
    if closed:
        await close(the_desk, key)
    answer = await the_desk.text(person.mobile, words)
    assert answer.startswith("Thank you. There is nothing to answer now.")
    assert await the_desk.acts(key, person) == [("cannot", False)]
    assert await the_desk.acts(key, person, 2) == []
    assert await helps(the_desk, key) == []
    board = await the_desk.board(key, 2)
    adds_up(board)
    assert board["counts"]["waiting"] == 1


async def test_an_earlier_request_for_help_is_not_withdrawn_by_a_thank_you(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "2")
    await all_clear(the_desk, key)
    await the_desk.text(person.mobile, "1")
    assert [request["state"] for request in await helps(the_desk, key)] == ["open"]


async def test_the_code_of_an_older_bulletin_of_the_same_incident_is_read_like_a_reply_to_it(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    code = await the_desk.code(key, person)
    await all_clear(the_desk, key)
    assert (await the_desk.text(person.mobile, f"1 {code}")).startswith("Thank you. There is nothing to answer now.")
    assert await the_desk.acts(key, person) == []
    assert "someone will contact you" in await the_desk.text(person.mobile, f"2 {code}")
    assert len(await helps(the_desk, key)) == 1


async def test_until_it_arrives_the_older_code_still_answers(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    code = await the_desk.code(key, person)
    await the_desk.send(key, "resolved")
    assert "Noted: 1 OK" in await the_desk.text(person.mobile, f"1 {code}")
    await the_desk.hand_over()


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("digit", ["1", "2"])
async def test_beside_another_open_question_a_digit_is_asked_back_for_five_minutes(
    the_desk: Desk, at_the_desk: Crew, digit: str, closed: bool
) -> None:
    person = a_person()
    other = await told(the_desk, at_the_desk, person)
    key = await over(the_desk, at_the_desk, person)
    if closed:
        await close(the_desk, key)
    the_desk.clock.advance(seconds=NEWS_SECONDS - DIGIT_RACE_SECONDS - 5)
    answer = await the_desk.text(person.mobile, digit)
    code = await the_desk.code(other, person)
    assert answer.startswith("Which one do you mean?")
    assert f"{digit} {code}" in answer
    assert await the_desk.acts(other, person) == await the_desk.acts(key, person, 2) == []
    flagged = [r["text"] for k in (other, key) for r in await the_desk.reports(k) if r["maybe_help"]]
    assert flagged == (["2"] if digit == "2" else [])
    the_desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 10)
    await the_desk.text(person.mobile, digit)
    assert [act for act, _ in await the_desk.acts(other, person)] == [{"1": "ok", "2": "need_help"}[digit]]


async def test_the_example_with_its_code_asks_for_help_there(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    other = await told(the_desk, at_the_desk, person)
    key = await over(the_desk, at_the_desk, person)
    answer = await the_desk.text(person.mobile, "2")
    example = re.search(r"2 \w+ \(Over: [^)]*\)", answer)
    assert example
    assert "someone will contact you" in await the_desk.text(person.mobile, example[0])
    assert len(await helps(the_desk, key)) == 1
    assert await helps(the_desk, other) == []


async def test_with_its_code_another_open_question_is_answered_as_usual(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    other = await told(the_desk, at_the_desk, person)
    await over(the_desk, at_the_desk, person)
    code = await the_desk.code(other, person)
    assert "Noted: 1 OK" in await the_desk.text(person.mobile, f"1 {code}")
    assert await the_desk.acts(other, person) == [("ok", False)]


async def test_on_a_shared_phone_nobody_elses_question_takes_the_reply_to_it(the_desk: Desk, at_the_desk: Crew) -> None:
    reader, asked = a_person(), a_person()
    asked = Person(**{**vars(asked), "mobile": reader.mobile})
    other = await told(the_desk, at_the_desk, asked)
    await over(the_desk, Crew(the_desk), reader)
    assert "Several people share this phone." in await the_desk.text(reader.mobile, "1")
    assert await the_desk.acts(other, asked) == []


async def test_in_a_drill_the_thanks_are_marked(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    await over(the_desk, at_the_desk, person, drill=True)
    for words in ("1", "2"):
        answer = await the_desk.text(person.mobile, words)
        assert answer.startswith("DRILL. ")
        assert answer.endswith(" DRILL")
        assert answer.count("DRILL") == 2


def one_phone() -> tuple[Person, Person]:
    number = a_number()
    return a_person(mobile=number, email=""), a_person(mobile=number, email="")


@pytest.mark.parametrize("words", ["1", "3", "ok thanks", "YES"])
async def test_on_a_shared_phone_it_is_thanked_for_as_well(the_desk: Desk, at_the_desk: Crew, words: str) -> None:
    people = one_phone()
    key = await over(the_desk, at_the_desk, *people)
    assert "nothing to answer" in await the_desk.text(people[0].mobile, words)
    await close(the_desk, key)
    assert "nothing to answer" in await the_desk.text(people[0].mobile, words)
    assert (await the_desk.reports(key), await helps(the_desk, key)) == ([], [])


@pytest.mark.parametrize("words", ["2", "need help", "HELP"])
async def test_on_a_shared_phone_help_is_kept_and_no_code_is_asked_for(
    the_desk: Desk, at_the_desk: Crew, words: str
) -> None:
    people = one_phone()
    key = await over(the_desk, at_the_desk, *people)
    answer = await the_desk.text(people[0].mobile, words)
    assert "Open the link" in answer
    assert "code" not in answer
    (report,) = await the_desk.reports(key)
    assert (report["maybe_help"], report["person_id"]) == (True, None)


async def test_help_asked_for_after_the_end_can_be_taken_from_the_link(the_desk: Desk, at_the_desk: Crew) -> None:
    lead, person = a_person(department="Leads"), a_person()
    await at_the_desk.hire(lead)
    await the_desk.token("department_lead", person=lead.id, department="Store Operations")
    key = await over(the_desk, at_the_desk, person)
    await close(the_desk, key)
    the_desk.clock.advance(seconds=60)
    await the_desk.text(person.mobile, "2")
    await the_desk.hand_over()
    body = next(str(text["body"]) for text in await the_desk.texts(lead.mobile) if "needs help" in str(text["body"]))
    found = re.search(r"/a/\w+", body)
    assert found
    (request,) = await helps(the_desk, key)
    assert "Assign to me" in (await the_desk.api.get(found[0])).text
    await press(the_desk, found[0], request=str(request["id"]), owner="", do="take")
    assert (await helps(the_desk, key))[0]["state"] == "taken"


async def test_what_is_said_beside_a_request_for_help_is_kept(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    code = await the_desk.code(key, person)
    await all_clear(the_desk, key)
    typed = f"2 {code} till 4 is still down"
    assert "2 need help" in await the_desk.text(person.mobile, typed)
    assert [request["state"] for request in await helps(the_desk, key)] == ["open"]
    assert [report["text"] for report in await the_desk.reports(key)] == [typed]
