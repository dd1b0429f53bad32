"""The page behind a notice's link: what it says and, for a request for help, taking and closing it. No sign-in."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.kernel.errors import MusterError
from app.kernel.house import House
from app.replies import help_requests
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
        asked = [dict(entry) for entry in await help_requests.asked(session, notice["abouts"])]
    return page(
        request, "notice.html", status=status, token=token, n=notice, asked=asked, problem=problem,
        nonce=house.signer.nonce("notice", str(notice["id"]), house.clock.now()),
    )  # fmt: skip


async def act(
    request: Request, session: AsyncSession, house: House, token: str, notice: RowMapping, form: Form
) -> Response:
    """Takes or closes one of the requests that the notice is about, in the name of the person whose link it is."""
    now = house.clock.now()
    if not house.signer.nonce_ok("notice", str(notice["id"]), form.text("nonce"), now, NONCE_SECONDS):
        return await show(request, session, house, token, notice, problem=PRESS_AGAIN, status=409)
    wanted = form.text("request")
    if notice["kind"] != help_requests.KIND or wanted not in {str(about) for about in notice["abouts"]}:
        return await show(request, session, house, token, notice, problem=PRESS_AGAIN, status=422)
    actor = await access.account_of(session, house.clock, person=notice["employee_id"], name=notice["name"])
    try:
        if form.text("do") == "take":
            await help_requests.take(session, house, actor, notice["key"], int(wanted), told=True)
        elif not form.text("outcome"):
            return await show(request, session, house, token, notice, problem=SAY_WHAT, status=422)
        else:
            await help_requests.close(
                session, house, actor, notice["key"], int(wanted), outcome=form.text("outcome"), told=True
            )
    except MusterError as error:
        return await show(request, session, house, token, notice, problem=error.detail, status=error.status)
    return see(f"/a/{token}#help-{wanted}")
