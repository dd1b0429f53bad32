"""People over HTTP: who is in the directory, and taking over the HR export."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app.access.api import HouseDep, Reader, SessionDep, allow, allow_long
from app.access.matrix import Action, Actor
from app.directory import service
from app.directory.xlsx_source import MEDIA_TYPE
from app.kernel.errors import FieldError, Invalid, UnsupportedMedia
from app.web.inputs import Text
from app.web.problems import problem_responses

_TAKEN = frozenset({
    "text/csv", "application/csv", "text/plain", "application/octet-stream", MEDIA_TYPE,
    "application/vnd.ms-excel", "application/vnd.ms-excel.sheet.macroenabled.12",
})  # fmt: skip
"""What a file may be called; which it is, its first bytes say. Browsers on Windows call a CSV the last but one."""

router = APIRouter(prefix="/api/v1/people", tags=["people"])

Importer = Annotated[Actor, Depends(allow_long(Action.IMPORT_PEOPLE))]
Retrier = Annotated[Actor, Depends(allow(Action.RETRY_NUMBERS))]


@router.get("", summary="People", responses=problem_responses())
async def people(
    actor: Reader,
    session: SessionDep,
    department: Annotated[Text | None, Query(description="The department's name")] = None,
    site: Annotated[Text | None, Query(description="The site's name")] = None,
    active: Annotated[bool | None, Query(description="Only those who are here (true) or have left (false)")] = None,
    q: Annotated[Text | None, Query(max_length=200, description="In the name, id or title")] = None,
    flagged: Annotated[
        bool | None, Query(description="Only those with an address that is invalid, a landline or opted out (true)")
    ] = None,
    cursor: Annotated[Text | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    items, next_cursor = await service.list_people(
        session, department=department, site=site, active=active, q=q, flagged=flagged, cursor=cursor,
        limit=limit, only_department=actor.department,
    )  # fmt: skip
    for item in items:
        item["contact_points"] = [_shown(actor, point) for point in item["contact_points"]]
    return {"items": items, "next_cursor": next_cursor}


@router.post(
    "/{person_id}/contact-points/{kind}/retry", summary="Try a number again", responses=problem_responses(404, 409)
)
async def retry(person_id: Text, kind: Text, actor: Retrier, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    """Lifts the flag from an address that the network called invalid or a landline, when the network was wrong.
    What its holder chose (STOP) only the holder can undo: 409."""
    return _shown(actor, await service.retry_contact_point(session, house.clock, actor, person_id, kind))


def _shown(actor: Actor, point: dict[str, Any]) -> dict[str, Any]:
    return point if actor.may(Action.READ_ADDRESSES) else {**point, "address": service.mask(point["address"])}


@router.post(
    "/imports",
    summary="Take over a people file",
    responses=problem_responses(409, 413, 415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def imports(
    actor: Importer,
    request: Request,
    house: HouseDep,
    country: Annotated[Text | None, Query(description="ISO code that national numbers are read with")] = None,
    sheet: Annotated[
        Text | None,
        Query(max_length=100, description="The sheet of a workbook; without it the first that is not hidden"),
    ] = None,
    dry_run: bool = False,
    complete: Annotated[bool, Query(description="The file is everybody: whoever is missing has left")] = False,
    force: Annotated[bool, Query(description="Deactivate more than 20 people and 20 % all the same")] = False,
) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _TAKEN:
        raise UnsupportedMedia(f"Send the file as text/csv, or an Excel workbook (.xlsx) as {MEDIA_TYPE}.")
    if country is not None and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise Invalid("The import cannot be done.", [FieldError("country", "use an ISO code such as US or FR")])
    report = await service.import_people(
        house.db, house.clock, await request.body(), country=country.upper() if country else None, sheet=sheet,
        complete=complete, force=force, dry_run=dry_run, actor=actor.label, progress=None,
    )  # fmt: skip
    return report.as_dict()
