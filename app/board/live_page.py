"""The board kept up to date: a stream of its parts as HTML, each sent when it changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from app.access import service as access
from app.access.api import HouseDep
from app.access.pages import COOKIE, Reading, Visit
from app.board import page_view
from app.board.page_view import PARTS, Filters
from app.board.stream import Hub
from app.incidents import service as incidents
from app.kernel.house import House
from app.web import sse
from app.web.forms import Form
from app.web.inputs import Text

router = APIRouter()

LOOK_SECONDS = 10.0
"""Looks this often even when nothing was heard: a due time passes without anybody changing anything, and a page that
hears nothing for twenty seconds says so."""

LEAST_SECONDS = 0.6
MOST_SECONDS = 1.2
"""Between two looks of one stream: as long as a look took three times over, so that a board of ten thousand people
cannot keep a process busy, and still short enough to be right within two seconds."""


@router.get("/incidents/{key}/live", response_class=StreamingResponse)
async def live(key: Text, request: Request, house: HouseDep, visit: Reading) -> StreamingResponse:
    """At each look a `heartbeat`, then a `part` for what changed: `{"id": the element's, "html": its new text}`."""
    async with house.db.begin() as session:
        await incidents.get(session, key)
    hub: Hub = request.app.state.hub
    secret, filters = request.cookies[COOKIE], Filters.of_request(request)
    return sse.streamed(events(house, hub, PARTS, lambda: _load(house, visit, secret, key, filters)))


async def _load(house: House, visit: Visit, secret: str, key: str, filters: Filters) -> dict[str, Any] | None:
    """What the parts show, for as long as the session is good. A transaction of its own, so none idles."""
    async with house.db.begin() as session:
        if await access.by_session(session, secret, house.clock) is None:
            return None
        context = await page_view.load(session, house, visit, key, filters)
    return context | {"errors": {}, "form": Form(), "about": "", "query": filters.query(after=filters.after)}


async def events(
    house: House, hub: Hub, parts: Sequence[str], look: Callable[[], Awaitable[dict[str, Any] | None]]
) -> AsyncIterator[bytes]:
    """The stream of a page: looks when something may have changed, until the look finds nobody signed in (None)."""
    known: dict[str, str] = {}
    async with hub.subscribe() as changed:
        while not hub.stopping.is_set():
            await hub.wait(changed, seconds=LOOK_SECONDS)
            if hub.stopping.is_set():
                return
            began = time.monotonic()
            # Shielded: whoever closes the page must not cut a statement in two, which would cost the connection.
            context = await asyncio.shield(look())
            if context is None:
                return  # signed out or left: the browser asks again and is refused
            yield sse.event("heartbeat", {"id": "part-as-of", "html": page_view.part(house, "as_of", context)})
            for name in parts:
                html = page_view.part(house, name, context)
                if known.get(name) != html:
                    known[name] = html
                    yield sse.event("part", {"id": f"part-{name}", "html": html})
            took = time.monotonic() - began
            await asyncio.sleep(min(MOST_SECONDS, max(LEAST_SECONDS, 3 * took)))
