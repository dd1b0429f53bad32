"""The board over HTTP: counts, people, and a stream of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.api import HouseDep, Reader, SessionDep, bearer
from app.board import service
from app.board.stream import Hub
from app.bulletins.api import Number
from app.incidents import service as incidents
from app.incidents import timeline
from app.incidents.api import int_cursor
from app.kernel.errors import Unauthorized
from app.kernel.house import House
from app.web import sse
from app.web.inputs import Text, encode_cursor
from app.web.problems import problem_responses

router = APIRouter(prefix="/api/v1/incidents/{key}", tags=["board"])

KEEP_ALIVE_SECONDS = 10.0
"""A stream that says nothing else is heard this often: twenty seconds of silence mean that it is broken."""

ENTRIES_AT_A_TIME = 1000
FOLD_SECONDS = 0.3
"""Changes within this time go out as one event."""


@router.get("/bulletins/{number}/board", summary="The counts", responses=problem_responses(404))
async def board(key: Text, number: Number, actor: Reader, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    return await service.board(session, key, number) | await service.due(session, house, key)


@router.get("/bulletins/{number}/recipients", summary="Everybody, by name", responses=problem_responses(404))
async def recipients(
    key: Text,
    number: Number,
    actor: Reader,
    session: SessionDep,
    status: Annotated[Text | None, Query(max_length=200, description="One or more of the eight, by comma")] = None,
    department: Annotated[Text | None, Query(max_length=200)] = None,
    q: Annotated[Text | None, Query(max_length=200, description="In the name, id, title, site")] = None,
    cursor: Annotated[Text | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    items, more = await service.recipients(
        session, key, number, status=status, department=actor.department or department, q=q,
        after=int_cursor(cursor), limit=limit,
    )  # fmt: skip
    return {"items": items, "next_cursor": encode_cursor(str(more)) if more is not None else None}


@router.get(
    "/events",
    summary="Server-sent events: `board`, `timeline`",
    response_class=StreamingResponse,
    responses={**problem_responses(404), 200: {"content": {"text/event-stream": {}}}},
)
async def events(
    key: Text,
    actor: Reader,
    session: SessionDep,
    house: HouseDep,
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> StreamingResponse:
    incident = await incidents.get(session, key)
    readable = last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19
    after = int(last_event_id or 0) if readable else 0
    hub: Hub = request.app.state.hub
    return sse.streamed(_events(house, hub, credentials.credentials, incident["id"], key, after))


async def _latest(session: AsyncSession, house: House, key: str) -> dict[str, Any] | None:
    board = await service.latest_board(session, key)
    return board | await service.due(session, house, key) if board else None


async def _events(house: House, hub: Hub, token: str, incident_id: int, key: str, after: int) -> AsyncIterator[bytes]:
    """The board whenever it changed, and each timeline entry once, from the one after `after`.

    A board comes after the entries of everything that it counts.
    """
    shown: dict[str, Any] | None = None
    due: datetime | None = None
    behind = False
    async with hub.subscribe() as changed:
        while not hub.stopping.is_set():
            if not await hub.wait(changed, seconds=KEEP_ALIVE_SECONDS):
                yield sse.KEEP_ALIVE
                # A due time passes without anybody changing anything.
                if due is None or house.clock.now() <= due:
                    continue
            # A transaction of its own each time: none is held open while nothing happens.
            async with house.db.begin() as session:
                try:
                    await access.by_token(session, token)
                except Unauthorized:
                    return  # revoked, or the person has left: an open stream ends as any other call does
                # In this order: each statement sees what was committed before it, so what the board counts is read.
                board = None if behind else await _latest(session, house, key)
                entries = await timeline.read(
                    session, incident_id=incident_id, key=key, after=after, limit=ENTRIES_AT_A_TIME
                )
            for entry in entries:
                after = entry["seq"]
                yield sse.event("timeline", entry, event_id=str(after))
            was_behind, behind = behind, len(entries) == ENTRIES_AT_A_TIME
            if behind or was_behind:
                changed.set()  # there may be more, and then the board
                continue
            if board is not None and {**board, "as_of": None} != shown:
                shown = {**board, "as_of": None}
                ahead = None if board["overdue"] else board["next_due_at"]
                due = datetime.fromisoformat(ahead) if ahead else None
                yield sse.event("board", board)
            await asyncio.sleep(FOLD_SECONDS)
