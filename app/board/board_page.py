"""The incident's board: one page that answers who knows, who needs help and who cannot be reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import Posted, Reading, Visit, posting
from app.board import page_view, page_words
from app.board.page_view import DONE, Filters
from app.incidents import service as incidents
from app.incidents import versions
from app.kernel.errors import Changed, Conflict, FieldError, Invalid, MusterError
from app.kernel.house import House
from app.replies import help_requests
from app.web.etags import seen_on_page
from app.web.forms import Form
from app.web.inputs import Text
from app.web.templating import page, see

router = APIRouter()

NO_ALL_CLEAR = "No all-clear has gone out yet. Write it first, or close without it and say why."

Changing = Annotated[Posted, Depends(posting(Action.CHANGE_INCIDENT))]
Helping = Annotated[Posted, Depends(posting(Action.TAKE_HELP))]
RequestId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("/incidents/{key}")
async def board(
    key: Text, request: Request, house: HouseDep, visit: Reading, done: Annotated[Text, Query(max_length=20)] = ""
) -> HTMLResponse:
    return await _page(request, house, visit, key, message=DONE.get(done, ""))


async def _page(
    request: Request, house: House, visit: Visit, key: str,
    *, message: str = "", refusal: MusterError | None = None, form: Form | None = None, about: str = "",
) -> HTMLResponse:  # fmt: skip
    """The whole board. `about` names the form that was refused; it keeps what was typed."""
    filters = Filters.of_request(request)
    async with house.db.begin() as session:
        context = await page_view.load(session, house, visit, key, filters)
    return page(
        request,
        "board.html",
        status=refusal.status if refusal else 200,
        **context
        | {
            "message": message,
            "refusal": refusal,
            "errors": _errors(refusal),
            "form": form or Form(),
            "about": about,
            # A form that was refused for something else still knows only what its page showed.
            "seen": (form.text("seen") if form and refusal and not isinstance(refusal, Changed) else "")
            or context["incident"]["position"],
            "query": filters.query(after=filters.after),
        },
    )


def _errors(refusal: MusterError | None) -> dict[str, str]:
    return {entry.field: entry.message for entry in refusal.errors} if refusal else {}


@router.post("/incidents/{key}/change")
async def change(key: Text, request: Request, house: HouseDep, posted: Changing) -> Response:
    """Status and severity, with a reason. What stands in the form as it was shown is not a change."""
    form = posted.form
    status, severity = _chosen(form, "status"), _chosen(form, "severity")
    try:
        async with house.db.begin() as session:
            incident = await incidents.get(session, key)
            if not form.has("seen"):
                status = None if status == incident["status"] else status
                severity = None if severity == incident["severity"] else severity
            if status is None and severity is None:
                raise Invalid("Nothing was changed.", [FieldError("status", "choose another status or severity")])
            await incidents.change(
                session, house, posted.actor, key, status=status, severity=severity, commander=None,
                reason=form.text("reason"), accept_open_help=False, seen=seen_on_page(form.text("seen")),
            )  # fmt: skip
    except MusterError as error:
        # What was not chosen anew comes back as it stands now.
        kept = Form(form.values | {"status": [status or ""], "severity": [severity or ""]})
        return await _refused(request, house, replace(posted, form=kept), key, error, "change")
    return see(f"/incidents/{key}?done=changed")


def _chosen(form: Form, name: str) -> str | None:
    """What was chosen in this field; None when it is what the form showed."""
    chosen = form.text(name)
    return chosen if chosen and chosen != form.text(f"was_{name}") else None


@router.post("/incidents/{key}/close")
async def close(key: Text, request: Request, house: HouseDep, posted: Changing) -> Response:
    """Ends the incident for good, and leads to its review.

    With open help requests only when that is said of as many as there are, and without an all-clear to those who were
    told only when that is said.
    """
    form = posted.form
    try:
        async with house.db.begin() as session:
            incident = await incidents.get(session, key, lock=True)
            seen = seen_on_page(form.text("seen"))
            # What changed meanwhile is said first: it may be why there is something to ask at all.
            closed = incident["closed_at"] is not None
            await versions.hold(
                session, key, seen, versions.INCIDENT, actor=posted.actor, doing=incidents.CHANGES, done=closed
            )
            if incidents.all_clear_missing(incident) and not form.text("without_all_clear"):
                raise Conflict(NO_ALL_CLEAR)
            asked = f"{incident['open_help']}/{incident['possible_help']}"
            accepted = bool(form.text("accept_open_help")) and form.text("open_help") in ("", asked)
            if incident["possible_help"] and not accepted and not closed:
                raise Conflict(_still_open(incident["open_help"], incident["possible_help"]))
            await incidents.change(
                session, house, posted.actor, key, status="closed", severity=None, commander=None,
                reason=form.text("reason"), accept_open_help=accepted, seen=seen,
            )  # fmt: skip
    except MusterError as error:
        return await _refused(request, house, posted, key, error, "close")
    return see(f"/incidents/{key}/review?done=closed")


@router.post("/incidents/{key}/help/{request_id}/take")
async def take(key: Text, request_id: RequestId, request: Request, house: HouseDep, posted: Helping) -> Response:
    try:
        async with house.db.begin() as session:
            await help_requests.take(session, house, posted.actor, key, request_id, owner=_owner(posted.form))
    except MusterError as error:
        return await _refused(request, house, posted, key, error, f"help-{request_id}")
    return see(f"/incidents/{key}?done=taken#part-help")


@router.post("/incidents/{key}/help/{request_id}/close")
async def helped(key: Text, request_id: RequestId, request: Request, house: HouseDep, posted: Helping) -> Response:
    try:
        async with house.db.begin() as session:
            await help_requests.close(
                session,
                house,
                posted.actor,
                key,
                request_id,
                outcome=posted.form.text("outcome"),
                owner=_owner(posted.form),
            )
    except MusterError as error:
        return await _refused(request, house, posted, key, error, f"help-{request_id}")
    return see(f"/incidents/{key}?done=helped#part-help")


def _owner(form: Form) -> str | None:
    return form.text("owner") if form.has("owner") else None


async def _refused(
    request: Request, house: House, posted: Posted, key: str, error: MusterError, about: str
) -> HTMLResponse:
    if error.status in (401, 403, 404):
        raise error
    return await _page(request, house, posted.visit, key, refusal=_plain(error), form=posted.form, about=about)


def _plain(error: MusterError) -> MusterError:
    """The refusal without the API's words."""
    if isinstance(error, Changed):
        return Changed(page_words.CHANGED, **error.extra)
    open_help: Any = error.extra.get("open_help_requests")
    if open_help:
        return type(error)(_still_open(open_help, error.extra.get("possible_help", 0)))
    return error


def _still_open(open_help: int, possible_help: int) -> str:
    still = page_words.still_open(open_help, possible_help)
    return f"{still} Deal with each first, or tick the box to close the incident anyway."
