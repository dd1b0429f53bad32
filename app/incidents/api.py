"""Incidents over HTTP: declare, steer, read the timeline."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import Field, field_validator

from app.access.api import HouseDep, Reader, SessionDep, allow
from app.access.matrix import Action, Actor
from app.incidents import service, timeline
from app.kernel.errors import FieldError, Invalid
from app.playbooks import service as playbooks
from app.web import etags
from app.web.idempotency import once
from app.web.inputs import Flag, Input, Text, clean_json, decode_cursor, encode_cursor
from app.web.problems import WITH_BODY, problem_responses

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

Declarer = Annotated[Actor, Depends(allow(Action.DECLARE))]
Changer = Annotated[Actor, Depends(allow(Action.CHANGE_INCIDENT))]
Key = Annotated[str | None, Header(alias="Idempotency-Key")]


Match = Annotated[str | None, Header(alias="If-Match", description="The ETag that the change is made from")]


def if_match(request: Request, _listed: Match = None) -> etags.Seen | None:
    """What the caller has seen. Raises BadRequest for what is no entity tag."""
    return etags.seen_by(request)


Basis = Annotated[etags.Seen | None, Depends(if_match)]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="304 while the answer has this ETag")]
LINK_HEADER = {
    "Link": {"description": 'Open incidents that it looks like, `rel="related"`', "schema": {"type": "string"}}
}
TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": etags.ETAG_HEADER}}


class Facts(Input):
    """Facts by name; their types are the playbook's."""

    @field_validator("facts", mode="after", check_fields=False)
    @classmethod
    def _clean(cls, value: dict[str, Any]) -> dict[str, Any]:
        clean_json(value)
        return value


class Declaration(Facts):
    playbook: Text = Field(max_length=100, description="The playbook's slug")
    severity: Text | None = Field(None, max_length=10, description="SEV1 to SEV4; the playbook's default when left out")
    title: Text | None = Field(None, max_length=500)
    facts: dict[str, Any] = Field(default_factory=dict, max_length=200)
    drill: Flag = False
    commander: Text | None = Field(None, max_length=100, description="The employer's id of a person; you when left out")


class Change(Input):
    status: Text | None = Field(None, max_length=20)
    severity: Text | None = Field(None, max_length=10)
    commander: Text | None = Field(None, max_length=100)
    reason: Text = Field("", max_length=2000, description="Required: why")
    accept_open_help: Flag = False


@router.post(
    "",
    status_code=201,
    summary="Declare an incident",
    response_model=dict[str, Any],
    responses=problem_responses(*WITH_BODY) | {201: {"headers": etags.ETAG_HEADER | LINK_HEADER}},
)
async def declare(
    body: Declaration,
    actor: Declarer,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    idempotency_key: Key = None,
) -> Any:
    await playbooks.sync(house)

    async def do() -> dict[str, Any]:
        return await service.declare(
            session, house, actor, slug=body.playbook, severity=body.severity, title=body.title, facts=body.facts,
            drill=body.drill, commander=body.commander,
        )  # fmt: skip

    made = await once(
        session, key=idempotency_key, account_id=actor.account_id, operation="declare",
        body=body.model_dump(mode="json"), now=house.clock.now(), do=do,
    )  # fmt: skip
    known = await service.similar(
        session, slug=made["playbook"], title=made["title"], drill=made["drill"], but=made["key"]
    )
    if known:
        response.headers["Link"] = ", ".join(
            f'</api/v1/incidents/{entry["key"]}>; rel="related"' for entry in known[:20]
        )
    return etags.answered(request, response, made)


@router.get("", summary="Incidents, newest first", responses=problem_responses())
async def incidents(
    actor: Reader,
    session: SessionDep,
    house: HouseDep,
    status: Annotated[Text | None, Query(max_length=20, description="A status, or `open`")] = None,
    cursor: Annotated[Text | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    before = int_cursor(cursor)
    found = await service.page(session, status=status, before=before, limit=limit + 1)
    more = encode_cursor(str(found[limit - 1]["id"])) if len(found) > limit else None
    return {"items": await service.show_all(session, house, found[:limit]), "next_cursor": more}


def int_cursor(cursor: str | None) -> int | None:
    """A cursor that stands for a row's number. Raises Invalid."""
    decoded = decode_cursor(cursor)
    if decoded is None:
        return None
    if not (decoded.isascii() and decoded.isdigit() and len(decoded) < 18):
        raise Invalid("The cursor is not one of ours.", [FieldError("cursor", "use next_cursor of the answer before")])
    return int(decoded)


@router.get(
    "/{key}",
    summary="One incident",
    response_model=dict[str, Any],
    responses=problem_responses(404) | TAGGED | etags.NOT_MODIFIED,
)
async def incident(
    key: Text,
    actor: Reader,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    _known: NoneMatch = None,
) -> Any:
    shown = await service.show(session, house, await service.get(session, key))
    return etags.answered(request, response, shown)


@router.patch(
    "/{key}",
    summary="Change status, severity or commander",
    response_model=dict[str, Any],
    responses=problem_responses(*WITH_BODY, 404, 409, 412) | TAGGED,
)
async def change(
    key: Text,
    body: Change,
    actor: Changer,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    seen: Basis,
    idempotency_key: Key = None,
) -> Any:
    async def do() -> dict[str, Any]:
        return await service.change(
            session,
            house,
            actor,
            key,
            status=body.status,
            severity=body.severity,
            commander=body.commander,
            reason=body.reason,
            accept_open_help=body.accept_open_help,
            seen=seen,
        )

    changed = await once(
        session, key=idempotency_key, account_id=actor.account_id, operation=f"change:{key}",
        body=body.model_dump(mode="json"), now=house.clock.now(), do=do,
    )  # fmt: skip
    return etags.answered(request, response, changed)


@router.get("/{key}/timeline", summary="What happened, in order", responses=problem_responses(404))
async def timeline_of(
    key: Text,
    actor: Reader,
    session: SessionDep,
    cursor: Annotated[Text | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    found = await service.get(session, key)
    after = int_cursor(cursor) or 0
    items = await timeline.read(session, incident_id=found["id"], key=key, after=after, limit=limit + 1)
    more = encode_cursor(str(items[limit - 1]["seq"])) if len(items) > limit else None
    return {"items": items[:limit], "next_cursor": more}
