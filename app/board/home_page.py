"""Home: what is going on now, then what is over. Signed out, it says how to sign in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.api import HouseDep
from app.access.pages import MaybeVisit
from app.board import numbers_page, page_chart, page_reads, page_words, service
from app.board.page_view import DONE
from app.incidents import service as incidents
from app.replies import reports
from app.web.inputs import Text
from app.web.templating import page

router = APIRouter()

OPEN_SHOWN = 20
PAST_SHOWN = 20
POSSIBLE_SHOWN = 20
"""Possible calls for help that belong to no incident."""


@router.get("/")
async def home(
    request: Request,
    house: HouseDep,
    visit: MaybeVisit,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    done: Annotated[Text, Query(max_length=20)] = "",
) -> HTMLResponse:
    if visit is None:
        return page(request, "signed_out.html")
    async with house.db.begin() as session:
        going_on = await incidents.page(session, status="open", limit=OPEN_SHOWN)
        due = await incidents.next_due(session, house, going_on)
        told = [await _with_account(session, entry) | {"next_due": due[entry["id"]]} for entry in going_on]
        over = await incidents.page(session, status="closed", before=before, limit=PAST_SHOWN + 1)
        possible, possible_total = await reports.waiting(session, visit.actor, None, limit=POSSIBLE_SHOWN)
        known = await page_reads.people_known(session)
        to_mend = await numbers_page.to_mend(session, visit)
    return page(
        request,
        "home.html",
        visit=visit,
        going_on=told,
        over=[dict(entry) for entry in over[:PAST_SHOWN]],
        older=over[PAST_SHOWN - 1]["id"] if len(over) > PAST_SHOWN else None,
        people_known=known,
        possible=possible,
        possible_total=possible_total,
        message=DONE.get(done, ""),
        to_mend=to_mend,
        words=page_words,
    )


async def _with_account(session: AsyncSession, incident: RowMapping) -> dict[str, Any]:
    board = await service.latest_board(session, incident["key"])
    asks = board is None or board["asks"]
    counts = page_chart.tally(board["counts"] | {"total": board["total"]}, asks=asks) if board else None
    account = page_words.account(counts, incident["open_help"], incident["possible_help"], asks=asks)
    return dict(incident) | {"account": account}
