"""Field reports: what the front line tells us, kept whole with what came with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Action, Actor
from app.deliveries.responses import Recorded
from app.directory import service as directory
from app.directory.folding import fold
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.errors import NotFound
from app.kernel.house import House
from app.replies import opt_outs, proof
from app.replies import report_repository as repository
from app.replies import repository as requests
from app.replies.models import NewReport
from app.replies.report_repository import Report as Report
from app.web.inputs import iso

kept = repository.kept

SOMEONE = "someone at this number"
"""Who a report from a shared phone comes from."""


async def add(session: AsyncSession, house: House, report: NewReport, *, key: str | None) -> int:
    """Keeps a field report; the timeline says that there is one, its words stay in a row that can be erased.

    `key` is the incident's, None where there is none.
    """
    now = house.clock.now()
    report_id = await repository.add(session, report, at=now)
    if key:
        data: dict[str, object] = {"field_report": report_id, "maybe_help": report.maybe_help}
        if report.maybe_stop:
            data["maybe_stop"] = True
        if report.person_id is not None:
            data["person"] = report.person_id
        also = [proof.of_report(report_id)]
        await timeline.note(session, key=key, at=now, actor="system", kind="field_report", data=data, also=also)
        if report.maybe_stop:
            await opt_outs.tell_leads(session, house, report_id)
        await notify(session, "muster_board", f"incident:{report.incident_id}")
    return report_id


async def cleared_up(session: AsyncSession, numbers: Sequence[str], *, now: datetime, helped: bool = False) -> None:
    """A later answer from this number says what those meant that were asked back: they may be help no longer.

    `helped`: it asks for help, from a phone of one's own, so that HELP alone is settled as well.
    """
    for incident_id in await repository.clear_asked_back(session, numbers, now=now, helped=helped):
        await notify(session, "muster_board", f"incident:{incident_id}")


async def settle_by_answer(session: AsyncSession, house: House, recorded: Recorded, opened: int | None) -> None:
    """Somebody who wrote what may be a call for help has now asked for help: the request that they have is about both.

    `opened` is that request when it is new.
    """
    request_id = opened or await requests.help_of(session, recorded.incident_id, recorded.person_id)
    if request_id is None:
        return
    await repository.settle_by_answer(
        session,
        incident_id=recorded.incident_id,
        person=recorded.person_id,
        help_request_id=request_id,
        now=house.clock.now(),
    )


async def of_incident(
    session: AsyncSession,
    actor: Actor,
    incident_id: int,
    *,
    department: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> tuple[list[Report], int]:
    """(what the front line said as the actor may see it, newest first; how many reports there are in all)."""
    wanted = actor.department or department
    found, in_all = await repository.of_incident(
        session, incident_id, before=before, limit=limit, department=fold(wanted) if wanted else None
    )
    return [_seen_by(actor, report) for report in found], in_all


async def waiting(
    session: AsyncSession, actor: Actor, incident_id: int | None, *, limit: int
) -> tuple[list[Report], int]:
    """(reports that may be a call for help and that nobody has settled, the oldest first; how many there are in all).

    `incident_id` None: those that belong to no incident.
    """
    folded = fold(actor.department) if actor.department else None
    found, in_all = await repository.possible_help(session, incident_id, department=folded, limit=limit)
    return [_seen_by(actor, report) for report in found], in_all


async def one(session: AsyncSession, actor: Actor, incident_id: int, report_id: int) -> Report:
    """One report. Raises NotFound, also for what another department's people said."""
    folded = fold(actor.department) if actor.department else None
    found, _ = await repository.of_incident(session, incident_id, report_id=report_id, department=folded)
    if not found:
        raise NotFound(f"There is no field report {report_id} in this incident.")
    return _seen_by(actor, found[0])


def _seen_by(actor: Actor, report: Report) -> Report:
    """Numbers are masked for whoever need not call."""
    if report.call is None or actor.may(Action.READ_ADDRESSES):
        return report
    return replace(report, call=directory.mask(report.call))


def show(report: Report, actor: Actor) -> dict[str, Any]:
    """A report as the API shows it. `call` is the number in full, for those who may see it."""
    may_call = actor.may(Action.READ_ADDRESSES)
    return {
        "id": report.id,
        "text": report.text,
        "maybe_help": report.maybe_help,
        "maybe_stop": report.maybe_stop,
        "cleared_at": iso(report.cleared_at),
        "cleared_by": report.cleared_by,
        "help_request_id": report.help_request_id,
        "media": [medium.as_dict() for medium in report.media],
        "via": report.via,
        "at": iso(report.at),
        "person_id": report.person_id,
        "name": report.name or SOMEONE,
        "department": report.department,
        "site": report.site,
        "title": report.title,
        "number": None if report.person_id or not report.call else directory.mask(report.call),
        "call": report.call if may_call else None,
    }
