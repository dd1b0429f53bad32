"""Declare: find the playbook by what people report, then one form whose defaults make three presses enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.api import HouseDep
from app.access.matrix import Action
from app.access.pages import Posted, Visit, posting, visiting
from app.board import page_facts, page_reads, page_words
from app.bulletins import service as bulletins
from app.bulletins import whom
from app.directory import service as directory
from app.incidents import service as incidents
from app.kernel.errors import Conflict, FieldError, Invalid, MusterError
from app.kernel.house import House
from app.kernel.ids import new_secret
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import SEVERITIES, Playbook
from app.web.forms import Form
from app.web.idempotency import UsedBefore, once
from app.web.inputs import Text
from app.web.templating import page, see
from app.web.times import exactly

router = APIRouter()

Declaring = Annotated[Visit, Depends(visiting(Action.DECLARE))]
Declared = Annotated[Posted, Depends(posting(Action.DECLARE))]
Search = Annotated[Text, Query(max_length=200)]

NO_EXAMPLES = (
    "The examples are not filled in, because messages from here reach real people. They stand beside each field; type "
    "what is true."
)


class LooksOpen(Conflict):
    """What is about to be declared looks like these open incidents; nobody has said that it is another one."""

    def __init__(self, found: list[RowMapping]) -> None:
        super().__init__("An open incident looks like this one. Nothing was declared yet.")
        self.found = found


@router.get("/declare")
async def choose(request: Request, house: HouseDep, visit: Declaring, q: Search = "") -> HTMLResponse:
    """The playbooks, those that fit the symptom first. Nothing is hidden: a wrong word must not end the search."""
    problems = await playbooks.sync(house)
    async with house.db.begin() as session:
        known = [revision.playbook for revision in await playbooks.all_current(session)]
    ranked = sorted(((fit(playbook, q), playbook) for playbook in known), key=lambda pair: -pair[0][0])
    return page(
        request,
        "declare_choose.html",
        visit=visit,
        q=q.strip(),
        choices=[{"playbook": playbook, "fits": score > 0, "symptoms": found} for (score, found), playbook in ranked],
        any_fits=any(score for (score, _), _ in ranked),
        problems=[str(problem) for problem in problems] if visit.may("import_people") else [],
    )


def fit(playbook: Playbook, q: str) -> tuple[int, list[str]]:
    """(how many of the words it mentions, the symptoms that mention them). Words are found by their beginnings."""
    wanted = [word for word in q.casefold().split() if len(word) > 1 or word.isdigit()]
    if not wanted:
        return 0, []

    def has(word: str, text: str) -> bool:
        # "terminals" finds "terminal" and the other way round; longer endings would find too much.
        stem = word[:-1] if len(word) > 4 and word.endswith("s") else word
        return any(part.startswith(stem) for part in text.casefold().replace("-", " ").split())

    symptoms = [text for text in playbook.when.symptoms if any(has(word, text) for word in wanted)]
    everything = " ".join((playbook.title, playbook.when.trigger, playbook.slug, *playbook.when.symptoms))
    return sum(has(word, everything) for word in wanted), symptoms


@router.get("/declare/{slug}")
async def form_page(
    slug: Text, request: Request, house: HouseDep, visit: Declaring, examples: Annotated[Text, Query()] = ""
) -> HTMLResponse:
    await playbooks.sync(house)
    async with house.db.begin() as session:
        playbook = (await playbooks.current(session, slug)).playbook
        # Made-up facts never stand one press from a real message.
        whole = bool(examples) and house.simulated
        message = NO_EXAMPLES if examples and not whole else ""
        raw = await _start(session, house, playbook, whole=whole)
        known = await incidents.similar(session, slug=slug, title=playbook.title, drill=False)
        return await _form(request, session, house, visit, slug, Form(), raw=raw, note=message, similar=known)


async def _start(session: AsyncSession, house: House, playbook: Playbook, *, whole: bool) -> page_facts.Raw:
    """What stands in the facts at first: the next update's time, and with `whole` every example but the sites."""
    now = house.clock.now()
    values = fact_rules.examples(playbook, sites=list(await directory.sites(session)), now=now)
    kept = {
        name: value
        for name, value in values.items()
        if playbook.facts[name].future or (whole and playbook.facts[name].from_ is None)
    }
    return page_facts.raw_values(playbook, kept, house.zone)


async def _form(
    request: Request, session: AsyncSession, house: House, visit: Visit, slug: str, form: Form,
    *, raw: page_facts.Raw, errors: Sequence[FieldError] = (), message: str = "", note: str = "", status: int = 200,
    template: str = "declare.html", similar: Sequence[RowMapping] = (), already: RowMapping | None = None,
) -> HTMLResponse:  # fmt: skip
    """The form with everything that was typed, and what is wrong beside each field.

    `similar`: open incidents that it looks like; `already`: the one that this very form has declared before.
    """
    playbook = (await playbooks.current(session, slug)).playbook
    sites = await directory.sites(session)
    now = house.clock.now()
    severity = form.text("severity")
    severity = severity if severity in SEVERITIES else playbook.default_severity
    known = {page_facts.PREFIX + name for name in playbook.facts}
    fields = page_facts.fields(
        playbook, raw, sites=list(sites), zone=house.zone, now=now, errors=errors,
        examples=fact_rules.examples(playbook, sites=list(sites), now=now),
    )  # fmt: skip
    elsewhere = [e for e in errors if not e.field.startswith("facts.") or "fact." + e.field[6:] not in known]
    return page(
        request,
        template,
        status=status,
        visit=visit,
        playbook=playbook,
        severity=severity,
        severities=[_severity(playbook, name, house.channels) for name in SEVERITIES],
        fields=fields,
        sites=sites,
        title=form.text("title"),
        drill=bool(form.text("drill")),
        form_key=form.text("form") or new_secret(),
        told=await _told(session, house, playbook, severity, raw),
        errors=elsewhere,
        message=message,
        note=note,
        no_one_for_help=(await directory.responsible(session)).nobody_for_help,
        help_note=bulletins.NOBODY_FOR_HELP,
        similar=[dict(entry) for entry in similar],
        already=dict(already) if already else None,
        another=" ".join(entry["key"] for entry in similar),
        asked=status == 409 and bool(similar),
        words=page_words,
    )


def _severity(playbook: Playbook, name: Any, channels: Sequence[str]) -> dict[str, Any]:
    """What a severity means and what follows from it, by the channels that are set up here."""
    level = playbook.severities[name]
    ladder = []
    for step in playbook.ladder_for(name):
        if step.send is None or step.send in channels:
            verb = page_words.CHANNEL_VERBS[step.send] if step.send else f"tell the {page_words.TOLD[step.tell or '']}"
            ladder.append(f"{verb} after {exactly(step.after.total_seconds())}" if step.after else verb)
    roles = level.approval.roles
    needs = page_words.roles(roles, last="and") if roles else "one approval"
    return {
        "name": name,
        "means": level.means,
        "cadence": exactly(level.cadence.total_seconds()),
        "ladder": ", ".join(ladder),
        "approval": f"approved by {needs}" if roles else needs,
        "other_person": level.approval.other_person,
    }


async def _told(
    session: AsyncSession, house: House, playbook: Playbook, severity: Any, raw: page_facts.Raw
) -> dict[str, Any]:
    """Who would be told with the facts as they stand; facts that are not good yet count as left out."""
    now = house.clock.now()
    given = page_facts.given(playbook, raw, zone=house.zone, now=now)
    sites = list(await directory.sites(session))
    good, _ = fact_rules.validate_facts(playbook, given, sites=sites, now=now, partial=True)
    expected = await page_reads.expected(
        session,
        specs=whom.audience_specs(playbook, list(playbook.audiences), good),
        ladder=playbook.channels_for(severity),
        channels=house.channels,
        countries=house.countries,
    )
    return {
        "expected": expected,
        "says": page_words.send_button(expected.channels, expected.total, drill=False),
        "labels": [audience.label for audience in playbook.audiences.values()],
    }


@router.post("/declare/{slug}/count")
async def count(slug: Text, request: Request, house: HouseDep, posted: Declared) -> HTMLResponse:
    """Who would be told, alone: the script puts it into the page while somebody ticks sites."""
    async with house.db.begin() as session:
        playbook = (await playbooks.current(session, slug)).playbook
        raw = page_facts.raw_form(playbook, posted.form)
        return await _form(
            request, session, house, posted.visit, slug, posted.form, raw=raw, template="declare_told.html"
        )


@router.post("/declare/{slug}")
async def declare(slug: Text, request: Request, house: HouseDep, posted: Declared) -> Response:
    form = posted.form
    async with house.db.begin() as session:
        playbook = (await playbooks.current(session, slug)).playbook
    raw = page_facts.raw_form(playbook, form)
    if form.text("action") == "count":
        async with house.db.begin() as session:
            return await _form(request, session, house, posted.visit, slug, form, raw=raw)
    now = house.clock.now()
    wanted: dict[str, Any] = {
        "slug": slug,
        "severity": form.text("severity") or None,
        "title": form.text("title") or None,
        "facts": page_facts.given(playbook, raw, zone=house.zone, now=now),
        "drill": bool(form.text("drill")),
    }
    try:
        async with house.db.begin() as session:

            async def do() -> dict[str, Any]:
                title = form.text("title") or playbook.title
                known = await incidents.similar(session, slug=slug, title=title, drill=wanted["drill"], at_once=True)
                made = await incidents.declare(session, house, posted.actor, **wanted)
                if {entry["key"] for entry in known} - set(form.text("another").split()):
                    raise LooksOpen(known)
                return made

            # The same press twice is one incident: the form's own key stands for an Idempotency-Key.
            made = await once(
                session,
                key=form.text("form") or new_secret(),
                account_id=posted.actor.account_id,
                operation="page:declare",
                body=form.typed(),
                now=now,
                do=do,
            )
    except MusterError as error:
        return await _refused(request, house, posted, slug, raw, error)
    return see(f"/incidents/{made['key']}/bulletins/new?done=declared")


async def _refused(
    request: Request, house: House, posted: Posted, slug: str, raw: page_facts.Raw, error: MusterError
) -> HTMLResponse:
    """The form again with everything that was typed, and what speaks against it."""
    fresh = Form(posted.form.values | {"form": [new_secret()]})
    async with house.db.begin() as session:
        if isinstance(error, UsedBefore):
            already = await incidents.get(session, str(error.answer["key"]))
            return await _form(
                request,
                session,
                house,
                posted.visit,
                slug,
                fresh,
                raw=raw,
                status=409,
                already=already,
                similar=[already],
            )
        if isinstance(error, LooksOpen):
            return await _form(
                request, session, house, posted.visit, slug, fresh, raw=raw, status=409, similar=error.found
            )
        return await _form(
            request,
            session,
            house,
            posted.visit,
            slug,
            fresh,
            raw=raw,
            errors=error.errors,
            message=_summary(error),
            status=error.status,
        )


def _summary(error: MusterError) -> str:
    if isinstance(error, Invalid) and error.errors:
        many = len(error.errors)
        return f"Nothing was declared yet: {many} {'thing needs' if many == 1 else 'things need'} correcting."
    return error.detail
