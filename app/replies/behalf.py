"""An answer recorded for somebody: they were asked in person, or rang."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.matrix import Actor
from app.bulletins import service as bulletins
from app.deliveries.models import RESPONSES
from app.deliveries.responses import HELP, Act
from app.incidents import service as incidents
from app.kernel.db import row
from app.kernel.errors import Changed, Conflict, FieldError, Invalid, NotFound
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
    had: str | None = None,
) -> dict[str, Any]:
    """Records what a person said to somebody. Raises Invalid naming every wrong field.

    `had`: when the answer was given that the page showed ('' for none); Changed when there is another by now.
    """
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
    if not bulletin["asks"] and response != HELP:
        raise Conflict(
            f"Bulletin {number} is an all-clear, which asks for no answer. If they need help, record need_help; to "
            "correct an earlier answer, record it for the bulletin that asked."
        )
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
    if not await recorded_before(session, found["id"], had, account_id=actor.account_id, response=response, via=via):
        recorded = await service.take_answer(session, house, found["id"], act, actor=actor.label)
        assert recorded is not None
        response = recorded.response
    return {
        "person_id": employee_id,
        "bulletin": number,
        "response": response,
        "via": via,
        "acknowledged_at": iso(act.at),
        "recorded_by": actor.name,
    }


async def recorded_before(
    session: AsyncSession, delivery_id: int, had: str | None, *, account_id: int, response: str, via: str
) -> bool:
    """Whether this very press was recorded before. `had` as in `acknowledge`; None compares nothing.

    Raises Changed when the person has another answer than the page showed: one that they gave themselves, or one
    that somebody else recorded.
    """
    if had is None:
        return False
    # Two statements: the second sees what was waited for.
    await row(session, "SELECT id FROM delivery WHERE id = :id FOR NO KEY UPDATE", {"id": delivery_id})
    found = await row(
        session,
        """SELECT d.responded_at, k.response, k.via, k.at, k.account_id, v.name, coalesce(a.name, v.name) AS by
           FROM delivery d JOIN person_version v ON v.id = d.person_version_id
           LEFT JOIN LATERAL (SELECT * FROM acknowledgment k WHERE k.delivery_id = d.id
                              ORDER BY k.at DESC, k.id DESC LIMIT 1) k ON true
           LEFT JOIN account a ON a.id = k.account_id
           WHERE d.id = :id""",
        {"id": delivery_id},
    )
    if found is None or (iso(found["responded_at"]) or "") == had or found["response"] is None:
        return False
    if (found["account_id"], found["response"], found["via"]) == (account_id, response, via):
        return True
    said = {"ok": "OK", "need_help": "needs help", "cannot": "cannot do their part"}[found["response"]]
    raise Changed(
        f"{found['name']} has another answer by now: {said}, by {found['by']} at {iso(found['at'])}. "
        "Nothing was recorded.",
        changed=[{"what": f"{found['name']}'s answer: {said}", "by": found["by"], "at": iso(found["at"])}],
    )
