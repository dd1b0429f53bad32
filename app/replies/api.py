"""What people told us, over HTTP: field reports, help requests, and answers on somebody's behalf."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, Field

from app.access.api import HouseDep, Reader, SessionDep, allow
from app.access.matrix import Action, Actor
from app.bulletins.api import Number
from app.incidents import service as incidents
from app.incidents.api import int_cursor
from app.replies import behalf, help_requests, media_files, opt_outs, possible_help, reports
from app.web.inputs import Input, Text, encode_cursor
from app.web.problems import WITH_BODY, problem_responses

router = APIRouter(prefix="/api/v1/incidents/{key}", tags=["replies"])
people = APIRouter(prefix="/api/v1/people/{person_id}/contact-points/{kind}", tags=["people"])

Recorder = Annotated[Actor, Depends(allow(Action.ACKNOWLEDGE_FOR))]
Opter = Annotated[Actor, Depends(allow(Action.OPT_OUT_FOR))]
Helper = Annotated[Actor, Depends(allow(Action.TAKE_HELP))]
Place = Annotated[int, Path(ge=1, le=20)]
ReportId = Annotated[int, Path(ge=1, le=2**62)]
RequestId = Annotated[int, Path(ge=1, le=2**62)]
Cursor = Annotated[Text | None, Query(max_length=500)]


class OnBehalf(Input):
    response: Text = Field(max_length=40, description="ok, need_help or cannot")
    via: Text = Field(max_length=40, description="in_person or phone")
    at: AwareDatetime | None = Field(None, description="When the person answered; now when left out")
    note: Text = Field(max_length=2000, description="How you know")


class Why(Input):
    reason: Text = Field("", max_length=2000, description="Why, in a few words")


class Whose(Input):
    person_id: Text | None = Field(None, max_length=200, description="Who needs help, where several share the phone")


class Outcome(Input):
    outcome: Text = Field(max_length=2000, description="What was done")


@router.get("/field-reports", summary="What the front line said, newest first", responses=problem_responses(404))
async def field_reports(
    key: Text, actor: Reader, session: SessionDep, cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:  # fmt: skip
    incident = await incidents.get(session, key)
    found, _ = await reports.of_incident(session, actor, incident["id"], before=int_cursor(cursor), limit=limit + 1)
    more = encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    return {"items": [reports.show(report, actor) for report in found[:limit]], "next_cursor": more}


@router.post(
    "/field-reports/{report_id}/help",
    summary="Open a help request for whoever sent a report",
    status_code=201,
    responses=problem_responses(*WITH_BODY, 404, 409) | {200: {"description": "They have this help request already"}},
)
async def make_help(
    key: Text,
    report_id: ReportId,
    actor: Helper,
    session: SessionDep,
    house: HouseDep,
    response: Response,
    body: Whose | None = None,
) -> dict[str, Any]:
    """It goes the same way as an answer that asks for help. From a shared phone, `person_id` says whose it is; without
    it the answer is 409 with the `candidates` when that cannot be known."""
    request, new = await possible_help.make_help(
        session, house, actor, key, report_id, person_id=body.person_id if body else None
    )
    if not new:
        response.status_code = 200
    return request


@router.post("/field-reports/{report_id}/clear", summary="Not a call for help", responses=problem_responses(404, 409))
async def clear(key: Text, report_id: ReportId, actor: Helper, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    """Ends the report's `maybe_help`; who and when stay with the report and on the timeline."""
    return await possible_help.clear(session, house, actor, key, report_id)


@router.get(
    "/field-reports/{report_id}/media/{place}",
    summary="Fetch a picture, sound or file that came with a report",
    response_class=Response,
    responses=problem_responses(404) | {200: {"description": "The file", "content": {"application/octet-stream": {}}}},
)
async def medium(
    key: Text, report_id: ReportId, place: Place, actor: Helper, house: HouseDep, request: Request
) -> Response:
    """From the carrier, now, because you ask: nothing is fetched before. The first is 1."""
    async with house.db.begin() as session:  # ended before the carrier is asked
        incident = await incidents.get(session, key)
        report = await reports.one(session, actor, incident["id"], report_id)
    return await media_files.file(request.app.state.media, report, place)


@router.get("/help-requests", summary="Who needs help, and who owns it", responses=problem_responses(404))
async def requests(
    key: Text, actor: Reader, session: SessionDep, cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:  # fmt: skip
    items = await help_requests.of_incident(
        session, key, after=int_cursor(cursor), limit=limit + 1, department=actor.department
    )
    more = encode_cursor(str(items[limit - 1]["id"])) if len(items) > limit else None
    return {"items": items[:limit], "next_cursor": more}


@router.post("/help-requests/{request_id}/take", summary="Own it", responses=problem_responses(404, 409))
async def take(key: Text, request_id: RequestId, actor: Helper, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    return await help_requests.take(session, house, actor, key, request_id)


@router.post("/help-requests/{request_id}/close", summary="Close it", responses=problem_responses(*WITH_BODY, 404, 409))
async def close(
    key: Text, request_id: RequestId, body: Outcome, actor: Helper, session: SessionDep, house: HouseDep
) -> dict[str, Any]:
    return await help_requests.close(session, house, actor, key, request_id, outcome=body.outcome)


@router.post(
    "/bulletins/{number}/recipients/{person_id}/acknowledgment",
    summary="Record an answer on somebody's behalf",
    responses=problem_responses(*WITH_BODY, 404, 409),
)
async def on_behalf(
    key: Text, number: Number, person_id: Text, body: OnBehalf, actor: Recorder, session: SessionDep, house: HouseDep
) -> dict[str, Any]:
    return await behalf.acknowledge(
        session, house, actor, key, number, person_id, response=body.response, via=body.via, at=body.at, note=body.note
    )


@people.post(
    "/opt-out", summary="Opt an address out on its holder's behalf", responses=problem_responses(*WITH_BODY, 404)
)
async def opt_out(
    person_id: Text, kind: Text, body: Why, actor: Opter, session: SessionDep, house: HouseDep
) -> dict[str, Any]:
    """No more texts to a number, no more mails to an address, as if the holder had said STOP. Answers with the contact
    point; who did it and why is in the audit trail. A second time changes nothing."""
    return await opt_outs.opt_out(session, house, actor, person_id, kind, body.reason)


@people.post(
    "/opt-in", summary="Undo an opt-out on somebody's behalf", responses=problem_responses(*WITH_BODY, 404, 409)
)
async def opt_in(
    person_id: Text, kind: Text, body: Why, actor: Opter, session: SessionDep, house: HouseDep
) -> dict[str, Any]:
    """409 where the holder opted out: only they can undo that."""
    return await opt_outs.opt_in(session, house, actor, person_id, kind, body.reason)
