"""Who has not answered, in full: the list with its search, answers recorded for somebody, the sheet to call from."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import Posted, Reading, Visit, posting
from app.board import page_reads, page_view, page_words, service
from app.board.page_view import Filters
from app.bulletins import service as bulletins
from app.bulletins.api import Number
from app.directory import service as directory
from app.incidents import service as incidents
from app.kernel.errors import Changed, Conflict, FieldError, Invalid, MusterError
from app.kernel.house import House
from app.replies import behalf, reports
from app.web import time_field
from app.web.forms import Form
from app.web.inputs import Text
from app.web.templating import page, see

router = APIRouter()

Recording = Annotated[Posted, Depends(posting(Action.ACKNOWLEDGE_FOR))]

LIST = 100
SHEET = 2000
"""The most people on one call sheet; beyond that, one department at a time."""


@router.get("/incidents/{key}/people")
async def people(
    key: Text, request: Request, house: HouseDep, visit: Reading, done: Annotated[Text, Query(max_length=20)] = ""
) -> HTMLResponse:
    filters = Filters.of_request(request)
    return await _page(request, house, visit, key, filters, message=page_view.DONE.get(done, ""))


async def _page(
    request: Request, house: House, visit: Visit, key: str, filters: Filters,
    *, message: str = "", refusal: MusterError | None = None, form: Form | None = None, about: str = "",
) -> HTMLResponse:  # fmt: skip
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        number = await _number(session, incident["id"], filters)
        board = await service.board(session, key, number)
        bulletin = await bulletins.get(session, incident["id"], number)
        found, more = await page_view.list_people(session, visit, key, bulletin, filters, LIST)
    return page(
        request,
        "people.html",
        status=refusal.status if refusal else 200,
        visit=visit,
        incident=dict(incident),
        open=incident["closed_at"] is None,
        bulletin=dict(bulletin),
        filters=filters,
        people=found,
        more=more,
        listed=page_view.how_many(board, visit.actor.department or filters.department, filters),
        departments=[{"name": name} for name in board["by_department"]],
        here="people",
        message=message,
        refusal=refusal,
        errors={entry.field: entry.message for entry in refusal.errors} if refusal else {},
        form=form or Form(),
        # A form that was refused for something else still knows only the answer that its page showed.
        kept_had=form.text("had") if form and form.has("had") and not isinstance(refusal, Changed) else None,
        about=about,
        now_field=time_field.of_moment(house.clock.now(), house.zone),
        typed_at=time_field.of_typed(time_field.typed(form, "at"), house.zone) if form and form.has("at") else None,
        words=page_words,
    )


async def _number(session: AsyncSession, incident_id: int, filters: Filters) -> int:
    """The bulletin that is looked at: the one asked for if it was sent, else the last that was."""
    sent = [entry["number"] for entry in await bulletins.of_incident(session, incident_id) if entry["sent_at"]]
    if not sent:
        raise Conflict("No bulletin has been sent yet, so nobody can have answered. Write and send the first one.")
    return next((int(number) for number in sent if number == filters.bulletin), int(sent[-1]))


@router.post("/incidents/{key}/bulletins/{number}/people/{person_id}/answer")
async def answer(
    key: Text, number: Number, person_id: Text, request: Request, house: HouseDep, posted: Recording
) -> Response:
    """What somebody said in person or on the phone, recorded under the name of who heard it."""
    form = posted.form
    filters = Filters.of({name: form.text(name) for name in ("bulletin", "department", "status", "q", "after")})
    try:
        async with house.db.begin() as session:
            at = await _answered_at(session, house, key, number, form)
            await behalf.acknowledge(
                session, house, posted.actor, key, number, person_id, response=form.text("response"),
                via=form.text("via"), at=at, note=form.text("note"),
                had=form.text("had") if form.has("had") else None,
            )  # fmt: skip
    except MusterError as error:
        if error.status in (401, 403, 404):
            raise
        if isinstance(error, Changed):
            # The person may have left the list of those who have not answered: shown alone, with what was typed.
            error = Changed(page_words.CHANGED, **error.extra)
            filters = Filters(number, None, "all", person_id)
        return await _page(request, house, posted.visit, key, filters, refusal=error, form=form, about=person_id)
    query = filters.query(after=filters.after)
    here = "/people" if form.text("here") == "people" else ""
    end = "" if here else "#part-people"
    return see(f"/incidents/{key}{here}{query}{'&' if len(query) > 1 else ''}done=answered{end}")


async def _answered_at(session: AsyncSession, house: House, key: str, number: int, form: Form) -> datetime | None:
    """When they answered, as it was typed; None, which means now, where nobody changed the field.

    The field knows minutes: in the minute of the send it means the send. Raises Invalid.
    """
    typed = time_field.typed(form, "at")
    try:
        text = time_field.read(typed, zone=house.zone, now=house.clock.now())
        if not text or text == typed.was:
            return None
        at = datetime.fromisoformat(text)
    except time_field.TimeProblem as problem:
        raise _wrong_time(str(problem)) from None
    except ValueError:
        raise _wrong_time("is not a time; give day and time, such as 2026-03-02 14:20") from None
    sent = (await bulletins.get(session, (await incidents.get(session, key))["id"], number))["sent_at"]
    same_minute = sent is not None and at <= sent < at + timedelta(minutes=1)
    return sent if same_minute else at


def _wrong_time(what: str) -> Invalid:
    return Invalid("The answer cannot be recorded.", [FieldError("at", what)])


@router.get("/incidents/{key}/call-sheet")
async def call_sheet(key: Text, request: Request, house: HouseDep, visit: Reading) -> HTMLResponse:
    """Who needs help, and then everybody who has not answered, by department, to print and call from."""
    filters = Filters.of_request(request)
    department = visit.actor.department or filters.department
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        number = await _number(session, incident["id"], filters)
        bulletin = await bulletins.get(session, incident["id"], number)
        found = await page_reads.unanswered(session, bulletin, department=department, limit=SHEET)
        everywhere = await directory.departments(session)
        help_open, help_total = await page_reads.open_help(
            session, incident["id"], department=department, limit=page_view.HELP_LIST
        )
        possible, _ = await reports.waiting(session, visit.actor, incident["id"], limit=page_view.HELP_LIST)
    full = visit.actor.may(Action.READ_ADDRESSES)
    listed = []
    for entry in found:
        show = page_words.spaced if full else directory.mask
        listed.append(dict(entry) | {"numbers": [(number, show(number)) for number in entry["numbers"]]})
    return page(
        request,
        "call_sheet.html",
        visit=visit,
        incident=dict(incident),
        bulletin=dict(bulletin),
        filters=filters,
        help=page_view.help_rows(visit, help_open),
        help_total=help_total,
        possible=possible,
        words=page_words,
        groups=[(name, list(members)) for name, members in groupby(listed, key=lambda entry: entry["department"])],
        total=int(found[0]["in_all"]) if found else 0,
        shown_people=len(listed),
        department=department,
        departments=list(everywhere) if visit.actor.department is None else [],
        masked=not full,
    )
