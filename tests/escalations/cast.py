"""Who is there: people, those who look after them, and what each was told."""

from __future__ import annotations

import re
import uuid
from typing import Any

from app.kernel.db import row, rows, run
from tests.journeys import crew
from tests.journeys.crew import Crew, Desk, Person, a_person

PLAYBOOK = (
    crew.PLAYBOOK.replace("slug: exercise", "slug: silence")
    .replace(
        "cadence: 60m, ladder: [{send: sms}]",
        "cadence: 60m, ladder: [{send: sms}, {tell: manager, after: 5m}, {send: email, after: 8m}]",
    )
    .replace(
        "\nladder: [{send: sms}, {send: email, after: 2m}]",
        "\nladder: [{send: sms}, {send: email, after: 2m}, {tell: manager, after: 5m},"
        " {tell: department_lead, after: 8m}, {tell: commander, after: 12m}]"
        '\nquiet_hours: {from: "22:00", to: "07:00", except: [SEV1, SEV2]}',
    )
)
"""As the crew's. SEV1: text, mail after 2 min, then the manager after 5, the lead after 8, the commander after 12.

SEV2: text, the manager after 5 min, mail after 8. SEV3 (text, mail after 1 h) and SEV4 (mail, text after 2 min) keep
quiet hours from 22:00 to 07:00.
"""

LINK = re.compile(r"\S*/a/\w+")


async def told(desk: Desk, at: Crew, *people: Person, **more: Any) -> str:
    """Hires these people, tells them, and hands the texts over; returns the incident's key."""
    key = await at.told(*people, playbook="silence", **more)
    await desk.hand_over()
    return key


async def after(desk: Desk, *, minutes: float = 0, seconds: float = 0) -> None:
    """So much later the timer has looked, and what had to go out is out, the notices that gather included."""
    desk.clock.advance(seconds=minutes * 60 + seconds)
    await desk.take_steps()
    await desk.hand_over()
    desk.clock.advance(seconds=6)
    await desk.take_steps()
    await desk.hand_over()


async def a_manager(at: Crew, **given: Any) -> Person:
    """Somebody who gets no bulletin of ours: of another site's crew."""
    manager = a_person(given.pop("fate", "0006"), department="Managers", **given)
    await Crew(at.muster).hire(manager)
    return manager


async def a_lead(at: Crew, department: str) -> Person:
    """The lead of a department, with the account that says so."""
    lead = a_person(department="Leads")
    await Crew(at.muster).hire(lead, a_person(department=department))
    await at.muster.token("department_lead", person=lead.id, department=department)
    return lead


def a_department() -> str:
    return f"Dept {uuid.uuid4().hex[:8]}"


async def notices(desk: Desk, person: Person) -> list[str]:
    """The texts that told this person of somebody's silence."""
    return [str(text["body"]) for text in await desk.texts(person.mobile) if "not answered" in str(text["body"])]


async def page(desk: Desk, text: str) -> Any:
    (link,) = LINK.findall(text)
    return await desk.api.get(link)


async def timeline(desk: Desk, key: str, kind: str = "escalated") -> list[dict[str, Any]]:
    """The data of the entries of a kind, the oldest first."""
    items = (await desk.call("GET", f"/incidents/{key}/timeline?limit=500"))["items"]
    return [entry["data"] for entry in sorted(items, key=lambda entry: entry["seq"]) if entry["kind"] == kind]


async def escalations(desk: Desk, key: str) -> list[tuple[str, str, str]]:
    """(silent person, tell, told person), in order."""
    async with desk.house.db.begin() as session:
        found = await rows(
            session,
            """SELECT p.employee_id AS silent, e.tell, t.employee_id AS told FROM escalation e
               JOIN delivery d ON d.id = e.delivery_id JOIN incident i ON i.id = d.incident_id
               JOIN person p ON p.id = d.person_id JOIN person t ON t.id = e.person_id
               WHERE i.key = :key ORDER BY e.id""",
            {"key": key},
        )
    return [(entry["silent"], entry["tell"], entry["told"]) for entry in found]


async def to_be_told_now(desk: Desk, key: str, person: Person) -> None:
    """Whoever is next in line about this person is told at the timer's next look."""
    async with desk.house.db.begin() as session:
        await run(
            session,
            "UPDATE delivery SET next_tell_at = :now WHERE id = :id",
            {"now": desk.clock.now(), "id": (await desk.delivery(key, person))["id"]},
        )


async def lose_account(desk: Desk, person: Person) -> None:
    async with desk.house.db.begin() as session:
        await run(session, "UPDATE account SET disabled_at = now() WHERE person_employee_id = :id", {"id": person.id})


async def count_of(desk: Desk, sql: str, **given: Any) -> int:
    async with desk.house.db.begin() as session:
        found = await row(session, sql, given)
    assert found is not None
    return int(found["n"])
