"""No more texts on somebody's behalf: who did it and why is kept, and it can be undone where only we recorded it."""

from __future__ import annotations

from typing import Any

import pytest

from app.kernel.db import row, rows
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person


async def told(desk: Desk, crew: Crew, *people: Person) -> str:
    key = await crew.told(*people)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    return key


def path(person: Person, action: str = "opt-out", kind: str = "mobile") -> str:
    return f"/people/{person.id}/contact-points/{kind}/{action}"


async def audited(desk: Desk, person: Person) -> list[tuple[str, str]]:
    """Every entry of the audit trail about this person's opt-outs: (kind, reason)."""
    async with desk.house.db.begin() as session:
        found = await rows(
            session,
            """SELECT e.kind, n.reason FROM audit_entry e
               JOIN contact_note n ON n.id = CAST(e.data ->> 'contact_note' AS bigint)
               JOIN person p ON p.id = n.person_id WHERE p.employee_id = :person ORDER BY e.seq""",
            {"person": person.id},
        )
    return [(entry["kind"], entry["reason"]) for entry in found]


async def test_an_opt_out_on_somebodys_behalf_says_who_and_why(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    point = await the_desk.call("POST", path(person), {"reason": "asked us by phone"})
    assert (point["kind"], point["suppressed"]) == ("mobile", ["opted_out"])
    assert [(flag["channel"], flag["by"]) for flag in point["flags"]] == [("sms", "an admin")]
    assert await the_desk.call("POST", path(person), {"reason": "asked again"}) == point
    assert await audited(the_desk, person) == [("contact_point.opted_out", "asked us by phone")]
    kinds = [entry["kind"] for entry in (await the_desk.call("GET", f"/incidents/{key}/timeline"))["items"]]
    assert kinds.count("opted_out_for") == 1


async def test_who_is_opted_out_gets_no_text_and_the_next_channel(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    await at_the_desk.hire(person)
    await the_desk.call("POST", path(person), {"reason": "asked us"})
    key = await told(the_desk, at_the_desk, person)
    entry = await at_the_desk.person(key, person)
    assert [attempt["channel"] for attempt in entry["attempts"]] == ["email"]


async def test_out_of_mail_is_said_of_who_has_nothing_else(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person(mobile="")
    await at_the_desk.hire(person)
    await the_desk.call("POST", path(person, kind="email"), {"reason": "asked us"})
    key = await told(the_desk, at_the_desk, person)
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], entry["reason"]) == ("unreachable", "opted out of email and has no other address")


async def test_it_can_be_undone_and_that_says_who_and_why_too(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    await at_the_desk.hire(person)
    await the_desk.call("POST", path(person), {"reason": "asked us"})
    for _ in range(2):
        point = await the_desk.call("POST", path(person, "opt-in"), {"reason": "a misunderstanding"})
        assert point["suppressed"] == []
    assert await audited(the_desk, person) == [
        ("contact_point.opted_out", "asked us"), ("contact_point.opted_in", "a misunderstanding"),
    ]  # fmt: skip


@pytest.mark.parametrize("first", ["stop", "behalf"])
async def test_what_the_holder_chose_only_they_undo(the_desk: Desk, at_the_desk: Crew, first: str) -> None:
    person = a_person()
    await told(the_desk, at_the_desk, person)
    if first == "behalf":
        await the_desk.call("POST", path(person), {"reason": "asked us"})
    await the_desk.text(person.mobile, "STOP")
    refused = await the_desk.api.post(f"/api/v1{path(person, 'opt-in')}", json={"reason": "they are needed"})
    assert refused.status_code == 409
    assert "START" in refused.json()["detail"]
    await the_desk.text(person.mobile, "START")
    async with the_desk.house.db.begin() as session:
        assert await row(session, "SELECT 1 AS x FROM suppression WHERE address = :a", {"a": person.mobile}) is None


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  \t "}, {"reason": "x" * 501}])
async def test_a_reason_is_needed(the_desk: Desk, at_the_desk: Crew, body: dict[str, Any]) -> None:
    person = a_person()
    await at_the_desk.hire(person)
    refused = await the_desk.api.post(f"/api/v1{path(person)}", json=body)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]
    assert await audited(the_desk, person) == []


async def test_whom_and_what_there_is_not_is_not_found(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    await at_the_desk.hire(person)
    for wrong in ("/people/nobody/contact-points/mobile", f"/people/{person.id}/contact-points/fax",
                  f"/people/{person.id}/contact-points/phone"):  # fmt: skip
        for action in ("opt-out", "opt-in"):
            response = await the_desk.api.post(f"/api/v1{wrong}/{action}", json={"reason": "asked us"})
            assert response.status_code == 404, wrong


async def test_a_lead_opts_out_the_own_department_only(the_desk: Desk, at_the_desk: Crew) -> None:
    mine, theirs = a_person(), a_person(department="IT")
    await at_the_desk.hire(mine, theirs)
    token = await the_desk.token("department_lead", department="Store Operations")
    headers = {"Authorization": f"Bearer {token}"}
    for person, status in ((mine, 200), (theirs, 404)):
        answer = await the_desk.api.post(f"/api/v1{path(person)}", json={"reason": "asked us"}, headers=headers)
        assert answer.status_code == status
    viewer = {"Authorization": f"Bearer {await the_desk.token('viewer')}"}
    answer = await the_desk.api.post(f"/api/v1{path(mine)}", json={"reason": "asked us"}, headers=viewer)
    assert answer.status_code == 403


async def test_stop_inside_a_sentence_is_told_to_the_lead_and_settled_by_the_opt_out(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    lead, person = a_person(department="Leads"), a_person(name="Nadia Novak")
    await at_the_desk.hire(lead, a_person())
    await the_desk.token("department_lead", person=lead.id, department="Store Operations")
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "Stop. Thank you")
    await the_desk.hand_over()
    texts = [str(text["body"]) for text in await the_desk.texts(lead.mobile)]
    assert any('Nadia Novak (Store Operations) may want no more texts: "Stop. Thank you"' in body for body in texts)
    (report,) = await the_desk.reports(key)
    assert report["maybe_stop"] is True
    await the_desk.call("POST", path(person), {"reason": "they meant it"})
    (report,) = await the_desk.reports(key)
    assert report["maybe_stop"] is False


async def test_of_a_shared_phone_the_leads_of_everybody_who_has_it_are_told(the_desk: Desk, at_the_desk: Crew) -> None:
    number = a_number()
    people = [a_person(mobile=number, email=""), a_person(mobile=number, email="", department="IT")]
    leads = [a_person(department="Leads"), a_person(department="Leads")]
    await at_the_desk.hire(*leads, *people)
    for lead, department in zip(leads, ("Store Operations", "IT"), strict=True):
        await the_desk.token("department_lead", person=lead.id, department=department)
    await told(the_desk, at_the_desk, *people)
    await the_desk.text(number, "Stop. Thank you")
    await the_desk.hand_over()
    for lead in leads:
        texts = [str(text["body"]) for text in await the_desk.texts(lead.mobile)]
        assert any("Someone at a shared number may want no more texts" in body for body in texts)
