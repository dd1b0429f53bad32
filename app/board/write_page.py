"""Write the next bulletin: its stage, the facts as they stand now, and who is told. Answers with the preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import Posted, Visit, posting, visiting
from app.board import page_facts, page_reads, page_words
from app.board.page_view import DONE
from app.bulletins import service as bulletins
from app.bulletins import whom
from app.directory import service as directory
from app.incidents import service as incidents
from app.kernel.errors import Conflict, FieldError, MusterError
from app.kernel.house import House
from app.kernel.ids import new_secret
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import STAGES, Playbook
from app.web.forms import Form
from app.web.idempotency import once
from app.web.inputs import Text
from app.web.templating import page, see

router = APIRouter()

Drafting = Annotated[Visit, Depends(visiting(Action.DRAFT))]
Drafted = Annotated[Posted, Depends(posting(Action.DRAFT))]

USED_BEFORE = "This form has written a bulletin already, with other words. To write another, press the button again."


@router.get("/incidents/{key}/bulletins/new")
async def write(
    key: Text, request: Request, house: HouseDep, visit: Drafting,
    like: Annotated[int | None, Query(ge=1, le=1_000_000)] = None, done: Annotated[Text, Query(max_length=20)] = "",
) -> HTMLResponse:  # fmt: skip
    """`like` begins from an earlier bulletin of this incident instead of from what was told last."""
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        if incident["closed_at"] is not None:
            raise Conflict(f"{key} is closed; nothing more can be sent under it.")
        playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
        before = await bulletins.get(session, incident["id"], like) if like else None
        facts = before["facts"] if before else incident["facts"]
        raw = page_facts.raw_values(playbook, _fresh(playbook, facts, incident, house), house.zone)
        start = Form(
            {
                "stage": [before["stage"] if before else _stage(incident["status"])],
                "audience": list(before["audiences"] if before else playbook.audiences),
            }
        )
        return await _form(
            request, session, house, visit, incident, playbook, start, raw=raw, message=DONE.get(done, "")
        )


def _stage(status: str) -> str:
    """The stage that fits a status; before anything is known it is the first."""
    return status if status in STAGES else STAGES[0]


def _fresh(playbook: Playbook, facts: Mapping[str, Any], incident: RowMapping, house: House) -> dict[str, Any]:
    """The facts with times that must lie ahead and no longer do moved on by the cadence of the severity."""
    now = house.clock.now()
    level = playbook.model_copy(update={"default_severity": incident["severity"]})
    ahead = fact_rules.examples(level, sites=(), now=now)
    passed = {problem.name for problem in fact_rules.latest_passed(playbook, facts, zone=house.zone, now=now)}
    return {name: ahead[name] if name in passed else value for name, value in facts.items()}


async def _form(
    request: Request, session: AsyncSession, house: House, visit: Visit, incident: RowMapping, playbook: Playbook,
    form: Form, *, raw: page_facts.Raw, errors: Sequence[FieldError] = (), message: str = "", status: int = 200,
) -> HTMLResponse:  # fmt: skip
    sites = await directory.sites(session)
    now = house.clock.now()
    fields = page_facts.fields(
        playbook, raw, sites=list(sites), zone=house.zone, now=now, errors=errors,
        examples=fact_rules.examples(playbook, sites=list(sites), now=now),
    )  # fmt: skip
    names = {f"facts.{field.name}" for field in fields}
    chosen = form.all("audience")
    good, _ = fact_rules.validate_facts(
        playbook, page_facts.given(playbook, raw, zone=house.zone, now=now), sites=list(sites), now=now, partial=True
    )
    sent = await bulletins.of_incident(session, incident["id"])
    audiences = []
    for name, audience in playbook.audiences.items():
        expected = await page_reads.expected(
            session,
            specs=whom.audience_specs(playbook, [name], good),
            ladder=playbook.channels_for(incident["severity"]),
            channels=house.channels,
            countries=house.countries,
        )
        audiences.append({"name": name, "label": audience.label, "chosen": name in chosen, "people": expected.total})
    return page(
        request,
        "write.html",
        status=status,
        visit=visit,
        incident=dict(incident),
        playbook=playbook,
        fields=fields,
        sites=sites,
        stages=[{"name": name, "means": page_words.STAGES[name]} for name in STAGES],
        stage=form.text("stage"),
        audiences=audiences,
        last_sent=max((entry["number"] for entry in sent if entry["sent_at"]), default=None),
        corrects=form.text("corrects"),
        form_key=form.text("form") or new_secret(),
        errors=[entry for entry in errors if entry.field not in names],
        audience_error=next((entry.message for entry in errors if entry.field == "audiences"), ""),
        message=message,
        words=page_words,
    )


@router.post("/incidents/{key}/bulletins/new")
async def draft(key: Text, request: Request, house: HouseDep, posted: Drafted) -> Response:
    form = posted.form
    now = house.clock.now()
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
    raw = page_facts.raw_form(playbook, form)
    given = page_facts.given(playbook, raw, zone=house.zone, now=now)
    wanted: dict[str, Any] = {"stage": form.text("stage"), "facts": given, "audiences": form.all("audience")}
    if form.text("corrects").isdecimal():
        wanted["corrects"] = int(form.text("corrects")[:7])
    try:
        async with house.db.begin() as session:

            async def do() -> dict[str, Any]:
                return await bulletins.draft(session, house, posted.actor, key, **wanted)

            made = await once(
                session, key=form.text("form") or new_secret(), account_id=posted.actor.account_id,
                operation=f"page:draft:{key}", body=wanted, now=now, do=do,
            )  # fmt: skip
    except MusterError as error:
        used = any(entry.field == "Idempotency-Key" for entry in error.errors)
        fresh = Form(form.values | {"form": [new_secret()]})
        async with house.db.begin() as session:
            return await _form(
                request, session, house, posted.visit, incident, playbook, fresh, raw=raw,
                errors=() if used else error.errors, message=USED_BEFORE if used else _summary(error),
                status=error.status,
            )  # fmt: skip
    return see(f"/incidents/{key}/bulletins/{made['number']}")


def _summary(error: MusterError) -> str:
    if error.errors:
        many = len(error.errors)
        return f"Nothing was written yet: {many} {'thing needs' if many == 1 else 'things need'} correcting."
    return error.detail
