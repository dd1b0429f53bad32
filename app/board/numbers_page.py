"""Contact details to fix: whose number the network refused, who texted STOP, and what can be done about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.api import HouseDep
from app.access.matrix import Action, Actor
from app.access.pages import Posted, Reading, Visit, posting
from app.board import page_words
from app.directory import service as directory
from app.directory.folding import fold
from app.kernel.errors import MusterError
from app.kernel.house import House
from app.replies import opt_outs
from app.web.forms import Form
from app.web.inputs import Text
from app.web.templating import page, see

router = APIRouter()

Retrying = Annotated[Posted, Depends(posting(Action.RETRY_NUMBERS))]

Opting = Annotated[Posted, Depends(posting(Action.OPT_OUT_FOR))]
ReportId = Annotated[int, Path(ge=1, le=2**62)]
Change = Callable[[AsyncSession, House, Actor, str, str, str], Awaitable[dict[str, Any]]]

DONE = {
    "retried": "The flag is lifted. The next message uses this number again.",
    "opted_out": "Opted out. Your name and reason are kept.",
    "opted_in": "Opted in again. Your name and reason are kept.",
    "kept": "Noted: they still get texts.",
}
STOPS = 50
"""Possible opt-outs on the page."""

LIST = 200
"""People on one page; beyond that, a link leads on."""


@router.get("/people/numbers")
async def numbers(
    request: Request, house: HouseDep, visit: Reading,
    department: Annotated[Text, Query(max_length=200)] = "",
    after: Annotated[Text | None, Query(max_length=200)] = None,
    done: Annotated[Text, Query(max_length=20)] = "",
) -> HTMLResponse:  # fmt: skip
    return await _page(request, house, visit, department=department, after=after, message=DONE.get(done, ""))


@router.post("/people/numbers/retry")
async def retry(request: Request, house: HouseDep, posted: Retrying) -> Response:
    """The network was wrong: the number is used again. The form names `person` and `kind` of contact point."""
    form = posted.form
    try:
        async with house.db.begin() as session:
            await directory.retry_contact_point(
                session, house.clock, posted.actor, form.text("person"), form.text("kind"), since=form.text("since")
            )
    except MusterError as error:
        if error.status not in (409, 412):
            raise
        return await _page(request, house, posted.visit, department="", after=None, refusal=error)
    return see("/people/numbers?done=retried")


@router.post("/people/numbers/opt-out")
async def opt_out(request: Request, house: HouseDep, posted: Opting) -> Response:
    """An address is opted out on its holder's behalf. The form names `person`, `kind` and `reason`."""
    return await _opt(request, house, posted, opt_outs.opt_out, "opted_out")


@router.post("/people/numbers/opt-in")
async def opt_in(request: Request, house: HouseDep, posted: Opting) -> Response:
    """An opt-out that was recorded here is undone."""
    return await _opt(request, house, posted, opt_outs.opt_in, "opted_in")


@router.post("/people/numbers/keep/{report_id}")
async def keep(report_id: ReportId, house: HouseDep, posted: Opting) -> Response:
    """A report meant no opt-out."""
    async with house.db.begin() as session:
        await opt_outs.keep_texting(session, house, posted.actor, report_id)
    return see("/people/numbers?done=kept")


async def _opt(request: Request, house: House, posted: Posted, change: Change, done: str) -> Response:
    form = posted.form
    try:
        async with house.db.begin() as session:
            await change(session, house, posted.actor, form.text("person"), form.text("kind"), form.text("reason"))
    except MusterError as error:
        if error.status in (401, 403):
            raise
        return await _page(request, house, posted.visit, department="", after=None, refusal=error, form=form)
    return see(f"/people/numbers?done={done}")


async def _page(
    request: Request, house: House, visit: Visit,
    *, department: str, after: str | None, message: str = "", refusal: MusterError | None = None,
    form: Form | None = None,
) -> HTMLResponse:  # fmt: skip
    chosen = visit.actor.department or department or None
    async with house.db.begin() as session:
        counts = await directory.flagged_counts(session, visit.actor.department)
        stops, stops_total = await opt_outs.waiting(session, visit.actor, limit=STOPS)
        found, more = await directory.flagged_people(
            session, department=chosen, after=after, limit=LIST, channels=house.channels, countries=house.countries
        )
    here = [entry for entry in counts if chosen is None or fold(entry["department"]) == fold(chosen)]
    people = [_shown(entry, visit) for entry in found]
    return page(
        request,
        "numbers.html",
        status=refusal.status if refusal else 200,
        visit=visit,
        stops=stops,
        stops_total=stops_total,
        form=form or Form(),
        words=page_words,
        groups=[(name, list(members)) for name, members in groupby(people, key=lambda entry: entry["department"])],
        to_mend=sum(entry["to_mend"] for entry in here),
        opted_out=sum(entry["opted_out"] for entry in here),
        department=chosen,
        departments=[] if visit.actor.department else [entry["department"] for entry in counts],
        more=more,
        message=message,
        refusal=refusal,
    )


def _shown(entry: RowMapping, visit: Visit) -> dict[str, Any]:
    """One person as the page shows them; addresses as the visitor may see them."""
    show = page_words.spaced if visit.may("read_addresses") else directory.mask
    mine: Sequence[Mapping[str, Any]] = entry["flagged"]
    flagged = [
        {
            "kind": page_words.CONTACT_KINDS[flag["kind"]],
            "shown": show(flag["address"]),
            "wrong": page_words.wrong_with(flag["kind"], flag["reason"], flag["channels"], flag["by"]),
            "since": flag["since"],
            # Once for each number, whatever the network said of it.
            "undo": flag["kind"] if flag["reason"] == "opted_out" and flag["by"] else None,
            "retry": flag["kind"] if _first_refusal(mine, flag) else None,
        }
        for flag in mine
    ]
    left = page_words.ways_left(entry["routes"], {flag["address"] for flag in mine})
    return {**entry, "flagged": flagged, "left": left}


def _first_refusal(flags: Sequence[Mapping[str, Any]], flag: Mapping[str, Any]) -> bool:
    return flag is next((f for f in flags if f["kind"] == flag["kind"] and f["reason"] != "opted_out"), None)


async def to_mend(session: AsyncSession, visit: Visit) -> str:
    """`3 contact details to fix` of those that the visitor may fix or see to; '' when there are none."""
    counts = await directory.flagged_counts(session, visit.actor.department)
    return page_words.numbers_to_mend(
        sum(entry["to_mend"] for entry in counts), sum(entry["opted_out"] for entry in counts)
    )
