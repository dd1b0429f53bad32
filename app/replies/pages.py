"""The staff page: what a person who got a message opens, reads and answers on. No sign-in, no script, no cookie."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.api import HouseDep
from app.deliveries.models import RESPONSES
from app.deliveries.responses import HELP, Act
from app.kernel.errors import NotFound
from app.kernel.house import House
from app.replies import help_requests, notice_page, reports, service, staff
from app.replies.models import NewReport
from app.replies.parse import as_words
from app.web.forms import read_form
from app.web.templating import page, see

router = APIRouter()

NONCE_SECONDS = 12 * 3600
MAX_NOTE = 2000

PRESS_AGAIN = "This page was open for a long time, so your answer was not taken yet. Press your answer once more."
NOTHING_ASKED = "Thank you. You don't need to answer this."
PRESS_ONE = "Press one of the three buttons, or write something to the incident team."
PRESS_HELP = "Press the button if you need help, or write something to the incident team."
TOO_LONG = f"Your text is longer than {MAX_NOTE} characters, so nothing was sent. Shorten it and press again."

Token = Annotated[str, Path(max_length=100)]


@router.api_route("/a/{token}", methods=["GET", "HEAD"])
async def staff_page(
    token: Token,
    request: Request,
    house: HouseDep,
    said: Annotated[str, Query(max_length=5)] = "",
    thanks: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Shows; changes nothing. Link scanners and previews fetch it before people do."""
    async with house.db.begin() as session:
        if notice := await _notice(session, house, token):
            return (
                await notice_page.show(request, session, house, token, notice) if notice["active"] else _gone(request)
            )
        delivery = await _delivery(session, house, token)
        if not delivery["active"]:
            return _gone(request)
        return await _page(request, session, house, token, delivery, said=bool(said), thanks=bool(thanks))


@router.post("/a/{token}")
async def answer(token: Token, request: Request, house: HouseDep) -> Response:
    """Records what a person pressed and wrote, then shows the page again with it."""
    form = await read_form(request)
    response, note = form.text("response"), form.text("note")
    now = house.clock.now()
    async with house.db.begin() as session:
        if notice := await _notice(session, house, token):
            if not notice["active"]:
                return _gone(request)
            return await notice_page.act(request, session, house, token, notice, form)
        delivery = await _delivery(session, house, token)
        if not delivery["active"]:
            return _gone(request)

        async def again(problem: str, status: int) -> HTMLResponse:
            return await _page(request, session, house, token, delivery, problem=problem, note=note, status=status)

        if not house.signer.nonce_ok("staff", str(delivery["id"]), form.text("nonce"), now, NONCE_SECONDS):
            return await again(PRESS_AGAIN, 409)
        if response not in (*RESPONSES, "") or not (response or note):
            return await again(PRESS_ONE if delivery["asks"] else PRESS_HELP, 422)
        if len(note) > MAX_NOTE:
            return await again(TOO_LONG, 422)
        if response and not staff.answered_just_now(delivery, response, now):
            actor = f"person:{delivery['person_id']}"
            await service.take_answer(session, house, delivery["id"], Act(response, "page", now), actor=actor)
        if note and not await staff.said_just_now(session, delivery, note, now):
            words = as_words(note)
            # Whoever presses "I need help" has asked for it: their words go with it, and nobody need wonder.
            maybe_help = words.maybe_help and response != "need_help"
            said = NewReport(note, "page", delivery["incident_id"], delivery["person_id"])
            said = replace(said, maybe_help=maybe_help, maybe_stop=words.maybe_stop)
            await reports.add(session, house, said, key=delivery["key"])
        thanks = not (note or delivery["asks"] or response == HELP)
    return see(f"/a/{token}{'?said=1' if note else '?thanks=1' if thanks else ''}#answer")


async def _delivery(session: AsyncSession, house: House, token: str) -> RowMapping:
    """The delivery that a link stands for. Raises NotFound for one that is not ours."""
    delivery_id = house.signer.delivery_id(token)
    found = await staff.find(session, delivery_id) if delivery_id is not None else None
    if found is None:
        raise NotFound("This link does not lead to a message. It may have been cut off when it was copied.")
    return found


async def _notice(session: AsyncSession, house: House, token: str) -> RowMapping | None:
    """The notice that a link stands for, if it is one's."""
    delivery_id = house.signer.delivery_id(token)
    return await help_requests.notice(session, delivery_id) if delivery_id is not None else None


async def _page(
    request: Request, session: AsyncSession, house: House, token: str, delivery: RowMapping,
    *, said: bool = False, thanks: bool = False, problem: str = "", note: str = "", status: int = 200,
) -> HTMLResponse:  # fmt: skip
    return page(
        request,
        "staff.html",
        status=status,
        token=token,
        nonce=house.signer.nonce("staff", str(delivery["id"]), house.clock.now()),
        staff=await staff.show(session, house, delivery),
        d=delivery,
        said=said,
        thanks=NOTHING_ASKED if thanks else "",
        problem=problem,
        note=note,
        most=MAX_NOTE,
    )


def _gone(request: Request) -> HTMLResponse:
    """For whoever has left: nothing about the incident, not even that there is one."""
    return page(request, "staff_gone.html", status=410)
