"""Somebody may want no more texts: their department's leads are told, and opt them out on their behalf."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Action, Actor
from app.deliveries import notices
from app.directory import opt_outs
from app.directory import service as directory
from app.directory.folding import fold
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.errors import NotFound
from app.kernel.house import House
from app.notices.service import Telling
from app.replies import report_repository as kept
from app.replies import repository, wording
from app.replies.report_repository import PossibleStop

KIND = "maybe_stop"
"""Notices about somebody who may want no more texts."""


async def tell_leads(session: AsyncSession, house: House, report_id: int) -> None:
    """Tells the leads of the department of whoever sent a report; of a shared phone, of everybody who has it."""
    found = await kept.stop_to_tell(session, report_id)
    if found is None:
        return
    line = wording.may_want_no_texts(found.name, found.department, found.text, f"{house.base_url}/people/numbers")
    await notices.tell_all(
        session,
        house,
        [
            Telling(lead, found.incident_id, KIND, "Someone may want no more texts", line, report_id)
            for lead in found.leads
        ],
    )


async def waiting(session: AsyncSession, actor: Actor, *, limit: int) -> tuple[list[PossibleStop], int]:
    """(reports that may mean an opt-out and that nobody has settled, the oldest first; how many there are in all)."""
    folded = fold(actor.department) if actor.department else None
    found, in_all = await kept.possible_stops(session, department=folded, limit=limit)
    return found, in_all


async def opt_out(
    session: AsyncSession, house: House, actor: Actor, employee_id: str, kind: str, reason: str
) -> dict[str, Any]:
    """An opt-out on somebody's behalf: the contact point as it is then. Whoever waits is tried on the next channel."""
    now = house.clock.now()
    done = await opt_outs.opt_out(session, house.clock, actor, employee_id, kind, reason)
    if done.new:
        if kind != "email":
            await repository.next_channel(session, done.numbers, now=now)
        await _note(session, house, actor, done.person, "opted_out_for")
    if await kept.settle_stops(session, done.numbers, done.person, account_id=actor.account_id, now=now):
        await notify(session, "muster_board", "")
    return shown(actor, done.point)


async def opt_in(
    session: AsyncSession, house: House, actor: Actor, employee_id: str, kind: str, reason: str
) -> dict[str, Any]:
    """Undoes an opt-out on somebody's behalf: the contact point as it is then."""
    done = await opt_outs.opt_in(session, house.clock, actor, employee_id, kind, reason)
    if done.new:
        await _note(session, house, actor, done.person, "opted_in_for")
    return shown(actor, done.point)


async def keep_texting(session: AsyncSession, house: House, actor: Actor, report_id: int) -> None:
    """A report meant no opt-out. Once is as good as twice; raises NotFound, also for another department's."""
    folded = fold(actor.department) if actor.department else None
    report = await kept.find(session, report_id, incident_id=None, department=folded, anywhere=True)
    if report is None:
        raise NotFound(f"There is no field report {report_id}.")
    if report.maybe_stop:
        await kept.settle_stop(session, report_id, account_id=actor.account_id, now=house.clock.now())
        await notify(session, "muster_board", "")


async def _note(session: AsyncSession, house: House, actor: Actor, person: int, kind: str) -> None:
    """On the timeline of the open incident that the person was last told about, if there is one."""
    incident = await repository.latest_incident(session, [person])
    if incident:
        now = house.clock.now()
        await timeline.note(session, key=incident["key"], at=now, actor=actor.label, kind=kind, data={"person": person})
        await notify(session, "muster_board", incident["key"])


def shown(actor: Actor, point: dict[str, Any]) -> dict[str, Any]:
    return point if actor.may(Action.READ_ADDRESSES) else {**point, "address": directory.mask(point["address"])}
