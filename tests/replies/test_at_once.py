"""Answers come while the commander changes the incident: they wait for each other, and never in a ring."""

from __future__ import annotations

import asyncio

from app.access import service as access
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.db import Database, row, run
from tests.journeys.crew import Crew, Desk, a_person


async def waits_for_a_lock(db: Database) -> bool:
    async with db.begin() as session:
        found = await row(session, "SELECT count(*) AS n FROM pg_locks WHERE NOT granted")
    return bool(found and found["n"])


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
