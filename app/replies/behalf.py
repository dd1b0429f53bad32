"""An answer recorded for somebody: they were asked in person, or rang."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.matrix import Actor
from app.bulletins import service as bulletins
from app.deliveries.models import RESPONSES
from app.deliveries.responses import Act
from app.incidents import service as incidents
from app.kernel.db import row
from app.kernel.errors import Conflict, FieldError, Invalid, NotFound
from app.kernel.house import House
from app.replies import service
from app.web.inputs import iso

VIAS = ("in_person", "phone")
MAX_NOTE = 2000


async def acknowledge(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    number: int,
    employee_id: str,
    *,
    response: str,
    via: str,
    at: datetime | None,
    note: str,
) -> dict[str, Any]:
    """Records what a person said to somebody. Raises Invalid naming every wrong field."""
    incident = await incidents.get(session, key)
    bulletin = await bulletins.get(session, incident["id"], number)
    now = house.clock.now()
    errors: list[FieldError] = []
    if response not in RESPONSES:
        errors.append(FieldError("response", f"{response[:40]!r} is no answer; use one of {', '.join(RESPONSES)}"))
    if via not in VIAS:
        errors.append(FieldError("via", f"{via[:40]!r} is no way; use in_person or phone"))
    if not note.strip():
        errors.append(FieldError("note", "is required; say how you know, such as: asked at the desk"))
    if len(note) > MAX_NOTE:
        errors.append(FieldError("note", f"has {len(note)} characters; use at most {MAX_NOTE}"))
    if at is not None and at.tzinfo is None:
        errors.append(FieldError("at", "needs its offset, such as 2026-03-02T03:05:00Z"))
    elif at is not None and at > now + timedelta(minutes=1):
        errors.append(FieldError("at", "lies ahead; give the time when the person answered, or leave it out"))
    elif at is not None and bulletin["sent_at"] is not None and at < bulletin["sent_at"]:
        errors.append(FieldError("at", "is before the bulletin was sent; give the time when the person answered"))
    if errors:
        raise Invalid("The answer cannot be recorded.", errors)
    if bulletin["sent_at"] is None:
        raise Conflict(f"Bulletin {number} has not been sent yet, so nobody can have answered it.")
    found = await row(
        session,
        """SELECT d.id, dep.name AS department FROM delivery d JOIN person p ON p.id = d.person_id
           JOIN person_version v ON v.id = d.person_version_id JOIN department dep ON dep.id = v.department_id
           WHERE d.bulletin_id = :bulletin AND p.employee_id = :person""",
        {"bulletin": bulletin["id"], "person": employee_id},
    )
    if found is None:
        raise NotFound(f"{employee_id[:60]} is not a recipient of bulletin {number}.")
    access.require_department(actor, found["department"])
    act = Act(response, via, at or now, actor.account_id, note.strip())
    recorded = await service.take_answer(session, house, found["id"], act, actor=actor.label)
    assert recorded is not None
    return {
        "person_id": employee_id,
        "bulletin": number,
        "response": recorded.response,
        "via": via,
        "acknowledged_at": iso(act.at),
        "recorded_by": actor.name,
    }
