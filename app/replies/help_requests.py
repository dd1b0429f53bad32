"""Help requests: a `need_help` is taken by somebody by name, and closed by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.matrix import Actor
from app.directory.folding import fold
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.errors import Conflict, FieldError, Invalid, NotFound
from app.kernel.house import House
from app.replies import repository
from app.web.inputs import iso


def show(entry: RowMapping) -> dict[str, Any]:
    state = "closed" if entry["closed_at"] else "taken" if entry["taken_at"] else "open"
    return {
        "id": entry["id"],
        "state": state,
        "person_id": entry["person_id"],
        "name": entry["name"],
        "department": entry["department"],
        "site": entry["site"],
        "title": entry["title"],
        "bulletin": entry["bulletin"],
        "opened_at": iso(entry["opened_at"]),
        "owner": entry["taken_by"],
        "taken_at": iso(entry["taken_at"]),
        "closed_at": iso(entry["closed_at"]),
        "closed_by": entry["closed_by"],
        "outcome": entry["outcome"],
    }


async def of_incident(
    session: AsyncSession, key: str, *, after: int | None = None, limit: int = 200, department: str | None = None
) -> list[dict[str, Any]]:
    """All of an incident's, the oldest first."""
    incident = await incidents.get(session, key)
    folded = fold(department) if department else None
    found = await repository.help_requests(session, incident["id"], after=after, department=folded, limit=limit)
    return [show(entry) for entry in found]


async def take(session: AsyncSession, house: House, actor: Actor, key: str, request_id: int) -> dict[str, Any]:
    """The actor owns it from now on. Somebody else's may be taken over; both are on the timeline."""
    entry = await _open(session, actor, key, request_id)
    if entry["taken_by_id"] != actor.account_id:
        now = house.clock.now()
        await repository.take_help(session, request_id, account_id=actor.account_id, now=now)
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="help_taken",
            data={"help_request": request_id, "person": entry["person_key"]},
        )  # fmt: skip
        await notify(session, "muster_board", key)
    return await _again(session, key, request_id)


async def close(
    session: AsyncSession, house: House, actor: Actor, key: str, request_id: int, *, outcome: str
) -> dict[str, Any]:
    """It is over; `outcome` says how."""
    if not outcome.strip() or len(outcome) > 2000:
        raise Invalid("The request cannot be closed.", [FieldError("outcome", "say in a few words what was done")])
    entry = await _open(session, actor, key, request_id)
    now = house.clock.now()
    await repository.close_help(session, request_id, account_id=actor.account_id, outcome=outcome.strip(), now=now)
    await timeline.note(
        session, key=key, at=now, actor=actor.label, kind="help_closed",
        data={"help_request": request_id, "person": entry["person_key"]},
    )  # fmt: skip
    await notify(session, "muster_board", key)
    return await _again(session, key, request_id)


async def _open(session: AsyncSession, actor: Actor, key: str, request_id: int) -> RowMapping:
    incident = await incidents.get(session, key)
    found = await repository.help_requests(session, incident["id"], request_id=request_id, lock=True)
    if not found:
        raise NotFound(f"There is no help request {request_id} in {key}.")
    access.require_department(actor, found[0]["department"])
    if found[0]["closed_at"] is not None:
        raise Conflict("This help request is closed already.")
    return found[0]


async def _again(session: AsyncSession, key: str, request_id: int) -> dict[str, Any]:
    incident = await incidents.get(session, key)
    return show((await repository.help_requests(session, incident["id"], request_id=request_id))[0])
