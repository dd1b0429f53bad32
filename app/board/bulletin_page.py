"""A bulletin as people will see it, whom it reaches and whom not, and only then the buttons: approve, send, cancel."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping

from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import Posted, Reading, Visit, posting
from app.board import page_words
from app.bulletins import service as bulletins
from app.bulletins import writing
from app.bulletins.api import Number
from app.deliveries import sending
from app.incidents import service as incidents
from app.kernel.errors import Changed, MusterError
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.playbooks.schema import Playbook
from app.web.etags import Seen, seen_on_page
from app.web.forms import Form
from app.web.inputs import Text
from app.web.templating import page, see

router = APIRouter()

Approving = Annotated[Posted, Depends(posting(Action.APPROVE))]
Sending = Annotated[Posted, Depends(posting(Action.SEND))]
Cancelling = Annotated[Posted, Depends(posting(Action.CANCEL))]

NAMED = 50
"""How many of the unreachable are named before a count stands for the rest."""


@router.get("/incidents/{key}/bulletins/{number}")
async def preview(key: Text, number: Number, request: Request, house: HouseDep, visit: Reading) -> HTMLResponse:
    return await _page(request, house, visit, key, number)


async def _page(
    request: Request,
    house: House,
    visit: Visit,
    key: str,
    number: int,
    *,
    refusal: MusterError | None = None,
    ask_first: bool = False,
) -> HTMLResponse:
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        row = await bulletins.get(session, incident["id"], number)
        shown = await bulletins.show(session, house, incident, row)
        playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
        written = await bulletins.of_incident(session, incident["id"])
        others = [entry for entry in await writing.now(session, house, incident["id"]) if entry.number != number]
    rule = playbook.approval(incident["severity"])
    recipients = shown["recipients"]
    drill, total = incident["drill"], recipients["total"]
    to_nobody = any(note["message"] == bulletins.NOBODY_TOLD for note in shown["notes"])
    words = page_words.send_button(recipients["by_channel"], total, drill=drill)
    button = "Send it, to nobody" if to_nobody else words
    return page(
        request,
        "bulletin.html",
        status=refusal.status if refusal else 200,
        visit=visit,
        incident=dict(incident),
        bulletin=shown,
        audiences=_audiences(playbook, shown, house),
        firsts=[(name, count) for name in page_words.CHANNELS if (count := recipients["by_channel"].get(name))],
        general=[entry for entry in _problems(shown) if not entry["audience"]],
        reasons=Counter(entry["reason"] for entry in recipients["unreachable"]).most_common(),
        unreachable=recipients["unreachable"][:NAMED],
        unreachable_more=max(0, len(recipients["unreachable"]) - NAMED),
        button=button,
        approvers=page_words.roles(shown["approvals"]["roles"], last="and" if rule.roles else "or"),
        other_person=rule.other_person,
        own=row["created_by"] == visit.actor.account_id,
        role_counts=not rule.roles or visit.actor.role == "admin" or visit.actor.role in rule.roles,
        newest=max(entry["number"] for entry in written),
        writing=others if incident["closed_at"] is None and row["sent_at"] is None else [],
        next_number=max(entry["number"] for entry in written) + 1,
        me=visit.actor.account_id,
        many=total > house.confirm_above and not to_nobody,
        refusal=refusal,
        ask_first=ask_first,
        over=_is_over(visit, incident, row),
        all_clear_missing=incidents.all_clear_missing(incident),
        form=Form(),
        about="",
        words=page_words,
    )


def _is_over(visit: Visit, incident: RowMapping, bulletin: RowMapping) -> bool:
    """Whether this is the all-clear that went out last, and the visitor may end the incident."""
    sent = bulletin["state"] == "sent" and not incidents.all_clear_missing(incident)
    last = bulletin["sent_at"] == incident["last_sent_at"]
    return sent and last and incident["closed_at"] is None and visit.may("change_incident")


def _problems(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Errors, then warnings, each with the audience and channel whose words it is about."""
    found = []
    for level in ("errors", "warnings"):
        for entry in shown[level]:
            audience, _, rest = entry["where"].partition(".")
            known = audience in shown["audiences"]
            found.append(
                {
                    "level": level[:-1],
                    "message": entry["message"],
                    "audience": audience if known else None,
                    "channel": rest.split(".")[0] if known else None,
                    "where": "" if known else _place(entry["where"]),
                }
            )
    return found


def _place(where: str) -> str:
    """What a finding is about, in the words of the form."""
    name = where.removeprefix("facts.").replace("_", " ")
    return {
        "bulletin": "This bulletin",
        "audiences": "Who is told",
        "ladder": "The ladder",
        "estimate": "",
        "channels": "",
    }.get(where, name.capitalize())


def _audiences(playbook: Playbook, shown: dict[str, Any], house: House) -> list[dict[str, Any]]:
    """Each audience's messages by channel and language, with the problems of their words."""
    problems = _problems(shown)
    found = []
    for name in shown["audiences"]:
        label = playbook.audiences[name].label if name in playbook.audiences else name
        mine = [entry for entry in problems if entry["audience"] == name]
        languages: dict[str, dict[str, Any]] = {}
        for message in shown["messages"]:
            if message["audience"] == name:
                languages.setdefault(message.get("language", ""), {})[message["channel"]] = message
        found.append(
            {
                "name": name,
                "label": label,
                "problems": mine,
                "languages": [
                    {"tag": tag or playbook.language, "own": not tag, **each} for tag, each in languages.items()
                ],
                "voice_here": "voice" in house.channels,
            }
        )
    return found


@router.post("/incidents/{key}/bulletins/{number}/approve")
async def approve(key: Text, number: Number, request: Request, house: HouseDep, posted: Approving) -> Response:
    try:
        async with house.db.begin() as session:
            await bulletins.approve(
                session,
                house,
                posted.actor,
                key,
                number,
                accept_warnings=bool(posted.form.text("accept_warnings")),
                seen=_seen(posted),
            )
    except MusterError as error:
        return await _refused(request, house, posted.visit, key, number, error)
    return see(f"/incidents/{key}/bulletins/{number}#decide")


@router.post("/incidents/{key}/bulletins/{number}/send")
async def send(key: Text, number: Number, request: Request, house: HouseDep, posted: Sending) -> Response:
    try:
        async with house.db.begin() as session:
            # A second press changes nothing.
            await sending.send(
                session, house, posted.actor, key, number, confirm=bool(posted.form.text("confirm")), seen=_seen(posted)
            )
    except MusterError as error:
        return await _refused(request, house, posted.visit, key, number, error)
    return see(f"/incidents/{key}?done=sent")


@router.post("/incidents/{key}/bulletins/{number}/cancel")
async def cancel(key: Text, number: Number, request: Request, house: HouseDep, posted: Cancelling) -> Response:
    if not posted.form.text("sure"):  # a page that is older than the question
        return await _page(request, house, posted.visit, key, number, ask_first=True)
    try:
        async with house.db.begin() as session:
            await sending.cancel(session, house, posted.actor, key, number, seen=_seen(posted))
    except MusterError as error:
        return await _refused(request, house, posted.visit, key, number, error)
    return see(f"/incidents/{key}?done=cancelled")


def _seen(posted: Posted) -> Seen | None:
    return seen_on_page(posted.form.text("seen"))


async def _refused(
    request: Request, house: House, visit: Visit, key: str, number: int, error: MusterError
) -> HTMLResponse:
    """The same page with the reason on top, so that what to do next is at hand."""
    if error.status in (401, 404):
        raise error
    if isinstance(error, Changed):
        error = Changed(page_words.CHANGED, **error.extra)
    return await _page(request, house, visit, key, number, refusal=error)
