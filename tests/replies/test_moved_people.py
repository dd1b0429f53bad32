"""People who move to another department in the middle of an incident: whose they are, and who sees to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2

from tests.journeys.crew import Crew, Desk, Person, a_person

STORES, CARE = "Store Operations", "Customer Service"


async def test_what_happened_stays_with_the_department_of_then_and_open_help_is_also_the_present_ones(
    the_desk: Desk,
) -> None:
    desk, crew = the_desk, Crew(the_desk)
    person, lead = a_person(department=STORES), a_person("0006", department="Leads")
    await crew.hire(lead)
    others = [Person(f"X{place}", department=name) for place, name in enumerate((STORES, CARE, "IT"))]
    await Crew(desk).hire(*others)
    await desk.token("department_lead", person=lead.id, department=CARE)
    key = await crew.told(person)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    await desk.text(person.mobile, "The tills are dead")
    desk.clock.advance(seconds=60)
    await crew.hire(replace(person, department=CARE))
    desk.clock.advance(seconds=60)
    await desk.text(person.mobile, "2")
    await desk.hand_over()
    assert any("needs help" in str(text["body"]) for text in await desk.texts(lead.mobile)), "the present lead is told"
    await crew.hire(replace(lead, department="Retired Leads"))

    old, new, other = [await desk.token("department_lead", department=name) for name in (STORES, CARE, "IT")]

    async def asks(token: str, path: str, **given: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        method = "POST" if path.endswith(("/take", "/close")) else "GET"
        return await desk.api.request(method, f"/api/v1/incidents/{key}/{path}", headers=headers, **given)

    async def seen(path: str) -> list[int]:
        return [len((await asks(token, path)).json()["items"]) for token in (old, new, other)]

    assert await seen("bulletins/1/recipients") == [1, 0, 0]
    assert await seen("field-reports") == [1, 0, 0]
    # Asked for after the move: theirs of now. The bulletin that it answers is still the old department's.
    assert await seen("help-requests") == [0, 1, 0]
    desk.clock.advance(seconds=60)
    await crew.hire(replace(person, department=STORES))
    assert await seen("help-requests") == [1, 1, 0]
    (request,) = (await asks(new, "help-requests")).json()["items"]
    assert request["department"] == CARE
    assert (await asks(other, f"help-requests/{request['id']}/take")).status_code == 403
    assert (await asks(old, f"help-requests/{request['id']}/take")).status_code == 200
    done = await asks(new, f"help-requests/{request['id']}/close", json={"outcome": "Lou went there"})
    assert done.status_code == 200
    assert await seen("help-requests") == [0, 1, 0]
    assert set((await asks(old, "bulletins/1/board")).json()["by_department"]) == {STORES, "Leads"}


async def test_whoever_was_told_keeps_the_name_that_they_had(the_desk: Desk) -> None:
    desk, crew = the_desk, Crew(the_desk)
    person, lead = a_person(department=STORES), a_person("0006", department="Leads")
    await crew.hire(lead, person)
    await desk.token("department_lead", person=lead.id, department=STORES)
    key = await crew.told(person)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    await desk.text(person.mobile, "2")
    await desk.hand_over()
    (before,) = (await desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert before["told"] == [f"Person {lead.id}"]
    desk.clock.advance(seconds=60)
    await crew.hire(replace(lead, name="Another Name"), replace(person, name="Married Name"))
    (after,) = (await desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    assert (after["told"], after["name"]) == (before["told"], before["name"])
    assert (await desk.person(key, person.id))["name"] == before["name"]
