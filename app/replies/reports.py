"""Field reports: what the front line tells us, kept whole with what came with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.directory import service as directory
from app.directory.folding import fold
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.house import House
from app.replies import report_repository as repository
from app.replies.models import NewReport
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
        await timeline.note(session, key=key, at=now, actor="system", kind="field_report", data=data)
        await notify(session, "muster_board", f"incident:{report.incident_id}")
    return report_id


async def cleared_up(session: AsyncSession, numbers: Sequence[str], *, now: datetime, helped: bool = False) -> None:
    """A later answer from this number says what those meant that were asked back: they may be help no longer.

    `helped`: it asks for help, from a phone of one's own, so that HELP alone is settled as well.
    """
    for incident_id in await repository.clear_asked_back(session, numbers, now=now, helped=helped):
        await notify(session, "muster_board", f"incident:{incident_id}")


async def of_incident(
    session: AsyncSession, key: str, *, before: int | None = None, limit: int = 100, department: str | None = None
) -> tuple[list[dict[str, Any]], int | None]:
    """(what the front line said, newest first; the report to go on before). Numbers are masked."""
    incident = await incidents.get(session, key)
    folded = fold(department) if department else None
    found = await repository.of_incident(session, incident["id"], before=before, limit=limit + 1, department=folded)
    more = int(found[limit - 1]["id"]) if len(found) > limit else None
    return [show(entry) for entry in found[:limit]], more


def show(entry: RowMapping) -> dict[str, Any]:
    """A report as the API shows it."""
    return {
        "id": entry["id"],
        "text": entry["text"],
        "maybe_help": entry["maybe_help"],
        "maybe_stop": entry["maybe_stop"],
        "media": entry["media"],
        "via": entry["via"],
        "at": iso(entry["at"]),
        "person_id": entry["person_id"],
        "name": entry["name"] or SOMEONE,
        "department": entry["department"],
        "site": entry["site"],
        "title": entry["title"],
        "number": None if entry["person_id"] or not entry["number"] else directory.mask(entry["number"]),
    }
