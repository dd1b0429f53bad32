"""Write the next bulletin: its stage, the facts as they stand now, and who is told. Answers with the preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import COOKIE, Posted, Visit, posting, visiting
from app.board import live_page, page_facts, page_reads, page_words
from app.board.page_view import DONE
from app.bulletins import service as bulletins
from app.bulletins import whom, writing
from app.directory import service as directory
from app.incidents import service as incidents
from app.kernel.errors import Changed, Conflict, FieldError, MusterError
from app.kernel.house import House
from app.kernel.ids import new_secret
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import STAGES, Playbook
from app.web import sse
from app.web.etags import seen_on_page
from app.web.forms import Form
from app.web.idempotency import UsedBefore, once
from app.web.inputs import Text
from app.web.templating import Shown, page, see

router = APIRouter()

Drafting = Annotated[Visit, Depends(visiting(Action.DRAFT))]
Drafted = Annotated[Posted, Depends(posting(Action.DRAFT))]


@router.get("/incidents/{key}/bulletins/new")
async def write(
    key: Text, request: Request, house: HouseDep, visit: Drafting,
    like: Annotated[int | None, Query(ge=1, le=1_000_000)] = None, stage: Annotated[Text, Query(max_length=30)] = "",
    done: Annotated[Text, Query(max_length=20)] = "",
) -> HTMLResponse:  # fmt: skip
    """`like` begins from an earlier bulletin of this incident instead of from what was told last; `stage` is chosen."""
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
                "stage": [before["stage"] if before else _stage(stage or incident["status"])],
                "audience": list(before["audiences"] if before else playbook.audiences),
                "like": [str(like or "")],
            }
        )
        await writing.opened(session, house, visit.actor, incident["id"])
        return await _form(
            request, session, house, visit, incident, playbook, start, raw=raw, message=DONE.get(done, "")
        )


def _stage(status: str) -> str:
    """The stage that fits a status, or is named; before anything is known it is the first."""
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
    refusal: MusterError | None = None, already: int | None = None,
) -> HTMLResponse:  # fmt: skip
    """`already`: the bulletin that this very form has written before."""
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
    written = await bulletins.of_incident(session, incident["id"])
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
        last_sent=max((entry["number"] for entry in written if entry["sent_at"]), default=None),
        corrects=form.text("corrects"),
        form_key=form.text("form") or new_secret(),
        was=form.text("was") or page_facts.remembered(raw),
        was_stage=form.text("was_stage") or form.text("stage"),
        like=form.text("like"),
        refusal=refusal,
        already=already,
        shown=Shown(house),
        **await writing_now(session, house, visit, incident["id"], written),
        errors=[entry for entry in errors if entry.field not in names],
        audience_error=next((entry.message for entry in errors if entry.field == "audiences"), ""),
        message=message,
        words=page_words,
    )


class SameDraft(Exception):
    """A draft of one's own says exactly this already: *Back*, where a browser asks for the page anew, and once more."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _same_draft(written: Sequence[RowMapping]) -> int | None:
    """The number of an earlier draft by the author of the last one that is the same in everything, and can be sent."""
    last = written[-1]
    sent = max((entry["number"] for entry in written if entry["sent_at"]), default=0)
    wanted = ("state", "created_by", "stage", "severity", "facts", "audiences", "corrects", "problems")
    for entry in written[:-1]:
        if entry["number"] > sent and all(entry[name] == last[name] for name in wanted):
            return int(entry["number"])
    return None


async def writing_now(
    session: AsyncSession, house: House, visit: Visit, incident_id: int, written: Sequence[RowMapping]
) -> dict[str, Any]:
    """Who else is writing, and which drafts there are, as `board/writing.html` shows it."""
    return {
        "writing": await writing.now(session, house, incident_id),
        "next_number": max((entry["number"] for entry in written), default=0) + 1,
        "me": visit.actor.account_id,
    }


@router.get("/incidents/{key}/bulletins/new/live", response_class=StreamingResponse)
async def live(key: Text, request: Request, house: HouseDep, visit: Drafting) -> StreamingResponse:
    """Who else is writing, kept up to date; as long as it is read, its reader counts as writing."""
    secret = request.cookies[COOKIE]

    async def look() -> dict[str, Any] | None:
        async with house.db.begin() as session:
            if await access.by_session(session, secret, house.clock) is None:
                return None
            incident = await incidents.get(session, key)
            await writing.renewed(session, house, visit.actor, key)
            written = await bulletins.of_incident(session, incident["id"])
            found = await writing_now(session, house, visit, incident["id"], written)
        return found | {"shown": Shown(house), "incident": dict(incident), "visit": visit}

    async with house.db.begin() as session:
        await writing.connected(session, house, visit.actor, key)
    return sse.streamed(live_page.events(house, request.app.state.hub, ("writing",), look))


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
                seen = seen_on_page(form.text("seen"))
                made = await bulletins.draft(session, house, posted.actor, key, seen=seen, **wanted)
                written = await bulletins.of_incident(session, incident["id"])
                if (same := _same_draft(written)) is not None:
                    raise SameDraft(same)
                await writing.ended(session, posted.actor, incident["id"])
                return made

            made = await once(
                session,
                key=form.text("form") or new_secret(),
                account_id=posted.actor.account_id,
                operation=f"page:draft:{key}",
                body=form.typed(),
                now=now,
                do=do,
            )
    except SameDraft as same:
        return see(f"/incidents/{key}/bulletins/{same.number}")
    except MusterError as error:
        return await _refused(request, house, posted, key, playbook, raw, error)
    return see(f"/incidents/{key}/bulletins/{made['number']}")


async def _refused(
    request: Request,
    house: House,
    posted: Posted,
    key: str,
    playbook: Playbook,
    raw: page_facts.Raw,
    error: MusterError,
) -> HTMLResponse:
    """The form again with everything that was typed, and what speaks against it."""
    form = Form(posted.form.values | {"form": [new_secret()]})
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        if isinstance(error, UsedBefore):
            number = int(error.answer["number"])
            return await _form(
                request, session, house, posted.visit, incident, playbook, form, raw=raw, status=409, already=number
            )
        if isinstance(error, Changed):
            error = Changed(page_words.CHANGED, **error.extra)
            shown = page_facts.recalled(form.text("was"))
            if shown is not None and not form.text("like"):
                facts = _fresh(playbook, incident["facts"], incident, house)
                present = page_facts.raw_values(playbook, facts, house.zone)
                raw = page_facts.merged(playbook, typed=raw, shown=shown, present=present)
                form = Form(form.values | {"was": [page_facts.remembered(present)]})
            stage = _stage(incident["status"])
            if form.text("stage") == form.text("was_stage") and not form.text("like"):
                form = Form(form.values | {"stage": [stage]})
            form = Form(form.values | {"was_stage": [stage]})
        return await _form(
            request,
            session,
            house,
            posted.visit,
            incident,
            playbook,
            form,
            raw=raw,
            errors=error.errors,
            message=_summary(error),
            status=error.status,
            refusal=error,
        )


def _summary(error: MusterError) -> str:
    if error.errors:
        many = len(error.errors)
        return f"Nothing was written yet: {many} {'thing needs' if many == 1 else 'things need'} correcting."
    return error.detail
