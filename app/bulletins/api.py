"""Bulletins over HTTP: draft, read, approve. Sending and cancelling belong to deliveries."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BeforeValidator, Field

from app.access.api import HouseDep, Reader, SessionDep, allow
from app.access.matrix import Action, Actor
from app.bulletins import service
from app.incidents import service as incidents
from app.incidents.api import TAGGED, Basis, Facts, Key, NoneMatch
from app.web import etags
from app.web.idempotency import once
from app.web.inputs import Flag, Input, Text
from app.web.problems import WITH_BODY, problem_responses

router = APIRouter(prefix="/api/v1/incidents/{key}/bulletins", tags=["bulletins"])

Drafter = Annotated[Actor, Depends(allow(Action.DRAFT))]
Approver = Annotated[Actor, Depends(allow(Action.APPROVE))]
Number = Annotated[int, Path(ge=1, le=1_000_000, description="The bulletin's number within its incident")]


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be the number of a bulletin")
    return value


WholeNumber = Annotated[int, BeforeValidator(_no_flag)]


class Draft(Facts):
    stage: Text = Field(max_length=30, description="investigating, identified, monitoring or resolved")
    facts: dict[str, Any] = Field(default_factory=dict, max_length=200, description="Override the incident's latest")
    audiences: list[Text] | None = Field(None, max_length=100, description="All of the playbook's when left out")
    corrects: WholeNumber | None = Field(
        None, ge=1, le=1_000_000, description="The number of a sent bulletin that was wrong: goes to all who were told"
    )


class Approve(Input):
    accept_warnings: Flag = False


@router.post(
    "",
    status_code=201,
    summary="Write the next bulletin",
    response_model=dict[str, Any],
    responses=problem_responses(*WITH_BODY, 404, 409) | {201: {"headers": etags.ETAG_HEADER}},
)
async def draft(
    key: Text,
    body: Draft,
    actor: Drafter,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    idempotency_key: Key = None,
) -> Any:
    async def do() -> dict[str, Any]:
        return await service.draft(
            session,
            house,
            actor,
            key,
            stage=body.stage,
            facts=body.facts,
            audiences=body.audiences,
            corrects=body.corrects,
        )

    made = await once(
        session,
        key=idempotency_key,
        account_id=actor.account_id,
        operation=f"draft:{key}",
        body=body.model_dump(mode="json"),
        now=house.clock.now(),
        do=do,
    )
    return etags.answered(request, response, made)


@router.get("", summary="The incident's bulletins", responses=problem_responses(404))
async def bulletins(key: Text, actor: Reader, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    incident = await incidents.get(session, key)
    found = await service.of_incident(session, incident["id"])
    items = [await service.show(session, house, incident, entry) for entry in found]
    return {"items": items, "next_cursor": None}


@router.get(
    "/{number}",
    summary="One bulletin as it will be (or was) seen",
    response_model=dict[str, Any],
    responses=problem_responses(404) | TAGGED | etags.NOT_MODIFIED,
)
async def bulletin(
    key: Text,
    number: Number,
    actor: Reader,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    _known: NoneMatch = None,
) -> Any:
    incident = await incidents.get(session, key)
    shown = await service.show(session, house, incident, await service.get(session, incident["id"], number))
    return etags.answered(request, response, shown)


@router.post(
    "/{number}/approve",
    summary="Approve it",
    response_model=dict[str, Any],
    responses=problem_responses(*WITH_BODY, 404, 409, 412) | TAGGED,
)
async def approve(
    key: Text,
    number: Number,
    actor: Approver,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    seen: Basis,
    body: Approve | None = None,
    idempotency_key: Key = None,
) -> Any:
    async def do() -> dict[str, Any]:
        return await service.approve(
            session, house, actor, key, number, accept_warnings=bool(body and body.accept_warnings), seen=seen
        )

    approved = await once(
        session,
        key=idempotency_key,
        account_id=actor.account_id,
        operation=f"approve:{key}:{number}",
        body=(body or Approve()).model_dump(),
        now=house.clock.now(),
        do=do,
    )
    return etags.answered(request, response, approved)
