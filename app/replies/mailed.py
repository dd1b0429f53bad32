"""What people write back by mail: an answer when it carries the mail's own token, else words to be passed on.

Anybody may write anybody's address on a mail, so the token alone proves whose answer it is: it was sent to that person
and to nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.media import Medium
from app.deliveries.responses import Act
from app.directory import service as directory
from app.kernel.house import House
from app.replies import reports, repository, whose
from app.replies.models import Handled, Inbound, NewReport
from app.replies.parse import Answer, CarrierWord, Meaning, Reaction, Words, as_words, parse
from app.replies.questions import Carried
from app.replies.recording import take_answer

VIA = "email"
HELP = "need_help"

first_asked = repository.first_sent
"""When there was first anything that somebody could answer."""


@dataclass(frozen=True)
class Mailed:
    """A mail from a person. `key` is its own; `attempt_id` the mail of ours that it answers, None when it carries no
    token. `text` is what the sender wrote themselves; `at` is when the mail server had it."""

    key: str
    sender: str
    text: str
    at: datetime
    media: tuple[Medium, ...] = ()
    attempt_id: int | None = None


@dataclass(frozen=True)
class Taken:
    """What became of it. `inbound_id` is the row that keeps its words."""

    outcome: str
    inbound_id: int | None = None


async def receive(session: AsyncSession, house: House, mail: Mailed) -> Taken:
    """Handles one mail, once by its key."""
    now = house.clock.now()
    text = mail.text.replace("\0", "")
    inbound = Inbound(f"mail:{mail.key}", mail.sender[:320], text, media=mail.media, found_at=min(mail.at, now))
    inbound_id = await repository.add_inbound(session, inbound, now=now)
    if inbound_id is None:
        return Taken("known")
    about = await repository.mailed(session, mail.attempt_id) if mail.attempt_id is not None else None
    kept = NewReport(text, VIA, None, None, number=mail.sender[:320], media=inbound.media, inbound_id=inbound_id)
    if about is not None:
        handled = await _answered(session, house, kept, about, min(mail.at, now))
    else:
        handled = await _unasked(session, house, kept)
    await repository.finish_inbound(session, inbound_id, handled, answer=None)
    return Taken(handled.outcome, inbound_id)


async def _answered(session: AsyncSession, house: House, kept: NewReport, about: Carried, at: datetime) -> Handled:
    """A mail with the token of one of ours: it is from the person whom that was sent to."""
    handled = Handled("field_report", person_id=about.person_id, incident=(about.incident_id, about.key))
    if not about.active:
        return replace(handled, outcome="left")
    kept = replace(kept, incident_id=about.incident_id, person_id=about.person_id)
    meant = parse(kept.text, [about.name])
    if (nothing := _nothing(kept, meant)) is not None:
        return replace(handled, outcome=nothing)
    if _needs_nothing(about, meant):
        return replace(handled, outcome="all_clear")
    response, delivery_id = await _answer(session, about, meant)
    if delivery_id is None:
        await _report(session, house, kept, about.key, meant=meant)
        return handled
    await take_answer(session, house, delivery_id, Act(response, VIA, at), actor=f"person:{about.person_id}")
    below = meant.below if isinstance(meant, Answer) else as_words(kept.text)
    if kept.media or below is not None:
        await _report(session, house, kept, about.key, meant=below or Words(kept.text))
    return replace(handled, outcome="answered")


def _nothing(kept: NewReport, meant: Meaning) -> str | None:
    """What a mail is called that says nothing; None for every other."""
    if kept.media:
        return None
    if not kept.text.strip():
        return "empty"
    return "reaction" if isinstance(meant, Reaction) else None


def _needs_nothing(about: Carried, meant: Meaning) -> bool:
    """Whether it is `1` or `3` below an all-clear, which asked for neither."""
    if about.asks or about.notice or not isinstance(meant, Answer):
        return False
    return meant.response != HELP and meant.code in (None, about.code) and meant.below is None


async def _answer(session: AsyncSession, about: Carried, meant: Meaning) -> tuple[str, int | None]:
    """(the response, the delivery that it answers); None for what is no answer.

    That of the mail is meant, unless the person named another by its code. A notice asks nothing; nor does an
    all-clear, but whoever writes of help below it is heard.
    """
    if isinstance(meant, Answer) and whose.is_titled(about, meant.title):
        if meant.code and meant.code != about.code:
            found = await repository.by_code(session, [about.person_id], meant.code, [])
            return meant.response, found[0].id if found else None
        return meant.response, None if about.notice else about.id
    help_below_an_all_clear = not about.asks and not about.notice and _may_mean(meant)[0]
    return HELP, about.id if help_below_an_all_clear else None


async def _unasked(session: AsyncSession, house: House, kept: NewReport) -> Handled:
    """A mail without a token: never an answer, for its sender may be made up."""
    people = await directory.people_mailed(session, kept.number or "")
    if not people:
        return Handled("unknown_sender")
    ids = [int(person["person_id"]) for person in people]
    only = ids[0] if len(ids) == 1 else None
    meant = parse(kept.text)
    if (nothing := _nothing(kept, meant)) is not None:
        return Handled(nothing, person_id=only)
    found = await repository.latest_incident(session, ids)
    incident = (int(found["id"]), str(found["key"])) if found else None
    kept = replace(kept, person_id=only, incident_id=incident[0] if incident else None)
    await _report(session, house, kept, incident[1] if incident else None, meant=meant)
    return Handled("field_report", person_id=only, incident=incident)


async def _report(session: AsyncSession, house: House, kept: NewReport, key: str | None, *, meant: Meaning) -> None:
    maybe_help, maybe_stop = _may_mean(meant)
    await reports.add(session, house, replace(kept, maybe_help=maybe_help, maybe_stop=maybe_stop), key=key)


def _may_mean(meant: Meaning) -> tuple[bool, bool]:
    """(whether it may be a cry for help, whether the person may want to hear no more)."""
    match meant:
        case Words():
            return meant.maybe_help, meant.maybe_stop
        case Answer():
            return meant.response == HELP, False
        case CarrierWord():
            return meant.word == "help", meant.kind == "opt_out"
        case _:
            return False, False
