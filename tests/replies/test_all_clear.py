"""A reply to an all-clear: help is always heard, and everything else is thanked and changes nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.replies.service import DIGIT_RACE_SECONDS
from tests.journeys.crew import Crew, Desk, Person, a_person, adds_up

NEWS_SECONDS = 300
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
