"""People who move to another department in the middle of an incident: whose they are, and who sees to them."""

from __future__ import annotations

from dataclasses import replace

from tests.journeys.crew import Crew, Desk, a_person

STORES, CARE = "Store Operations", "Customer Service"


async def test_what_happened_stays_with_the_department_of_then_and_open_help_is_also_the_present_ones(
    the_desk: Desk,
) -> None:
    desk, crew = the_desk, Crew(the_desk)
    person, lead = a_person(department=STORES), a_person("0006", department="Leads")
    await crew.hire(lead)
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

    there = f"/api/v1/incidents/{key}"
    async with (
        await desk.client("department_lead", department=STORES) as old,
        await desk.client("department_lead", department=CARE) as new,
        await desk.client("department_lead", department="IT") as other,
    ):

        async def seen(path: str) -> list[int]:
            return [len((await one.get(f"{there}/{path}")).json()["items"]) for one in (old, new, other)]

        assert await seen("bulletins/1/recipients") == [1, 0, 0]
        assert await seen("field-reports") == [1, 0, 0]
        # Asked for after the move: theirs of now. The bulletin it answers is still the old department's.
        assert await seen("help-requests") == [0, 1, 0]
        desk.clock.advance(seconds=60)
        await crew.hire(replace(person, department=STORES))
        assert await seen("help-requests") == [1, 1, 0]
        (request,) = (await new.get(f"{there}/help-requests")).json()["items"]
        assert (request["department"], request["title"]) == (CARE, None)
        assert (await other.post(f"{there}/help-requests/{request['id']}/take")).status_code == 403
        assert (await old.post(f"{there}/help-requests/{request['id']}/take")).status_code == 200
        done = await new.post(f"{there}/help-requests/{request['id']}/close", json={"outcome": "Lou went there"})
        assert done.status_code == 200
        assert await seen("help-requests") == [0, 1, 0]
        board = (await old.get(f"{there}/bulletins/1/board")).json()
        assert list(board["by_department"]) == [STORES]


async def test_whoever_was_told_keeps_the_name_that_they_had(the_desk: Desk) -> None:
    desk, crew = the_desk, Crew(the_desk)
    person, lead = a_person(department="Security"), a_person("0006", department="Leads")
    await crew.hire(lead)
    await desk.token("department_lead", person=lead.id, department="Security")
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
    # What is still to be done uses the present name.
    await desk.call("POST", f"/incidents/{key}/help-requests/{after['id']}/take")
    assert (await desk.person(key, person.id))["name"] == before["name"]
