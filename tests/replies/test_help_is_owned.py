"""A "2" has an owner: somebody who must act is told at once, it climbs until it is taken, and the person hears who."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from app.kernel.db import run
from app.notices.rules import SPACING
from app.readiness.measure import measure
from app.readiness.rules import causes
from tests.journeys.crew import Crew, Desk, Person, a_person

LINK = re.compile(r"/a/[A-Za-z0-9_-]+")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _nobody_leads(the_desk: Desk) -> AsyncIterator[None]:
    """Each test names its own leads."""
    async with the_desk.house.db.begin() as session:
        await run(session, "UPDATE account SET disabled_at = :now WHERE person_employee_id IS NOT NULL",
                  {"now": the_desk.clock.now()})  # fmt: skip
    yield


async def a_lead(desk: Desk, crew: Crew, role: str = "department_lead", fate: str = "0006", **given: Any) -> Person:
    lead = a_person(fate, department="Leads", **given)
    await crew.hire(lead, a_person())
    await desk.token(role, person=lead.id, **({"department": "Store Operations"} if role == "department_lead" else {}))
    return lead


async def asked(desk: Desk, crew: Crew, *people: Person) -> str:
    """These people are told, ask for help, and what follows from it is handed over."""
    key = await crew.told(*people)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    for person in people:
        await desk.text(person.mobile, "2")
    await desk.hand_over()
    return key


async def bodies(desk: Desk, person: Person, about: str = "needs help") -> list[str]:
    """The texts that this person got about that."""
    return [body for text in await desk.texts(person.mobile) if about in (body := str(text["body"]))]


async def request_of(desk: Desk, key: str) -> dict[str, Any]:
    (entry,) = (await desk.call("GET", f"/incidents/{key}/help-requests"))["items"]
    return dict(entry)


async def counted(desk: Desk) -> dict[str, float]:
    text = (await desk.api.get(f"{desk.house.base_url}/metrics")).text
    found = re.findall(r'muster_notices_total\{result="(\w+)"\} (\S+)', text)
    return {result: float(many) for result, many in found}


async def press(desk: Desk, link: str, **form: str) -> Any:
    """Opens the page behind a link and presses one of its buttons."""
    shown = await desk.api.get(link)
    assert shown.status_code == 200, shown.text
    nonce = re.search(r'name="nonce" value="([^"]+)"', shown.text)
    request = re.search(r'name="request" value="([^"]+)"', shown.text)
    assert nonce, shown.text
    assert request, shown.text
    return await desk.api.post(link, data={"nonce": nonce[1], "request": request[1], **form})


async def test_the_department_lead_is_told_at_once_and_takes_it_from_the_link(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    lead, person = await a_lead(the_desk, at_the_desk, name="Lea Lindqvist"), a_person(name="Nadia Novak")
    key = await asked(the_desk, at_the_desk, person)
    (text,) = await bodies(the_desk, lead)
    assert "Nadia Novak (Store Operations" in text
    assert f"Call {person.mobile}" in text
    entry = await request_of(the_desk, key)
    assert (entry["state"], entry["owner"], entry["told"]) == ("open", None, ["Lea Lindqvist"])
    assert entry["climbs_at"]

    (link,) = LINK.findall(text)
    page = await the_desk.api.get(link)
    assert "Unassigned." in page.text
    assert f'href="tel:{person.mobile}"' in page.text
    assert len(page.content) < 30_000
    assert "<script" not in page.text
    assert (await request_of(the_desk, key))["state"] == "open", "looking takes nothing"
    assert (await press(the_desk, link, do="take")).status_code == 303
    entry = await request_of(the_desk, key)
    assert (entry["state"], entry["owner"], entry["climbs_at"]) == ("taken", "a department_lead", None)
    await the_desk.hand_over()
    assert len(await bodies(the_desk, person, "a department_lead has your request for help")) == 1

    assert (await press(the_desk, link, do="close")).status_code == 422, "what was done must be said"
    assert (await press(the_desk, link, do="close", outcome="Sent the reserve till")).status_code == 303
    entry = await request_of(the_desk, key)
    assert (entry["state"], entry["closed_by"], entry["outcome"]) == (
        "closed", "a department_lead", "Sent the reserve till",
    )  # fmt: skip
    kinds = [e["kind"] for e in (await the_desk.call("GET", f"/incidents/{key}/timeline?limit=200"))["items"]]
    assert [kind for kind in kinds if kind.startswith("help_")] in (
        ["help_opened", "help_told", "help_taken", "help_closed"],
        ["help_closed", "help_taken", "help_told", "help_opened"],
    )
    review = (await the_desk.api.get(f"/api/v1/incidents/{key}/review?format=md")).text
    assert "department lead told" in review


async def test_what_nobody_takes_climbs_and_nobody_is_told_twice(the_desk: Desk, at_the_desk: Crew) -> None:
    lead, person = await a_lead(the_desk, at_the_desk), a_person()
    commander, other = await a_lead(the_desk, at_the_desk, "commander"), await a_lead(the_desk, at_the_desk, "admin")
    key = await asked(the_desk, at_the_desk, person)
    await the_desk.call("PATCH", f"/incidents/{key}", {"commander": commander.id, "reason": "shift"})

    async def told() -> list[int]:
        await the_desk.take_steps()
        await the_desk.hand_over()
        return [len(await bodies(the_desk, who)) for who in (lead, commander, other)]

    the_desk.clock.advance(seconds=590)
    assert await told() == [1, 0, 0]
    the_desk.clock.advance(seconds=20)
    assert await told() == [1, 1, 0]
    the_desk.clock.advance(seconds=601)
    assert await told() == [1, 1, 1]
    the_desk.clock.advance(seconds=3000)
    assert await told() == [1, 1, 1]
    assert (await request_of(the_desk, key))["state"] == "open"


async def test_what_is_taken_or_withdrawn_climbs_no_further(the_desk: Desk, at_the_desk: Crew) -> None:
    await a_lead(the_desk, at_the_desk)
    boss = await a_lead(the_desk, at_the_desk, "admin")
    taken, withdrawn = a_person(), a_person()
    for person in (taken, withdrawn):
        key = await asked(the_desk, at_the_desk, person)
        if person is taken:
            request = await request_of(the_desk, key)
            await the_desk.call("POST", f"/incidents/{key}/help-requests/{request['id']}/take", {})
        else:
            await the_desk.text(person.mobile, "1")
    the_desk.clock.advance(seconds=3600)
    await the_desk.take_steps()
    await the_desk.hand_over()
    assert await bodies(the_desk, boss) == []


async def test_without_a_lead_the_commander_is_told_at_once(the_desk: Desk, at_the_desk: Crew) -> None:
    person = await a_lead(the_desk, at_the_desk)  # the lead asks: they need not be told
    boss = await a_lead(the_desk, at_the_desk, "communications_lead")
    await at_the_desk.hire(person)
    key = await asked(the_desk, at_the_desk, a_person(department="Store Operations"))
    assert len(await bodies(the_desk, person)) == 1
    async with the_desk.house.db.begin() as session:
        await run(session, "UPDATE account SET disabled_at = now() WHERE person_employee_id = :id", {"id": person.id})
    key = await asked(the_desk, at_the_desk, a_person())
    assert len(await bodies(the_desk, boss)) == 1
    assert (await request_of(the_desk, key))["climbs_at"] is None


async def test_when_nobody_can_be_told_the_timeline_says_so(the_desk: Desk, at_the_desk: Crew) -> None:
    await a_lead(the_desk, at_the_desk, mobile="", email="")
    key = await asked(the_desk, at_the_desk, a_person())
    kinds = [e["kind"] for e in (await the_desk.call("GET", f"/incidents/{key}/timeline?limit=200"))["items"]]
    assert "help_untold" in kinds
    assert (await request_of(the_desk, key))["told"] == []
    # And the operator hears of it, until somebody has it.
    [said] = [cause.detail for cause in causes(await measure(the_desk.house)) if cause.key == f"help:{key}"]
    assert said.startswith("Nobody could be told of 1 who asked for help")
    request = await request_of(the_desk, key)
    await the_desk.call("POST", f"/incidents/{key}/help-requests/{request['id']}/take")
    assert f"help:{key}" not in {cause.key for cause in causes(await measure(the_desk.house))}


async def test_a_lead_whose_number_fails_is_mailed(the_desk: Desk, at_the_desk: Crew) -> None:
    lead = await a_lead(the_desk, at_the_desk, fate="0001")
    await asked(the_desk, at_the_desk, a_person(name="Nadia Novak"))
    await the_desk.take_steps()
    await the_desk.hand_over()
    (mail,) = [mail for mail in await the_desk.emails(lead.email) if mail["subject"] == "Nadia Novak needs help"]
    assert LINK.search(str(mail["text"]))


async def test_however_many_ask_a_lead_gets_few_texts_and_every_name(the_desk: Desk, at_the_desk: Crew) -> None:
    lead = await a_lead(the_desk, at_the_desk)
    many = [a_person(name=f"Asker {n}") for n in range(20)]
    at_once = sum(not wait for wait in SPACING)
    before = await counted(the_desk)
    key = await at_the_desk.told(*many)
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=60)
    for person in many:
        await the_desk.text(person.mobile, "2")
        await the_desk.hand_over()
    assert len(await bodies(the_desk, lead)) == at_once == 3
    now = await counted(the_desk)
    assert {name: now[name] - before[name] for name in now} == {"made": 4, "joined": 16, "held": 1}
    asked = (await the_desk.call("GET", f"/incidents/{key}/help-requests?limit=200"))["items"]
    # What waits for its turn is not called told.
    assert [bool(entry["told"]) for entry in asked] == [n < at_once for n in range(20)]
    assert all(bool(entry["told_later"]) is not bool(entry["told"]) for entry in asked)
    the_desk.clock.advance(seconds=SPACING[at_once].total_seconds())
    await the_desk.hand_over()
    texts = await bodies(the_desk, lead)
    assert len(texts) == at_once + 1
    assert texts[-1].startswith("17 messages: Asker 3 (")
    (link,) = LINK.findall(texts[-1])
    page = (await the_desk.api.get(link)).text
    assert all(f"Asker {n}" in page for n in range(at_once, len(many)))
    told = (await the_desk.call("GET", f"/incidents/{key}/help-requests?limit=200"))["items"]
    assert all(entry["told"] and not entry["told_later"] for entry in told)


async def test_in_a_drill_a_notice_begins_and_ends_with_drill(the_desk: Desk, at_the_desk: Crew) -> None:
    lead, person = await a_lead(the_desk, at_the_desk), a_person()
    await at_the_desk.told(person, drill=True)
    await the_desk.hand_over()
    await the_desk.text(person.mobile, "2")
    await the_desk.hand_over()
    (text,) = await bodies(the_desk, lead)
    assert text.startswith("DRILL. ")
    assert text.endswith(" DRILL")


async def test_a_link_takes_only_what_it_is_about_and_nothing_for_whoever_left(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    lead = await a_lead(the_desk, at_the_desk)
    key = await asked(the_desk, at_the_desk, a_person())
    (link,) = LINK.findall((await bodies(the_desk, lead))[0])
    assert (await press(the_desk, link, do="take", request="999999")).status_code == 422
    assert (await the_desk.api.post(link, data={"do": "take", "nonce": "forged", "request": "1"})).status_code == 409
    await at_the_desk.hire(Person(**{**vars(lead), "active": False}))
    assert (await the_desk.api.get(link)).status_code == 410
    assert (await the_desk.api.post(link, data={"do": "take"})).status_code == 410
    assert (await request_of(the_desk, key))["state"] == "open"
