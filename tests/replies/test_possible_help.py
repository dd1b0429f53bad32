"""What may be a call for help stands open until somebody makes it a help request or says that it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.kernel.db import rows, run
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person


async def told(desk: Desk, crew: Crew, *people: Person) -> str:
    key = await crew.told(*people)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    return key


async def possible(desk: Desk, key: str) -> list[dict[str, Any]]:
    """The incident's reports that may still be a call for help."""
    return [report for report in await desk.reports(key) if report["maybe_help"]]


async def texted(desk: Desk, key: str, person: Person, words: str = "help") -> str:
    """The path of the report that this person's words make."""
    await desk.text(person.mobile, words)
    report = (await desk.reports(key))[0]
    assert report["maybe_help"]
    return f"/incidents/{key}/field-reports/{report['id']}"


@dataclass
class Caller:
    """Somebody in a role, with their own token."""

    desk: Desk
    token: str

    @classmethod
    async def of(cls, desk: Desk, role: str, **given: str) -> Caller:
        return cls(desk, await desk.token(role, **given))

    async def call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.desk.api.request(method, f"/api/v1{path}", json=body, headers=headers)


async def requests(desk: Desk, key: str) -> list[dict[str, Any]]:
    return list((await desk.call("GET", f"/incidents/{key}/help-requests"))["items"])


async def kinds(desk: Desk, key: str) -> list[str]:
    return [entry["kind"] for entry in (await desk.call("GET", f"/incidents/{key}/timeline"))["items"]]


async def sharing(desk: Desk, crew: Crew) -> tuple[str, list[Person]]:
    """An incident in which two people with one phone were told."""
    number = a_number()
    people = [a_person(mobile=number, email="", name=name) for name in ("Ann Archer", "Bo Bell")]
    return await told(desk, crew, *people), people


async def test_a_report_becomes_a_help_request_the_way_of_any_other(the_desk: Desk, at_the_desk: Crew) -> None:
    lead, person = a_person(department="Leads"), a_person(name="Nadia Novak")
    await at_the_desk.hire(lead, a_person())
    await the_desk.token("department_lead", person=lead.id, department="Store Operations")
    key = await told(the_desk, at_the_desk, person)
    path = await texted(the_desk, key, person)
    made = await the_desk.call("POST", f"{path}/help", status=201)
    assert (made["state"], made["person_id"], made["bulletin"]) == ("open", person.id, 1)
    assert made["climbs_at"]
    await the_desk.hand_over()
    texts = [str(text["body"]) for text in await the_desk.texts(lead.mobile)]
    assert any("Nadia Novak" in body and "needs help" in body for body in texts)
    (report,) = await the_desk.reports(key)
    assert (report["maybe_help"], report["help_request_id"]) == (False, made["id"])
    assert [kind for kind in await kinds(the_desk, key) if kind.startswith("help")] == ["help_opened", "help_told"]
    await the_desk.call("POST", f"/incidents/{key}/help-requests/{made['id']}/take")
    assert (await at_the_desk.person(key, person))["response"] is None, "nothing was answered for them"


async def test_made_help_twice_it_is_one_request(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    path = await texted(the_desk, key, person)
    first = await the_desk.call("POST", f"{path}/help", status=201)
    assert (await the_desk.call("POST", f"{path}/help", status=200))["id"] == first["id"]
    again = await texted(the_desk, key, person)
    assert (await the_desk.call("POST", f"{again}/help", status=200))["id"] == first["id"]
    assert len(await requests(the_desk, key)) == 1
    assert await possible(the_desk, key) == []


async def test_cleared_it_stays_in_the_list_with_who_and_when(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    path = await texted(the_desk, key, person)
    for _ in range(2):
        cleared = await the_desk.call("POST", f"{path}/clear")
        assert (cleared["maybe_help"], cleared["cleared_by"], cleared["text"]) == (False, "an admin", "help")
    (report,) = await the_desk.reports(key)
    assert report["cleared_at"] == cleared["cleared_at"]
    assert (await kinds(the_desk, key)).count("possible_help_cleared") == 1
    assert await requests(the_desk, key) == []


async def test_what_was_cleared_can_still_become_help_and_help_cannot_be_cleared(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    path = await texted(the_desk, key, person)
    await the_desk.call("POST", f"{path}/clear")
    made = await the_desk.call("POST", f"{path}/help", status=201)
    refused = await the_desk.api.post(f"/api/v1{path}/clear")
    assert refused.status_code == 409
    assert refused.json()["help_request_id"] == made["id"]


async def test_any_report_can_become_a_help_request(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "the ceiling came down")
    (report,) = await the_desk.reports(key)
    made = await the_desk.call("POST", f"/incidents/{key}/field-reports/{report['id']}/help", status=201)
    assert made["person_id"] == person.id


async def test_from_a_shared_phone_somebody_says_who_it_is(the_desk: Desk, at_the_desk: Crew) -> None:
    key, people = await sharing(the_desk, at_the_desk)
    path = await texted(the_desk, key, people[0])
    refused = await the_desk.api.post(f"/api/v1{path}/help")
    assert refused.status_code == 409
    assert [one["person_id"] for one in refused.json()["candidates"]] == [person.id for person in people]
    assert (await the_desk.api.post(f"/api/v1{path}/help", json={"person_id": "nobody"})).status_code == 404
    assert len(await possible(the_desk, key)) == 1, "nothing was settled yet"
    made = await the_desk.call("POST", f"{path}/help", {"person_id": people[1].id}, status=201)
    assert made["person_id"] == people[1].id


async def test_a_known_senders_report_is_nobody_elses(the_desk: Desk, at_the_desk: Crew) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    path = await texted(the_desk, key, person)
    refused = await the_desk.api.post(f"/api/v1{path}/help", json={"person_id": other.id})
    assert refused.status_code == 409
    assert [one["person_id"] for one in refused.json()["candidates"]] == [person.id]
    await the_desk.call("POST", f"{path}/help", {"person_id": person.id}, status=201)


async def test_who_then_asks_for_help_has_settled_it(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await texted(the_desk, key, person)
    await the_desk.text(person.mobile, "2")
    (request,) = await requests(the_desk, key)
    (report,) = await the_desk.reports(key)
    assert (report["maybe_help"], report["help_request_id"]) == (False, request["id"])


async def test_who_then_answers_ok_has_settled_nothing(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await texted(the_desk, key, person)
    await the_desk.text(person.mobile, "1")
    assert len(await possible(the_desk, key)) == 1


async def test_incident_and_board_count_it_beside_help(the_desk: Desk, at_the_desk: Crew) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    await texted(the_desk, key, person)
    await the_desk.text(other.mobile, "2")
    for found in (await the_desk.call("GET", f"/incidents/{key}"), await the_desk.board(key)):
        assert (found["open_help_requests"], found["possible_help"]) == (1, 1)


async def test_closing_names_possible_help_and_is_not_stopped_by_it(the_desk: Desk, at_the_desk: Crew) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    await texted(the_desk, key, person)
    await the_desk.text(other.mobile, "2")
    close = {"status": "closed", "reason": "over"}
    refused = await the_desk.api.patch(f"/api/v1/incidents/{key}", json=close)
    assert refused.status_code == 409
    assert "1 report may be a call for help" in refused.json()["detail"]
    (request,) = await requests(the_desk, key)
    await the_desk.call("POST", f"/incidents/{key}/help-requests/{request['id']}/close", {"outcome": "done"})
    closed = await the_desk.call("PATCH", f"/incidents/{key}", close)
    assert (closed["status"], closed["possible_help"]) == ("closed", 1)


async def test_help_that_comes_after_closing_is_on_that_incidents_list(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    path = await texted(the_desk, key, person)
    made = await the_desk.call("POST", f"{path}/help", status=201)
    assert made["state"] == "open"


async def test_help_from_who_was_never_told_anything_can_be_taken_into_an_incident(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    await Crew(the_desk).hire(person)
    await the_desk.text(person.mobile, "help")
    key = await told(the_desk, at_the_desk, a_person())
    (report_id,) = await _without_incident(the_desk, person)
    made = await the_desk.call("POST", f"/incidents/{key}/field-reports/{report_id}/help", status=201)
    assert (made["person_id"], made["bulletin"]) == (person.id, None)
    (report,) = await the_desk.reports(key)
    assert report["help_request_id"] == made["id"]
    await the_desk.call("POST", f"/incidents/{key}/help-requests/{made['id']}/close", {"outcome": "called them"})


async def _without_incident(desk: Desk, person: Person) -> list[int]:
    async with desk.house.db.begin() as session:
        found = await rows(
            session,
            "SELECT id FROM field_report WHERE number = :number AND incident_id IS NULL",
            {"number": person.mobile},
        )
    return [entry["id"] for entry in found]


async def test_another_incidents_report_is_not_found(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    path = await texted(the_desk, key, person)
    other = await told(the_desk, at_the_desk, a_person())
    for action in ("help", "clear"):
        response = await the_desk.api.post(f"/api/v1{path.replace(key, other)}/{action}")
        assert response.status_code == 404
    assert (await the_desk.api.post(f"/api/v1/incidents/{key}/field-reports/999999999/help")).status_code == 404


@pytest.mark.parametrize("action", ["help", "clear"])
async def test_another_departments_report_is_not_found(the_desk: Desk, at_the_desk: Crew, action: str) -> None:
    person = a_person(department="IT")
    mine = a_person()
    key = await told(the_desk, at_the_desk, person, mine)
    theirs, own = await texted(the_desk, key, person), await texted(the_desk, key, mine)
    lead = await Caller.of(the_desk, "department_lead", department="Store Operations")
    assert (await lead.call("POST", f"{theirs}/{action}")).status_code == 404
    assert (await lead.call("POST", f"{own}/{action}")).status_code in (200, 201)
    viewer = await Caller.of(the_desk, "viewer")
    assert (await viewer.call("POST", f"{theirs}/{action}")).status_code == 403


async def test_a_lead_sees_what_comes_from_a_phone_that_their_people_share(the_desk: Desk, at_the_desk: Crew) -> None:
    number = a_number()
    mine = a_person(mobile=number, email="")
    theirs = a_person(mobile=number, email="", department="IT")
    key = await told(the_desk, at_the_desk, mine, theirs)
    path = await texted(the_desk, key, mine)
    for department, own in (("Store Operations", mine), ("IT", theirs)):
        lead = await Caller.of(the_desk, "department_lead", department=department)
        (report,) = (await lead.call("GET", f"/incidents/{key}/field-reports")).json()["items"]
        assert (report["maybe_help"], report["call"]) == (True, number)
        refused = await lead.call("POST", f"{path}/help")
        assert [one["person_id"] for one in refused.json()["candidates"]] == [own.id]
    lead = await Caller.of(the_desk, "department_lead", department="IT")
    assert (await lead.call("POST", f"{path}/help", {"person_id": mine.id})).status_code == 404


async def test_the_number_is_for_those_who_may_call(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await texted(the_desk, key, person)
    for role, sees in (("commander", person.mobile), ("viewer", None), ("communications_lead", None)):
        caller = await Caller.of(the_desk, role)
        (report,) = (await caller.call("GET", f"/incidents/{key}/field-reports")).json()["items"]
        assert report["call"] == sees, role


async def test_once_the_sharers_have_left_the_report_still_waits(the_desk: Desk, at_the_desk: Crew) -> None:
    key, people = await sharing(the_desk, at_the_desk)
    path = await texted(the_desk, key, people[0])
    async with the_desk.house.db.begin() as session:
        gone = [person.id for person in people]
        await run(session, "UPDATE person SET active = false WHERE employee_id = ANY(:gone)", {"gone": gone})
    refused = await the_desk.api.post(f"/api/v1{path}/help")
    assert (refused.status_code, refused.json()["candidates"]) == (409, [])
    assert len(await possible(the_desk, key)) == 1


async def test_a_report_that_became_help_names_no_request_of_another_department(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    number = a_number()
    mine = a_person(mobile=number, email="", name="Nadia Novak")
    other = a_person(mobile=number, email="", department="Customer Service")
    key = await told(the_desk, at_the_desk, mine, other)
    path = await texted(the_desk, key, mine, "2")
    await the_desk.call("POST", f"{path}/help", {"person_id": mine.id}, status=201)
    lead = await Caller.of(the_desk, "department_lead", department="Customer Service")
    for body in ({}, {"person_id": other.id}):
        refused = await lead.call("POST", f"{path}/help", body)
        assert refused.status_code == 409
        assert "another department" in refused.text
        assert "Novak" not in refused.text
    again = await the_desk.call("POST", f"{path}/help", {"person_id": other.id}, status=409)
    assert mine.name in again["detail"]


@pytest.mark.parametrize("words", ["2 Z9", "2 we have no cash", "2\nPlease call me", "No cash here. 2", "ok 2"])
async def test_a_two_among_words_or_with_a_mistyped_code_may_be_help(
    the_desk: Desk, at_the_desk: Crew, words: str
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, words)
    assert [report["text"] for report in await possible(the_desk, key)] == [words]
