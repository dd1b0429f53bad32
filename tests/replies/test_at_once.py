"""Answers come while the commander changes the incident: they wait for each other, and never in a ring."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from app.access import service as access
from app.escalations.timer import Timer
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.db import Database, row, run
from app.notices.service import lock_people
from tests.journeys.crew import Crew, Desk, a_person


async def wait_for_locks(db: Database, many: int) -> bool:
    async with db.begin() as session:
        found = await row(session, "SELECT count(*) AS n FROM pg_locks WHERE NOT granted")
    return bool(found and found["n"] >= many)


async def waits_for_a_lock(db: Database) -> bool:
    return await wait_for_locks(db, 1)


async def held_at_once(db: Database, key: str) -> None:
    """Takes an incident's timeline if nobody else has it."""
    async with db.begin() as session:
        await run(session, "SET LOCAL lock_timeout = '100ms'")
        await timeline.hold(session, [key])


async def test_somebody_who_needs_help_and_a_change_of_the_incident_do_not_stop_each_other(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    delivery = await the_desk.delivery(key, person)
    db, clock = the_desk.house.db, the_desk.clock

    async def change() -> None:
        async with db.begin() as session:
            await incidents.change(
                session, the_desk.house, await access.operator(session, clock), key, status="investigating",
                severity=None, commander=None, reason="We look.", accept_open_help=False,
            )  # fmt: skip

    # An answer has written to the timeline; the change holds the incident and waits for the timeline; and only then
    # does the answer add a row that refers to the incident.
    async with db.begin() as answer:
        await timeline.note(answer, key=key, at=clock.now(), actor="system", kind="opted_out", data={})
        changing = asyncio.create_task(change())
        await the_desk.until(lambda: waits_for_a_lock(db))
        await run(
            answer,
            """INSERT INTO help_request (incident_id, delivery_id, person_id, opened_at, told_rung)
               VALUES (:incident, :delivery, :person, :now, -1)""",
            {
                "incident": delivery["incident_id"], "delivery": delivery["id"], "person": delivery["person_id"],
                "now": clock.now(),
            },
        )  # fmt: skip
    await changing
    assert (await the_desk.call("GET", f"/incidents/{key}"))["status"] == "investigating"


async def test_a_request_that_climbs_holds_the_timeline_before_it_waits_for_the_lead(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    """As an answer that asks for help does: in the other order the two would wait for each other in a ring."""
    lead, first = a_person(department="Leads"), a_person()
    await at_the_desk.hire(lead, first)
    await the_desk.token("commander", person=lead.id)
    key = await at_the_desk.told(first)
    await the_desk.hand_over()
    await the_desk.text(first.mobile, "2")
    db, house = the_desk.house.db, the_desk.house
    # The lead is free to be told again, and the request is due.
    the_desk.clock.advance(seconds=3600)
    async with db.begin() as session:
        await run(
            session,
            """UPDATE help_request h SET told_rung = -1, climb_at = :now FROM incident i
               WHERE i.id = h.incident_id AND i.key = :key""",
            {"now": the_desk.clock.now(), "key": key},
        )
        await run(session, "UPDATE notice SET abouts = '[]' WHERE kind = 'help'")
        found = await row(session, "SELECT id FROM person WHERE employee_id = :id", {"id": lead.id})
    assert found

    async with db.begin() as other:
        await lock_people(other, [found["id"]])
        climbing = asyncio.create_task(Timer(house).step())
        await the_desk.until(lambda: waits_for_a_lock(db))
        with pytest.raises(OperationalError, match="lock timeout"):
            await held_at_once(db, key)
    await climbing
