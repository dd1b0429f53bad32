"""Send and cancel over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.access.api import HouseDep, SessionDep, allow
from app.access.matrix import Action, Actor
from app.bulletins.api import Number
from app.deliveries import sending
from app.incidents.api import TAGGED, Basis, Key
from app.web import etags
from app.web.idempotency import once
from app.web.inputs import Flag, Input, Text
from app.web.problems import WITH_BODY, problem_responses

router = APIRouter(prefix="/api/v1/incidents/{key}/bulletins/{number}", tags=["bulletins"])

Sender = Annotated[Actor, Depends(allow(Action.SEND))]
Canceller = Annotated[Actor, Depends(allow(Action.CANCEL))]


class Send(Input):
    confirm: Flag = False
    """Needed for a send to many people: how many is the setting MUSTER_CONFIRM_ABOVE."""


@router.post(
    "/send",
    status_code=202,
    summary="Send it to everybody",
    response_model=dict[str, Any],
    responses=problem_responses(*WITH_BODY, 404, 409, 412) | {202: {"headers": etags.ETAG_HEADER}},
)
async def send(
    key: Text,
    number: Number,
    actor: Sender,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    seen: Basis,
    body: Send | None = None,
    idempotency_key: Key = None,
) -> Any:
    async def do() -> dict[str, Any]:
        return await sending.send(session, house, actor, key, number, confirm=(body or Send()).confirm, seen=seen)

    sent = await once(
        session, key=idempotency_key, account_id=actor.account_id, operation=f"send:{key}:{number}",
        body=(body or Send()).model_dump(), now=house.clock.now(), do=do,
    )  # fmt: skip
    return etags.answered(request, response, sent)


@router.post(
    "/cancel",
    summary="Stop what has not been handed over",
    response_model=dict[str, Any],
    responses=problem_responses(400, 404, 409, 412) | TAGGED,
)
async def cancel(
    key: Text,
    number: Number,
    actor: Canceller,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    response: Response,
    seen: Basis,
    idempotency_key: Key = None,
) -> Any:
    async def do() -> dict[str, Any]:
        return await sending.cancel(session, house, actor, key, number, seen=seen)

    cancelled = await once(
        session,
        key=idempotency_key,
        account_id=actor.account_id,
        operation=f"cancel:{key}:{number}",
        body={},
        now=house.clock.now(),
        do=do,
    )
    return etags.answered(request, response, cancelled)
