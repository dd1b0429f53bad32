"""Somebody has not answered: who is told, when, how often, and what stops it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from tests.escalations.cast import (
    a_department,
    a_lead,
    a_manager,
    after,
    escalations,
    lose_account,
    notices,
    page,
    timeline,
    to_be_told_now,
    told,
)
from tests.journeys.crew import Crew, Desk, a_person, adds_up, tried


async def test_a_manager_is_told_once_about_all_who_are_silent_and_by_name(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk, name="Mara Mann")
    people = [a_person(name=f"Silent {n}", manager=manager.id) for n in range(12)]
    quick = a_person(name="Quick One", manager=manager.id)
    key = await told(the_desk, at_the_desk, *people, quick)
    await the_desk.text(quick.mobile, "1")
    entry = await at_the_desk.person(key, people[0])
    assert entry["next_step"] == "email"
    await after(the_desk, minutes=3)
    entry = await at_the_desk.person(key, people[0])
    sent = datetime.fromisoformat((await the_desk.call("GET", f"/incidents/{key}/bulletins/1"))["sent_at"])
    assert entry["next_step"] == "tell manager"
    assert datetime.fromisoformat(entry["next_step_at"]) == sent + timedelta(minutes=5)
    board = await the_desk.board(key)
    assert board["next"] == [{"step": "tell manager", "at": entry["next_step_at"], "people": 12}]
    adds_up(board)
    assert await notices(the_desk, manager) == []

    # The notice waits some seconds for others: until it has gone, the board says when it goes.
    the_desk.clock.advance(seconds=120)
    await the_desk.take_steps()
    (one,) = (await at_the_desk.person(key, people[0]))["told"]
    assert datetime.fromisoformat(one["waits_until"]) > the_desk.clock.now()
    await after(the_desk, minutes=1)
    (one,) = (await at_the_desk.person(key, people[0]))["told"]
    assert one["waits_until"] is None
    (text,) = await notices(the_desk, manager)
    assert text.startswith("12 people have not answered (Exercise): Silent 0, Silent 1, ")
    assert re.search(r"and [1-9] more\. Please ask them\. http", text)
    shown = await page(the_desk, text)
    assert all(person.name in shown.text for person in people)
    assert all(f'href="tel:{person.mobile}"' in shown.text for person in people)
    assert "Quick One" not in shown.text
    assert "<script" not in shown.text
    (data,) = await timeline(the_desk, key)
    assert data == {
        "bulletin": 1, "tell": "manager", "people": 12, "untold": 0,
        "told": [{"person_id": manager.id, "name": "Mara Mann", "about": 12}],
    }  # fmt: skip
    entry = await at_the_desk.person(key, people[0])
    assert [(one["tell"], one["name"]) for one in entry["told"]] == [("manager", "Mara Mann")]
    # A step that tells others is no try of the person's own.
    assert tried(entry) == [("sms", "accepted"), ("email", "accepted")]
    assert entry["status"] == "waiting"

    review = await the_desk.call("GET", f"/incidents/{key}/review?format=json")
    (bulletin,) = review["bulletins"]
    assert bulletin["escalations"] == {
        "people": 12, "told": 1, "waiting": 0, "not_told": 0, "answered": 0,
        "by_step": {"manager": 12, "department_lead": 0, "commander": 0},
    }  # fmt: skip
    document = (await the_desk.api.get(f"/api/v1/incidents/{key}/review?format=md")).text
    assert "Told that 12 people had not answered (manager 12): 1 person. Of those, 0 answered" in document
    assert "manager told of 12 people without an answer to bulletin 1 (Mara Mann about 12 people)" in document
    assert "manager Mara Mann 2026-" in (await the_desk.api.get(f"/api/v1/incidents/{key}/review?format=csv")).text


async def test_each_rung_is_told_at_its_time_and_an_answer_between_any_two_stops_it(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    department = a_department()
    manager, lead = await a_manager(at_the_desk), await a_lead(at_the_desk, department)
    commander = await a_manager(at_the_desk)
    people = [a_person(department=department, manager=manager.id, name=f"Gap {n}") for n in range(5)]
    key = await told(the_desk, at_the_desk, *people)
    await the_desk.call("PATCH", f"/incidents/{key}", {"commander": commander.id, "reason": "shift"})
    # One answers in each gap: before the mail, the manager, the lead, the commander; the last never does.
    for minutes, answers in ((1.0, 0), (2.8, 1), (2.8, 2), (3.0, 3)):
        await after(the_desk, minutes=minutes)
        await the_desk.text(people[answers].mobile, "1")
    await after(the_desk, minutes=30)
    assert await escalations(the_desk, key) == [
        *[(people[n].id, "manager", manager.id) for n in (2, 3, 4)],
        *[(people[n].id, "department_lead", lead.id) for n in (3, 4)],
        (people[4].id, "commander", commander.id),
    ]
    assert [tried(await at_the_desk.person(key, person))[1:] for person in people] == [
        [], *[[("email", "accepted")]] * 4,
    ]  # fmt: skip
    assert len(await notices(the_desk, manager)) == len(await notices(the_desk, lead)) == 1
    (text,) = await notices(the_desk, commander)
    assert text.startswith("1 person has not answered (Exercise): Gap 4. Please ask this person.")
    entry = await at_the_desk.person(key, people[4])
    assert (entry["next_step"], entry["status"]) == (None, "waiting")
    assert (await the_desk.board(key))["next"] == []


@pytest.mark.parametrize("how", ["cancelled", "left", "closed", "replaced"])
async def test_what_ends_the_asking_ends_the_telling(the_desk: Desk, at_the_desk: Crew, how: str) -> None:
    manager = await a_manager(at_the_desk)
    person, nobody = a_person(manager=manager.id), a_person(manager=manager.id, mobile="", email="")
    key = await told(the_desk, at_the_desk, person)
    if how == "cancelled":
        await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    elif how == "left":
        await at_the_desk.hire(replace(person, active=False))
    elif how == "closed":
        await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    else:
        await the_desk.send(key, "identified")
    await after(the_desk, minutes=4)
    assert await notices(the_desk, manager) == []
    await after(the_desk, minutes=2)
    assert len(await notices(the_desk, manager)) == (1 if how == "replaced" else 0), "told about the newer one alone"
    await after(the_desk, minutes=60)
    silent = [entry for entry in await escalations(the_desk, key) if entry[1] == "manager"]
    assert len(silent) == (1 if how == "replaced" else 0)
    assert nobody.id not in {entry[0] for entry in silent}


async def test_whom_everything_fails_is_told_of_at_once_and_stays_unreachable(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    manager = await a_manager(at_the_desk)
    nothing = a_person(manager=manager.id, mobile="", email="")
    refused = a_person("0001", manager=manager.id, email="")
    bounced = a_person("0001", manager=manager.id, email=f"bounce+{at_the_desk.site[-6:]}@example.org")
    fine = a_person(manager=manager.id)
    key = await told(the_desk, at_the_desk, nothing, refused, bounced, fine)
    before = await at_the_desk.person(key, nothing)
    # Telling somebody else is no reach: the commander sees at once who cannot be reached.
    assert (before["status"], before["next_step"]) == ("unreachable", "tell manager")
    await after(the_desk, seconds=10)
    assert {entry[0] for entry in await escalations(the_desk, key)} == {refused.id, bounced.id}
    (text,) = await notices(the_desk, manager)
    assert text.startswith("2 people have not answered")
    board = await the_desk.board(key)
    assert board["counts"]["unreachable"] == 3
    adds_up(board)
    # Whom nothing could ever reach was named before the send: the ladder's time holds.
    await after(the_desk, minutes=5)
    assert {entry[0] for entry in await escalations(the_desk, key)} == {nothing.id, refused.id, bounced.id, fine.id}
    closed = await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    assert closed["status"] == "closed"
    await after(the_desk, minutes=30)
    assert (await the_desk.board(key))["counts"]["unreachable"] == 3, "closing makes nobody reachable, or stopped"


async def test_a_failure_goes_on_to_the_next_channel_past_whoever_is_told_later(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    manager = await a_manager(at_the_desk)
    person = a_person("0001", manager=manager.id)
    key = await told(the_desk, at_the_desk, person, severity="SEV2")
    await after(the_desk, seconds=1)
    entry = await at_the_desk.person(key, person)
    assert tried(entry) == [("sms", "rejected"), ("email", "accepted")]
    assert entry["next_step"] == "tell manager"
    assert await notices(the_desk, manager) == []
    await after(the_desk, minutes=5)
    assert len(await notices(the_desk, manager)) == 1


async def test_nobody_is_told_about_themselves_and_a_chain_of_managers_hears_of_its_own(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    director = await a_manager(at_the_desk)
    manager = a_person(manager=director.id, name="Middle One")
    person = a_person(manager=manager.id)
    own = a_person()
    await at_the_desk.hire(own)
    own = replace(own, manager=own.id)
    key = await told(the_desk, at_the_desk, person, manager, own)
    await after(the_desk, minutes=6)
    assert sorted(await escalations(the_desk, key)) == sorted(
        [(person.id, "manager", manager.id), (manager.id, "manager", director.id)]
    )
    entry = (await timeline(the_desk, key))[0]
    assert (entry["tell"], entry["people"], entry["untold"]) == ("manager", 2, 1)


async def test_where_a_manager_is_gone_or_out_of_reach_the_next_in_line_is_told_at_once(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    department = a_department()
    lead = await a_lead(at_the_desk, department)
    gone, deaf = await a_manager(at_the_desk), await a_manager(at_the_desk, mobile="", email="")
    people = [a_person(department=department, manager=who) for who in (gone.id, deaf.id, "")]
    await at_the_desk.hire(*people)
    await Crew(the_desk).hire(replace(gone, active=False))
    key = await told(the_desk, at_the_desk, *people)
    await after(the_desk, minutes=5)
    assert sorted(await escalations(the_desk, key)) == sorted([(p.id, "department_lead", lead.id) for p in people])
    assert len(await notices(the_desk, lead)) == 1
    # And where there is no lead either, the commander; where nobody is, the timeline says so.
    await lose_account(the_desk, lead)
    other = Crew(the_desk)
    person = a_person(department=department)
    second = await told(the_desk, other, person)
    await after(the_desk, minutes=5)
    assert await escalations(the_desk, second) == []
    assert [(e["tell"], e["people"], e["untold"]) for e in await timeline(the_desk, second)] == [
        ("manager", 0, 1), ("department_lead", 0, 1), ("commander", 0, 1),
    ]  # fmt: skip
    assert (await other.person(second, person))["next_step"] is None


async def test_a_manager_whose_text_and_mail_fail_is_passed_over(the_desk: Desk, at_the_desk: Crew) -> None:
    department = a_department()
    lead = await a_lead(at_the_desk, department)
    manager = await a_manager(at_the_desk, fate="0001", email="bounce+manager@example.org")
    person = a_person(department=department, manager=manager.id)
    key = await told(the_desk, at_the_desk, person)
    await after(the_desk, minutes=5)
    assert await escalations(the_desk, key) == [(person.id, "manager", manager.id)]
    await after(the_desk, seconds=1)
    await after(the_desk, seconds=1)
    assert await escalations(the_desk, key) == [
        (person.id, "manager", manager.id), (person.id, "department_lead", lead.id),
    ]  # fmt: skip
    assert len(await notices(the_desk, lead)) == 1

    assert [(one["tell"], one["failed"]) for one in (await at_the_desk.person(key, person))["told"]] == [
        ("manager", True), ("department_lead", False),
    ]  # fmt: skip
    (bulletin,) = (await the_desk.call("GET", f"/incidents/{key}/review?format=json"))["bulletins"]
    assert (bulletin["escalations"]["told"], bulletin["escalations"]["not_told"]) == (1, 1)
    document = (await the_desk.api.get(f"/api/v1/incidents/{key}/review?format=md")).text
    assert "Not told after all: 1 person." in document
    (line,) = [
        line
        for line in (await the_desk.api.get(f"/api/v1/incidents/{key}/review?format=csv")).text.splitlines()
        if person.id in line
    ]
    assert line.count("(not after all)") == 1


async def test_who_knows_already_is_not_told_again(the_desk: Desk, at_the_desk: Crew) -> None:
    """The manager is the lead of the department and the commander as well."""
    department = a_department()
    boss = await a_lead(at_the_desk, department)
    person = a_person(department=department, manager=boss.id)
    key = await told(the_desk, at_the_desk, person)
    await the_desk.call("PATCH", f"/incidents/{key}", {"commander": boss.id, "reason": "shift"})
    await after(the_desk, minutes=5)
    entry = await at_the_desk.person(key, person)
    assert entry["next_step"] == "tell department_lead", "who knows is given the ladder's time"
    await after(the_desk, minutes=30)
    assert await escalations(the_desk, key) == [(person.id, "manager", boss.id)]
    assert len(await notices(the_desk, boss)) == 1


async def test_a_notice_that_waits_names_only_who_is_still_silent(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    first, second = a_person(manager=manager.id, name="First Away"), a_person(manager=manager.id, name="Second Away")
    await told(the_desk, at_the_desk, first, second)
    the_desk.clock.advance(seconds=301)
    await the_desk.take_steps()
    await the_desk.text(first.mobile, "1")
    the_desk.clock.advance(seconds=6)
    await the_desk.hand_over()
    (text,) = await notices(the_desk, manager)
    assert "Second Away" in text
    assert "First Away" not in text
    shown = (await page(the_desk, text)).text
    assert "Answered OK" in shown
    assert first.mobile not in shown


async def test_when_all_have_answered_meanwhile_the_notice_stays_here(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    person = a_person(manager=manager.id)
    await told(the_desk, at_the_desk, person)
    the_desk.clock.advance(seconds=301)
    await the_desk.take_steps()
    await the_desk.text(person.mobile, "3")
    the_desk.clock.advance(seconds=6)
    await the_desk.hand_over()
    assert await notices(the_desk, manager) == []


async def test_the_review_calls_told_only_whom_the_notice_named(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    quick, silent = a_person(manager=manager.id), a_person(manager=manager.id)
    key = await told(the_desk, at_the_desk, quick, silent)
    the_desk.clock.advance(seconds=301)
    await the_desk.take_steps()

    async def found() -> tuple[dict[str, Any], str]:
        (bulletin,) = (await the_desk.call("GET", f"/incidents/{key}/review?format=json"))["bulletins"]
        return bulletin["escalations"], (await the_desk.api.get(f"/api/v1/incidents/{key}/review?format=md")).text

    figures, document = await found()
    assert (figures["people"], figures["told"], figures["waiting"], figures["not_told"]) == (0, 0, 1, 0)
    assert "had not answered. Notices not sent yet: 1 person." in document
    await the_desk.text(quick.mobile, "3")
    the_desk.clock.advance(seconds=6)
    await the_desk.hand_over()
    figures, document = await found()
    assert (figures["people"], figures["told"], figures["waiting"], figures["not_told"]) == (1, 1, 0, 0)
    assert figures["by_step"]["manager"] == 1
    assert "Told that 1 person had not answered (manager 1): 1 person." in document


async def test_what_they_said_is_recorded_from_the_link(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk, name="Mara Mann")
    person, other = a_person(manager=manager.id), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    await after(the_desk, minutes=5)
    (text,) = await notices(the_desk, manager)
    link = text.split()[-1]
    shown = await the_desk.api.get(link)
    nonce = re.findall(r'name="nonce" value="([^"]+)"', shown.text)[0]
    delivery = re.findall(r'name="delivery" value="([^"]+)"', shown.text)[0]
    form = {"nonce": nonce, "delivery": delivery, "response": "ok", "via": "phone", "note": "rang the shop"}
    for wrong, status in (
        ({"note": ""}, 422), ({"response": "maybe"}, 422), ({"via": "sms"}, 422), ({"delivery": "x"}, 422),
        ({"nonce": "forged"}, 409), ({"delivery": str((await the_desk.delivery(key, other))["id"])}, 404),
    ):  # fmt: skip
        assert (await the_desk.api.post(link, data=form | wrong)).status_code == status, wrong
    assert (await at_the_desk.person(key, person))["response"] is None
    assert (await the_desk.api.post(link, data=form)).status_code == 303
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], entry["via"]) == ("acknowledged", "phone")
    shown = await the_desk.api.get(link)
    assert "Everybody here has answered" in shown.text
    assert "recorded by Mara Mann" in shown.text
    assert person.mobile not in shown.text


async def test_however_many_fail_a_manager_gets_few_texts_and_every_name(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    people = [a_person(manager=manager.id, name=f"Trickle {n}") for n in range(11)]
    key = await told(the_desk, at_the_desk, *people)
    for person in people:  # one after the other, each far enough from the last for a text of its own
        await to_be_told_now(the_desk, key, person)
        await after(the_desk, seconds=10)
    assert len(await notices(the_desk, manager)) <= 4  # three at once, then one a minute later
    await after(the_desk, minutes=60)
    texts = await notices(the_desk, manager)
    assert len(texts) <= 6
    shown = "".join([(await page(the_desk, text)).text for text in texts])
    assert all(f"Trickle {n}" in shown for n in range(len(people)))


async def test_in_a_drill_the_notice_begins_and_ends_with_drill(the_desk: Desk, at_the_desk: Crew) -> None:
    manager = await a_manager(at_the_desk)
    await told(the_desk, at_the_desk, a_person(manager=manager.id), drill=True)
    await after(the_desk, minutes=5)
    (text,) = await notices(the_desk, manager)
    assert text.startswith("DRILL. ")
    assert text.endswith(" DRILL")


async def test_telling_takes_as_many_statements_for_many_as_for_few(the_desk: Desk, at_the_desk: Crew) -> None:
    counted: list[int] = []
    for many in (2, 40):
        await after(the_desk, minutes=180)  # whatever was left to be told
        crew = Crew(the_desk)
        managers = [a_person(department="Managers") for _ in range(many)]
        await Crew(the_desk).hire(*managers)
        await told(the_desk, crew, *[a_person(manager=m.id) for m in managers for _ in range(2)])
        the_desk.clock.advance(seconds=121)
        await the_desk.take_steps()
        the_desk.clock.advance(seconds=180)
        statements = 0

        def seen(*_: object) -> None:
            nonlocal statements
            statements += 1

        event.listen(the_desk.house.db.engine.sync_engine, "before_cursor_execute", seen)
        assert await the_desk.take_steps() == many * 2
        event.remove(the_desk.house.db.engine.sync_engine, "before_cursor_execute", seen)
        counted.append(statements)
        await the_desk.hand_over()
    assert counted[0] == counted[1]
