"""Numbers that stop working: opted out, a landline, out of service. Noticed at once, gone around, shown, mended."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.access import service as access
from app.access.pages import COOKIE
from app.kernel.db import rows
from tests.api.company import check_problem
from tests.journeys.crew import Crew, Desk, Person, a_person, tried
from tests.pages.surfer import Surfer

STORES = "Store Operations"
OTHER = "IT"


async def a_round(desk: Desk) -> None:
    """What the workers do at this very moment of the clock: hand over, take due steps, hand those over."""
    await desk.hand_over()
    await desk.take_steps()
    await desk.hand_over()


async def points(desk: Desk, person: Person) -> dict[str, dict[str, Any]]:
    """A person's contact points by kind, from the list of flagged people; {} when the person is not in it."""
    found = (await desk.call("GET", "/people", params={"flagged": True, "limit": 1000}))["items"]
    return {point["kind"]: point for entry in found if entry["id"] == person.id for point in entry["contact_points"]}


async def flags(desk: Desk, person: Person, kind: str = "mobile") -> list[dict[str, Any]]:
    return list((await points(desk, person)).get(kind, {"flags": []})["flags"])


def now(desk: Desk) -> str:
    return desk.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def surfer(desk: Desk, role: str, department: str | None = None) -> Surfer:
    async with desk.house.db.begin() as session:
        link = await access.create_sign_in(session, desk.house.clock, name="Somebody", role=role, department=department)
        secret = await access.sign_in(session, desk.house.clock, link)
    return Surfer(
        httpx2.AsyncClient(
            verify=False, transport=desk.api._transport, base_url=desk.base_url, cookies={COOKIE: secret},
            headers={"Accept": "text/html"},
        )
    )  # fmt: skip


async def test_stop_to_a_bulletin_goes_around_the_number_at_once_and_start_brings_it_back(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await at_the_desk.told(person, severity="SEV3")  # the mail is an hour away
    await the_desk.hand_over()
    assert (await at_the_desk.person(key, person))["opted_out_since"] is None
    the_desk.clock.advance(seconds=30)
    stopped = now(the_desk)
    await the_desk.text(person.mobile, "Stop.")
    assert await flags(the_desk, person) == [{"channel": "sms", "reason": "opted_out", "since": stopped}]
    entry = await at_the_desk.person(key, person)
    assert (entry["opted_out_since"], entry["next_step"], entry["next_step_at"]) == (stopped, "email", stopped)
    page = await (await surfer(the_desk, "viewer")).get(f"/incidents/{key}")
    assert "Opted out of texts (STOP)" in page.part("part-people")
    assert f"{'Person ' + person.id} opted out of texts" in page.part("part-timeline")
    await a_round(the_desk)  # the clock has not moved
    entry = await at_the_desk.person(key, person)
    assert tried(entry) == [("sms", "accepted"), ("email", "accepted")]
    assert entry["attempts"][1]["handed_over_at"] == stopped
    # Nothing more goes to the phone, of this bulletin or the next.
    number = await the_desk.send(key, "identified")
    await a_round(the_desk)
    assert tried(await at_the_desk.person(key, person, number)) == [("email", "accepted")]
    assert len(await the_desk.texts(person.mobile)) == 1

    await the_desk.text(person.mobile, "START")
    assert await points(the_desk, person) == {}
    assert (await at_the_desk.person(key, person, number))["opted_out_since"] is None
    number = await the_desk.send(key, "monitoring")
    await a_round(the_desk)
    assert tried(await at_the_desk.person(key, person, number)) == [("sms", "accepted")]
    assert len(await the_desk.texts(person.mobile)) == 2


async def test_whom_the_carrier_knows_as_opted_out_is_mailed_at_once_until_start(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person("0004")
    key = await at_the_desk.told(person, severity="SEV3")
    await a_round(the_desk)
    entry = await at_the_desk.person(key, person)
    assert tried(entry) == [("sms", "suppressed"), ("email", "accepted")]
    assert entry["attempts"][0]["error_code"] == 21610
    assert "unsubscribed" in entry["attempts"][0]["reason"]
    page = await (await surfer(the_desk, "viewer")).get(f"/incidents/{key}")
    assert "the number has opted out of texts" in page.part("part-people")
    assert entry["attempts"][1]["handed_over_at"] == entry["attempts"][0]["handed_over_at"] == now(the_desk)
    assert entry["opted_out_since"] == now(the_desk)
    assert await flags(the_desk, person) == [{"channel": "sms", "reason": "opted_out", "since": now(the_desk)}]
    number = await the_desk.send(key, "identified")
    await a_round(the_desk)
    assert tried(await at_the_desk.person(key, person, number)) == [("email", "accepted")]
    # Nobody else can undo it.
    refused = await the_desk.api.post(f"/api/v1/people/{person.id}/contact-points/mobile/retry")
    check_problem(refused, 409)
    assert "texting START" in refused.json()["detail"]
    assert len(await flags(the_desk, person)) == 1
    await the_desk.text(person.mobile, "START")
    assert await points(the_desk, person) == {}


async def test_whoever_has_nothing_but_the_number_that_stopped_is_shown_so(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person(email="", department=STORES)
    await at_the_desk.told(person)
    await the_desk.hand_over()
    await the_desk.text(person.mobile, "STOP")
    page = await (await surfer(the_desk, "department_lead", STORES)).get("/people/numbers")
    mine = page.text.partition(f"Person {person.id}")[2].partition("Person ")[0]
    assert "They texted STOP: only they can undo it, by texting START to our number" in mine
    assert "Nothing: tell them in person" in mine
    assert "Try this number again" not in mine
    await the_desk.text(person.mobile, "START")


REFUSALS = {"2006": "landline", "0009": "landline", "2005": "invalid", "0001": "invalid"}
SAID = {
    "landline": "It is a landline: it can be called, not texted",
    "invalid": "The network says it is not in service",
}


@pytest.mark.parametrize("fate", REFUSALS)
async def test_a_number_that_the_network_refuses_is_shown_to_its_department_to_mend(
    fate: str, the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person(fate, department=STORES)
    await at_the_desk.hire(a_person(department=OTHER))
    key = await at_the_desk.told(person, severity="SEV3")
    await the_desk.hand_over()
    if fate.startswith("2"):  # told later, in a callback
        (attempt,) = (entry for entry in await the_desk.attempts(key) if entry["employee_id"] == person.id)
        code = {"2006": 30006, "2005": 30005}[fate]
        await the_desk.callback(attempt["id"], attempt["provider_message_id"], "undelivered", code)
    await a_round(the_desk)
    entry = await at_the_desk.person(key, person)
    assert entry["attempts"][0]["reason"]
    assert tried(entry)[1] == ("email", "accepted")
    reason = REFUSALS[fate]
    assert await flags(the_desk, person) == [{"channel": "sms", "reason": reason, "since": now(the_desk)}]

    lead, other = await surfer(the_desk, "department_lead", STORES), await surfer(the_desk, "department_lead", OTHER)
    home = await lead.get("/")
    page = await lead.get(home.link("1 contact detail to fix"))
    day = the_desk.clock.now()
    assert f"Person {person.id}" in page.text
    assert f"{SAID[reason]} since {day.day} Mar {day.year}" in page.text
    assert person.mobile in page.text.replace(" ", "").replace("-", "")
    assert "Still reached by" in page.text
    assert "Email" in page.text
    assert not (await other.get("/")).has_link("to fix")
    assert person.id not in (await other.get("/people/numbers")).text
    assert "in order" in (await other.get("/people/numbers")).text
    viewer = await (await surfer(the_desk, "viewer")).get("/people/numbers")
    assert f"Person {person.id}" in viewer.text
    assert person.mobile not in viewer.text.replace(" ", "").replace("-", "")
    assert not viewer.has_form("/retry")

    # Another department's lead is refused, with or without the page.
    token = next(value for name, value in (await other.get("/")).form("/sign-out").data(None) if name == "csrf")
    sent = [("csrf", token), ("person", person.id), ("kind", "mobile")]
    assert (await other.send("/people/numbers/retry", sent)).status == 403
    assert len(await flags(the_desk, person)) == 1
    done = await lead.press(page, "/retry", "Try this number again")
    assert "The flag is lifted" in done.text
    assert f"Person {person.id}" not in done.text
    assert await points(the_desk, person) == {}
    async with the_desk.house.db.begin() as session:
        noted = await rows(
            session,
            """SELECT e.data, p.id FROM audit_entry e JOIN person p ON p.id = (e.data ->> 'person')::bigint
               WHERE e.stream = 'system' AND e.kind = 'contact_point.retried' AND p.employee_id = :id""",
            {"id": person.id},
        )
    assert [entry["data"]["lifted"] for entry in noted] == [[reason]]
    # The next message tries the number again.
    number = await the_desk.send(key, "identified")
    await the_desk.hand_over()
    assert (await at_the_desk.person(key, person, number))["attempts"][0]["channel"] == "sms"
    if fate.startswith("0"):  # and the network says the same again
        path = f"/people/{person.id}/contact-points/mobile/retry"
        assert (await the_desk.call("POST", path))["flags"] == []
        assert (await the_desk.call("POST", path))["flags"] == [], "lifting twice is no error"
    for path in (f"/people/{person.id}/contact-points/phone/retry", "/people/nobody/contact-points/mobile/retry"):
        check_problem(await the_desk.api.post(f"/api/v1{path}"), 404)


async def test_another_number_starts_clean_and_the_old_one_stays_flagged(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person("0001")
    await at_the_desk.told(person, severity="SEV3")
    await the_desk.hand_over()
    assert len(await flags(the_desk, person)) == 1
    await at_the_desk.hire(person)
    assert len(await flags(the_desk, person)) == 1, "the same number again"
    mended = Person(person.id, mobile=a_person().mobile, email=person.email)
    await at_the_desk.hire(mended)
    assert await points(the_desk, person) == {}
    key = await at_the_desk.declare()
    await the_desk.send(key)
    await the_desk.hand_over()
    assert tried(await at_the_desk.person(key, person)) == [("sms", "accepted")]
    await at_the_desk.hire(person)
    assert len(await flags(the_desk, person)) == 1
    await the_desk.call("POST", f"/people/{person.id}/contact-points/mobile/retry")
