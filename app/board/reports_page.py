"""What people say: every field report, and what may be a call for help made a help request or cleared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import Posted, Reading, Visit, posting
from app.board import page_words
from app.board.page_view import DONE, Filters
from app.incidents import service as incidents
from app.kernel.errors import MusterError
from app.kernel.house import House
from app.replies import media_files, possible_help
from app.replies import reports as said
from app.web.inputs import Text
from app.web.templating import page, see

router = APIRouter()

REPORTS = 100

Helping = Annotated[Posted, Depends(posting(Action.TAKE_HELP))]
ReportId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("/incidents/{key}/reports")
async def reports_page(
    key: Text,
    request: Request,
    house: HouseDep,
    visit: Reading,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    done: Annotated[Text, Query(max_length=20)] = "",
) -> HTMLResponse:
    """Everything that people said, the newest first."""
    return await _page(request, house, visit, key, before=before, message=DONE.get(done, ""))


async def _page(
    request: Request,
    house: House,
    visit: Visit,
    key: str,
    *,
    before: int | None = None,
    message: str = "",
    refusal: MusterError | None = None,
) -> HTMLResponse:
    filters = Filters.of_request(request)
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        found, _ = await said.of_incident(
            session, visit.actor, incident["id"], department=filters.department, before=before, limit=REPORTS + 1
        )
    return page(
        request,
        "reports.html",
        status=refusal.status if refusal else 200,
        visit=visit,
        incident=dict(incident),
        reports=found[:REPORTS],
        filters=filters,
        here="reports",
        words=page_words,
        message=message,
        refusal=refusal,
        more=found[REPORTS - 1].id if len(found) > REPORTS else None,
    )


@router.post("/incidents/{key}/reports/{report_id}/help")
async def make_help(key: Text, report_id: ReportId, request: Request, house: HouseDep, posted: Helping) -> Response:
    """A report is a call for help. The form names `person` where several share the phone."""
    try:
        async with house.db.begin() as session:
            await possible_help.make_help(
                session, house, posted.actor, key, report_id, person_id=posted.form.text("person") or None
            )
    except MusterError as error:
        return await _refused(request, house, posted, key, error)
    return _back(key, posted, "opened")


@router.post("/incidents/{key}/reports/{report_id}/clear")
async def clear(key: Text, report_id: ReportId, request: Request, house: HouseDep, posted: Helping) -> Response:
    """A report is no call for help."""
    try:
        async with house.db.begin() as session:
            await possible_help.clear(session, house, posted.actor, key, report_id)
    except MusterError as error:
        return await _refused(request, house, posted, key, error)
    return _back(key, posted, "cleared")


@router.post("/incidents/{key}/reports/{report_id}/media/{place}")
async def medium(
    key: Text, report_id: ReportId, place: Annotated[int, Path(ge=1, le=20)], request: Request, house: HouseDep,
    posted: Helping,
) -> Response:  # fmt: skip
    """What came with a report, fetched from the carrier on this press."""
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        report = await said.one(session, posted.actor, incident["id"], report_id)
    return await media_files.file(request.app.state.media, report, place)


@router.post("/reports/{report_id}/clear")
async def clear_without_incident(report_id: ReportId, house: HouseDep, posted: Helping) -> Response:
    """The same for a report that belongs to no incident: it stands on the first page."""
    async with house.db.begin() as session:
        await possible_help.clear_without_incident(session, house, posted.actor, report_id)
    return see("/?done=cleared")


async def _refused(request: Request, house: House, posted: Posted, key: str, error: MusterError) -> HTMLResponse:
    if error.status in (401, 403, 404):
        raise error
    return await _page(request, house, posted.visit, key, refusal=error)


def _back(key: str, posted: Posted, done: str) -> Response:
    """To the page that the button stood on."""
    where = {"reports": f"/incidents/{key}/reports?done={done}", "home": f"/?done={done}"}
    return see(where.get(posted.form.text("here"), f"/incidents/{key}?done={done}#part-help"))
