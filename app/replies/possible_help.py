"""Reports that may be a call for help: each becomes a help request, or somebody says that it was none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.directory import service as directory
from app.directory.folding import fold
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.errors import Conflict, NotFound
from app.kernel.house import House
from app.replies import help_requests, proof, reports, repository
from app.replies import report_repository as kept
from app.replies.report_repository import Kept


async def make_help(
    session: AsyncSession, house: House, actor: Actor, key: str, report_id: int, *, person_id: str | None = None
) -> tuple[dict[str, Any], bool]:
    """Opens a help request for whoever sent a report: (the request, whether it is new).

    It goes the same way as a `need_help`. A report that became one already gives that one again, and so does a person
    who has one open. `person_id` (the employer's) says whose it is when several people share the number. Raises
    Conflict with the `candidates` when that cannot be known, and when it is somebody else's already.
    """
    incident = await incidents.get(session, key)
    report = await _find(session, actor, key, incident["id"], report_id)
    if report.help_request_id is not None:
        return await _same(session, actor, incident["id"], report.help_request_id, person_id), False
    person = await _whose(session, actor, report, person_id)
    now = house.clock.now()
    opened = await repository.open_help(
        session,
        incident_id=incident["id"],
        delivery_id=await kept.last_delivery(session, incident["id"], person),
        person_id=person,
        now=now,
    )
    request_id = opened or await repository.help_of(session, incident["id"], person)
    if request_id is None:  # theirs was closed this very moment
        raise Conflict("Someone else has just changed this person's help request. Press again.")
    await kept.settle_help(
        session,
        report_id,
        account_id=actor.account_id,
        now=now,
        incident_id=incident["id"],
        help_request_id=request_id,
    )
    await timeline.note(
        session,
        key=key,
        at=now,
        actor=actor.label,
        kind="help_opened" if opened else "help_confirmed",
        data={"person": person, "help_request": request_id, "field_report": report_id},
        also=[proof.of_help(opened)] if opened else [],
    )
    if opened:
        await help_requests.opened(session, house, opened)
    await notify(session, "muster_board", key)
    return await help_requests.one(session, incident["id"], request_id), bool(opened)


async def _same(
    session: AsyncSession, actor: Actor, incident_id: int, request_id: int, wanted: str | None
) -> dict[str, Any]:
    """The request that a report became, for those who may see it, and who mean the same person."""
    request = await help_requests.seen(session, actor, incident_id, request_id)
    if request is None:
        raise Conflict("This report became a help request of another department.")
    if wanted not in (None, request["person_id"]):
        raise Conflict(f"This report became {request['name']}'s help request.", help_request_id=request_id)
    return request


async def clear(session: AsyncSession, house: House, actor: Actor, key: str, report_id: int) -> dict[str, Any]:
    """Says that a report is no call for help; the report as the API shows it. What is cleared stays so.

    Raises Conflict when it became a help request: that one is closed by name.
    """
    incident = await incidents.get(session, key)
    report = await _find(session, actor, key, incident["id"], report_id)
    if report.help_request_id is not None:
        raise Conflict(
            f"This report became help request {report.help_request_id}. Close that request and say what was done.",
            help_request_id=report.help_request_id,
        )
    if report.maybe_help:
        now = house.clock.now()
        await kept.settle_help(session, report_id, account_id=actor.account_id, now=now, incident_id=incident["id"])
        data: dict[str, object] = {"field_report": report_id}
        if report.person is not None:
            data["person"] = report.person
        await timeline.note(session, key=key, at=now, actor=actor.label, kind="possible_help_cleared", data=data)
        await notify(session, "muster_board", key)
    return reports.show(await reports.one(session, actor, incident["id"], report_id), actor)


async def clear_without_incident(session: AsyncSession, house: House, actor: Actor, report_id: int) -> None:
    """The same for a report that belongs to no incident."""
    report = await _find(session, actor, "no incident", None, report_id)
    if report.maybe_help:
        await kept.settle_help(session, report_id, account_id=actor.account_id, now=house.clock.now())


async def _find(session: AsyncSession, actor: Actor, key: str, incident_id: int | None, report_id: int) -> Kept:
    folded = fold(actor.department) if actor.department else None
    await timeline.hold(session, [key])
    report = await kept.find(session, report_id, incident_id=incident_id, department=folded)
    if report is None:
        raise NotFound(f"There is no field report {report_id} in {key}.")
    return report


async def _whose(session: AsyncSession, actor: Actor, report: Kept, wanted: str | None) -> int:
    """Our key of the person who asks for help."""
    if report.person is not None:
        (sender,) = await kept.candidates(session, [report.person])
        if wanted is not None and wanted != sender.person_id:
            raise Conflict(
                f"This report came from {sender.name}. Leave person_id out, or give {sender.person_id}.",
                candidates=[asdict(sender)],
            )
        return report.person
    if wanted is not None:
        person = await kept.active_person(session, wanted)
        if person is None or (actor.department and fold(person["department"]) != fold(actor.department)):
            raise NotFound(f"Nobody here has the id {wanted[:100]}.")
        return int(person["id"])
    at_the_number = await directory.people_at(session, report.number) if report.number else []
    mine = [p for p in at_the_number if not actor.department or fold(p["department"]) == fold(actor.department)]
    if len(at_the_number) == 1:
        return int(at_the_number[0]["person_id"])
    raise Conflict(
        "Several people share this number. Say who needs help with person_id."
        if at_the_number
        else "Nobody here has this number now. Find out who it is and give their person_id.",
        candidates=[asdict(one) for one in await kept.candidates(session, [p["person_id"] for p in mine])],
    )
