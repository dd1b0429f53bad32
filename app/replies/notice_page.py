"""The page behind a notice's link: what it says, and what its reader may do about it. No sign-in.

A request for help is taken and closed there; of people who have not answered it names all, and records what they said.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.kernel.errors import MusterError
from app.kernel.house import House
from app.replies import help_requests, silent
from app.replies.own_words import words_of
from app.web.forms import Form
from app.web.templating import page, see

NONCE_SECONDS = 12 * 3600

PRESS_AGAIN = "This page was open for a long time, so nothing was done yet. Press the button once more."
SAY_WHAT = "Write in a few words what was done, then press the button again."


async def show(
    request: Request, session: AsyncSession, house: House, token: str, notice: RowMapping,
    *, problem: str = "", status: int = 200,
) -> HTMLResponse:  # fmt: skip
    """Changes nothing: link scanners fetch it before people do."""
    asked = []
    if notice["kind"] == help_requests.KIND:
        asked = [
            dict(entry) | {"words": words_of(entry["words"])}
            for entry in await help_requests.asked(session, notice["abouts"])
        ]
    unanswered = []
    if notice["kind"] == silent.KIND:
        unanswered = [dict(entry) for entry in await silent.of_notice(session, notice["notice_id"])]
    return page(
        request, "notice.html", status=status, token=token, n=notice, asked=asked, silent=unanswered, problem=problem,
        nonce=house.signer.nonce("notice", str(notice["id"]), house.clock.now()),
    )  # fmt: skip


async def act(
    request: Request, session: AsyncSession, house: House, token: str, notice: RowMapping, form: Form
) -> Response:
    """Does what was pressed for one of those whom the notice is about, in the name of the person whose link it is."""
    now = house.clock.now()
    if not house.signer.nonce_ok("notice", str(notice["id"]), form.text("nonce"), now, NONCE_SECONDS):
        return await show(request, session, house, token, notice, problem=PRESS_AGAIN, status=409)
    if notice["kind"] == silent.KIND:
        return await _answered(request, session, house, token, notice, form)
    wanted = form.text("request")
    if notice["kind"] != help_requests.KIND or wanted not in {str(about) for about in notice["abouts"]}:
        return await show(request, session, house, token, notice, problem=PRESS_AGAIN, status=422)
    actor = await access.account_of(session, house.clock, person=notice["employee_id"], name=notice["name"])
    owner = form.text("owner") if form.has("owner") else None
    try:
        if form.text("do") in ("take", "take_over"):
            await help_requests.take(session, house, actor, notice["key"], int(wanted), told=True, owner=owner)
        elif not form.text("outcome"):
            return await show(request, session, house, token, notice, problem=SAY_WHAT, status=422)
        else:
            await help_requests.close(
                session,
                house,
                actor,
                notice["key"],
                int(wanted),
                outcome=form.text("outcome"),
                told=True,
                owner=owner,
            )
    except MusterError as error:
        return await show(request, session, house, token, notice, problem=error.detail, status=error.status)
    return see(f"/a/{token}#help-{wanted}")


async def _answered(
    request: Request, session: AsyncSession, house: House, token: str, notice: RowMapping, form: Form
) -> Response:
    """Records what one of the silent said."""
    wanted = form.text("delivery")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
        return await show(request, session, house, token, notice, problem=PRESS_AGAIN, status=422)
    actor = await access.account_of(session, house.clock, person=notice["employee_id"], name=notice["name"])
    try:
        await silent.record(
            session, house, actor, notice_id=notice["notice_id"], delivery_id=int(wanted),
            response=form.text("response"), via=form.text("via"), note=form.text("note"),
            had=form.text("had") if form.has("had") else None,
        )  # fmt: skip
    except MusterError as error:
        return await show(request, session, house, token, notice, problem=error.detail, status=error.status)
    return see(f"/a/{token}#p-{wanted}")
