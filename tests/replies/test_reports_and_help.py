"""What people tell us beyond an answer: field reports, whole; help requests, owned by name until closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.journeys.crew import Crew, Desk, a_person


async def told(desk: Desk, crew: Crew, *people: Any) -> str:
    key = await crew.told(*people)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    return key


@pytest.mark.parametrize(
    "words",
    [
        "tills 3 and 4 also down",
        "yes in 2 hours",
        "x" * 10_000,
        "الصناديق معطلة منذ الساعة 9 ونحتاج إلى مساعدة\u200f",
        "line one\nline two\r\n\ttabbed  twice",
        "<script>alert(1)</script> & 'quotes' \"too\"",
        "'; DROP TABLE delivery; --",
        "%s %(x)s {y} ${z} \\n :name",
        "🙂👩‍🚒 till 3 " * 50,
    ],
    ids=["plain", "yes in 2 hours", "long", "rtl", "lines", "markup", "sql", "formats", "emoji"],
)
async def test_words_are_passed_on_whole(the_desk: Desk, at_the_desk: Crew, words: str) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    answer = await the_desk.text(person.mobile, words)
    assert "not yet your answer" in answer
    assert await the_desk.acts(key, person) == []
    (report,) = await the_desk.reports(key)
    assert report["text"] == words
    assert (report["person_id"], report["name"], report["department"], report["site"], report["via"]) == (
        person.id, f"Person {person.id}", "Store Operations", at_the_desk.site, "sms",
    )  # fmt: skip
    assert report["number"] is None
    kinds = [e["kind"] for e in (await the_desk.call("GET", f"/incidents/{key}/timeline"))["items"]]
    assert "field_report" in kinds


async def test_a_nul_is_left_out_and_nothing_else(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "till\0s are\0 down", OptOutType="\0")
    (report,) = await the_desk.reports(key)
    assert report["text"] == "tills are down"


async def test_after_the_answer_words_are_only_passed_on(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "1")
    assert await the_desk.text(person.mobile, "tills are back") == "Passed on to the incident team."
    assert (await at_the_desk.person(key, person))["status"] == "acknowledged"


async def test_words_belong_to_the_incident_last_heard_of(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    first = await told(the_desk, at_the_desk, person)
    second = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "which one now")
    assert await the_desk.reports(first) == []
    assert len(await the_desk.reports(second)) == 1


async def test_a_need_opens_a_request_that_is_taken_and_closed_by_name(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    assert "sees it now" in await the_desk.text(person.mobile, "2")
    path = f"/incidents/{key}/help-requests"
    (request,) = (await the_desk.call("GET", path))["items"]
    assert (request["state"], request["person_id"], request["site"]) == ("open", person.id, at_the_desk.site)
    taken = await the_desk.call("POST", f"{path}/{request['id']}/take")
    assert (taken["state"], taken["owner"]) == ("taken", "an admin")
    refused = await the_desk.api.patch(f"/api/v1/incidents/{key}", json={"status": "closed", "reason": "over"})
    assert refused.status_code == 409
    closed = await the_desk.call("POST", f"{path}/{request['id']}/close", {"outcome": "two people sent"})
    assert (closed["state"], closed["closed_by"], closed["outcome"]) == ("closed", "an admin", "two people sent")
    again = await the_desk.api.post(f"/api/v1{path}/{request['id']}/close", json={"outcome": "again"})
    assert again.status_code == 409
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    kinds = [e["kind"] for e in (await the_desk.call("GET", f"/incidents/{key}/timeline"))["items"]]
    assert [kind for kind in kinds if kind.startswith("help")] == [
        "help_opened", "help_untold", "help_taken", "help_closed",
    ]  # fmt: skip


async def test_answering_ok_withdraws_a_request_that_nobody_took(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "2")
    await the_desk.text(person.mobile, "1")
    (request,) = (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert (request["state"], request["outcome"], request["closed_by"]) == ("closed", "withdrawn", None)
    await the_desk.text(person.mobile, "2")
    requests = (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert [request["state"] for request in requests] == ["closed", "open"]


async def test_a_request_that_somebody_took_stays_theirs(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "2")
    path = f"/incidents/{key}/help-requests"
    (request,) = (await the_desk.call("GET", path))["items"]
    await the_desk.call("POST", f"{path}/{request['id']}/take")
    await the_desk.text(person.mobile, "1")
    (request,) = (await the_desk.call("GET", path))["items"]
    assert request["state"] == "taken"


async def test_one_person_has_one_open_request_in_an_incident(the_desk: Desk, at_the_desk: Crew) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    await the_desk.text(person.mobile, "2")
    await the_desk.text(person.mobile, "2")
    await the_desk.text(other.mobile, "2")
    requests = (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert [request["person_id"] for request in requests] == [person.id, other.id]
    # One's answer changes nothing of the other's.
    await the_desk.text(person.mobile, "1")
    requests = (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert [(request["person_id"], request["state"]) for request in requests] == [
        (person.id, "closed"), (other.id, "open"),
    ]  # fmt: skip


async def test_an_older_answer_recorded_later_opens_and_closes_nothing(the_desk: Desk, at_the_desk: Crew) -> None:
    """Somebody writes down in the evening what a person said in the morning; what they said since stands."""
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    morning = the_desk.clock.now()
    the_desk.clock.advance(seconds=3600)
    await the_desk.text(person.mobile, "2")
    path = f"/incidents/{key}/help-requests"
    (request,) = (await the_desk.call("GET", path))["items"]
    await the_desk.call("POST", f"{path}/{request['id']}/close", {"outcome": "done"})
    on_behalf = f"/incidents/{key}/bulletins/1/recipients/{person.id}/acknowledgment"
    for response in ("need_help", "ok"):
        said = {"response": response, "via": "phone", "note": "rang", "at": (morning + timedelta(1e-5)).isoformat()}
        answer = await the_desk.call("POST", on_behalf, said)
        assert answer["response"] == "need_help"
    assert [entry["state"] for entry in (await the_desk.call("GET", path))["items"]] == ["closed"]
    assert await the_desk.acts(key, person) == [("need_help", False), ("need_help", False), ("ok", False)]
    assert (await at_the_desk.person(key, person))["status"] == "need_help"


async def test_help_said_in_a_carriers_word_is_marked_and_opens_no_request(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "help")
    (report,) = await the_desk.reports(key)
    assert (report["text"], report["maybe_help"]) == ("help", True)
    assert (await the_desk.call("GET", f"/incidents/{key}/help-requests"))["items"] == []
