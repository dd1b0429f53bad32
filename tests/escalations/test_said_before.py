"""What a ladder cannot do here is said before the first send, and what it does next is on every page that shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.access import service as access
from app.access.matrix import Actor
from app.access.pages import COOKIE
from app.bulletins import service as bulletins
from app.channels.port import Providers
from app.deliveries import sending
from app.incidents import service as incidents
from app.kernel.db import run
from app.playbooks.schema import Playbook
from app.playbooks.yaml_source import load
from app.readiness import doctor
from tests.escalations.cast import PLAYBOOK, a_manager, after, told
from tests.journeys.crew import Crew, Desk, a_person


async def look(desk: Desk, path: str) -> str:
    """A page as somebody sees it who is signed in as commander."""
    async with desk.house.db.begin() as session:
        link = await access.create_sign_in(
            session, desk.house.clock, name="A commander", role="commander", person=None, department=None
        )
        secret = await access.sign_in(session, desk.house.clock, link)
    desk.api.cookies.set(COOKIE, secret)
    try:
        response = await desk.api.get(path, headers={"Authorization": "", "Accept": "text/html"})
    finally:
        desk.api.cookies.clear()
    assert response.status_code == 200, response.text
    return " ".join(response.text.split())


async def test_doctor_says_which_ladder_reaches_nobody_and_which_step_is_skipped(the_desk: Desk) -> None:
    async def ladders(*channels: str) -> list[tuple[bool | None, str]]:
        house = replace(the_desk.house, channels=channels)
        found = await doctor.examine(house, Providers(), the_desk.program.url)
        return [(entry.ok, entry.detail) for entry in found if entry.name in ("ladder", "ladders")]

    assert await ladders("sms", "email") == [(True, "each reaches people by a channel that is set up here")]
    assert await ladders("sms") == [
        (True, "each reaches people by a channel that is set up here"),
        (None, "its step send: email is skipped, because email has no provider here (exercise, silence)"),
    ]
    found = {detail: ok for ok, detail in await ladders("email")}
    (deaf,) = (detail for detail, ok in found.items() if ok is False)
    assert deaf.startswith("exercise at SEV2 can reach nobody: it tries only sms, for which there is no provider here")


async def test_the_preview_warns_of_a_ladder_that_reaches_nobody(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(a_person())
    key = await at_the_desk.declare(playbook="exercise", severity="SEV2")
    number = await the_desk.write(key)

    async def shown(*channels: str) -> dict[str, Any]:
        async with the_desk.house.db.begin() as session:
            incident = await incidents.get(session, key)
            bulletin = await bulletins.get(session, incident["id"], number)
            return await bulletins.show(session, replace(the_desk.house, channels=channels), incident, bulletin)

    alone = await shown("sms")
    assert [(note["where"], note["message"]) for note in alone["notes"]] == [("help", bulletins.NOBODY_FOR_HELP)]
    commander = a_person()
    await at_the_desk.hire(commander)
    await the_desk.token("commander", person=commander.id)
    fine = await shown("sms")
    assert (fine["warnings"], fine["notes"]) == ([], [])
    [warning] = (await shown("email"))["warnings"]
    assert warning["where"] == "ladder"
    assert warning["message"].startswith("can reach nobody: it tries only sms")

    other = await at_the_desk.declare(playbook="silence", severity="SEV1")
    async with the_desk.house.db.begin() as session:
        incident = await incidents.get(session, other)
        number = await the_desk.write(other)
    async with the_desk.house.db.begin() as session:
        bulletin = await bulletins.get(session, incident["id"], number)
        partly = await bulletins.show(session, replace(the_desk.house, channels=("email",)), incident, bulletin)
    assert partly["warnings"] == [], "a ladder that goes past one step still reaches people"
    assert [note["message"] for note in partly["notes"]] == [
        bulletins.NO_COMMANDER_HERE,
        "its step send: sms is skipped, because sms has no provider here",
    ]


async def test_doctor_and_preview_say_whose_quiet_hours_go_by_another_clock(the_desk: Desk, at_the_desk: Crew) -> None:
    abroad, nowhere = a_person(), a_person()
    await at_the_desk.hire(abroad, nowhere)
    async with the_desk.house.db.begin() as session:
        for person, zone in ((abroad, "Pacific Standard Time"), (nowhere, "Mars/Base")):
            await run(
                session, "UPDATE person SET time_zone = :zone WHERE employee_id = :id", {"zone": zone, "id": person.id}
            )

    async def notes(severity: str) -> list[str]:
        key = await at_the_desk.declare(playbook="silence", severity=severity)
        number = await the_desk.write(key)
        shown = await the_desk.call("GET", f"/incidents/{key}/bulletins/{number}")
        return [note["message"] for note in shown["notes"] if "time zone" in note["message"]]

    assert await notes("SEV3") == ["1 have no time zone in the directory, so their quiet hours go by UTC"]
    assert await notes("SEV1") == [], "no quiet hours, so no clock matters"
    (said,) = [
        entry
        for entry in await doctor.examine(the_desk.house, Providers(), the_desk.program.url)
        if entry.name == "time zones"
    ]
    assert said.ok is False
    assert '("Mars/Base")' in said.detail
    assert nowhere.id in said.detail
    assert abroad.id not in said.detail


async def test_the_api_shows_the_ladder_as_it_is_written(the_desk: Desk) -> None:
    found = await the_desk.call("GET", "/playbooks/silence")
    assert [(step["send"], step["tell"], step["after"]) for step in found["ladder"]] == [
        ("sms", None, "0s"), ("email", None, "2m"), (None, "manager", "5m"), (None, "department_lead", "8m"),
        (None, "commander", "12m"),
    ]  # fmt: skip
    assert found["quiet_hours"] == {"from": "22:00", "to": "07:00", "except": ["SEV1", "SEV2"]}
    assert found["severities"]["SEV2"]["ladder"][1] == {"send": None, "tell": "manager", "after": "5m"}
    assert (await the_desk.call("GET", "/playbooks/exercise"))["quiet_hours"] is None


def test_a_revision_that_was_kept_before_anybody_was_told_still_loads() -> None:
    book = Playbook.model_validate(load(PLAYBOOK.encode(), "silence.yaml").data)
    kept = json.loads(book.model_dump_json(by_alias=True, exclude_none=True))
    assert Playbook.model_validate_json(json.dumps(kept)) == book
    del kept["quiet_hours"]
    kept["ladder"] = [{"send": "sms", "after": "0s"}, {"send": "email", "after": "4m"}]
    old = Playbook.model_validate_json(json.dumps(kept))
    assert [(step.send, step.tell, step.after) for step in old.ladder] == [
        ("sms", None, timedelta(0)), ("email", None, timedelta(minutes=4)),
    ]  # fmt: skip
    assert old.quiet_for("SEV3") is None


async def test_board_preview_and_declaration_say_what_comes_next(the_desk: Desk, at_the_desk: Crew) -> None:
    assert "tell the manager after 5 min" in await look(the_desk, "/declare/silence")
    manager = await a_manager(at_the_desk, name="Mara Mann")
    key = await told(the_desk, at_the_desk, a_person(manager=manager.id), a_person(manager=manager.id))
    shown = await look(the_desk, f"/incidents/{key}")
    assert "Next: email to 2 people at" in shown
    assert "; then the manager is told about 2 people at" in shown
    await after(the_desk, minutes=3)
    shown = await look(the_desk, f"/incidents/{key}")
    assert "Next: the manager is told about 2 people at" in shown
    assert "Tell the manager at" in shown
    await after(the_desk, minutes=3)
    shown = await look(the_desk, f"/incidents/{key}")
    assert "Mara Mann (manager) told" in shown
    assert "1 manager was told that 2 people have not answered bulletin 1" in shown
    whole = await look(the_desk, f"/incidents/{key}/timeline")
    assert "1 manager was told that 2 people have not answered bulletin 1" in whole

    other = Crew(the_desk)
    await other.hire(*(a_person() for _ in range(3)))
    quiet = await other.declare(playbook="silence", severity="SEV3")
    number = await the_desk.write(quiet)
    preview = await look(the_desk, f"/incidents/{quiet}/bulletins/{number}")
    assert "3 people are in quiet hours: text or call will wait until" in preview


async def test_times_follow_the_scale_and_the_night_does_not(the_desk: Desk, at_the_desk: Crew) -> None:
    """Sixty times as fast, the manager is told after five seconds; the morning comes when it comes."""
    await at_the_desk.hire(a_person(), a_person())
    fast = replace(the_desk.house, time_scale=60.0)
    for severity, steps in (("SEV1", {"email": 2.0, "tell manager": 5.0}), ("SEV3", {"email": 60.0})):
        key = await at_the_desk.declare(playbook="silence", severity=severity)
        number = await the_desk.write(key)
        async with the_desk.house.db.begin() as session:
            await sending.send(session, fast, Actor(1, "An admin", "admin"), key, number)
        board = await the_desk.board(key)
        sent = datetime.fromisoformat(board["sent_at"])
        waits = {e["step"]: (datetime.fromisoformat(e["at"]) - sent).total_seconds() for e in board["next"]}
        assert {step: wait for step, wait in waits.items() if step != "sms"} == steps
        assert waits.get("sms", 7200.0) > 3600
