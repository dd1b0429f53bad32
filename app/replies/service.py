"""Texts from people, each handled once: a text becomes an acknowledgment only when it is plain whose and to what."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import notices
from app.directory import service as directory
from app.kernel.house import House
from app.replies import meanings, reports, repository, wording
from app.replies.models import Handled, Inbound
from app.replies.parse import CarrierWord, Reaction, Words, as_words, parse
from app.replies.recording import take_answer as take_answer
from app.replies.texts import Text, report

log = logging.getLogger("muster.replies")

ANSWERS_AN_HOUR = 30
"""At most so many automatic answers in an hour for each person at a number, so that two machines never text each other
all night."""

CONFIRMATIONS_AN_HOUR = 120
"""A recorded answer is confirmed well beyond that, and counted apart: its sender waits to know that it counted."""

LATE_ANSWER_WITHIN = timedelta(hours=1)
"""Whoever texted longer ago than this has gone on; an answer now would only puzzle them."""


async def receive(session: AsyncSession, house: House, inbound: Inbound) -> str | None:
    """Handles one text, once by its SID, and returns what to answer (None: nothing)."""
    handled = await _receive(session, house, inbound)
    return handled.answer if handled else None


async def receive_late(session: AsyncSession, house: House, inbound: Inbound) -> bool:
    """The same for a text found in the carrier's list; False when it was handled already.

    Nobody waits on the line any more, so what there is to say goes out as a notice.
    """
    handled = await _receive(session, house, inbound)
    if handled is None:
        return False
    recent = inbound.found_at is None or house.clock.now() - inbound.found_at <= LATE_ANSWER_WITHIN
    if handled.answer and handled.person_id is not None and recent:
        incident = await repository.latest_incident(session, [handled.person_id])
        if incident:
            await notices.tell(
                session, house, person_id=handled.person_id, incident_id=incident["id"], kind="late_answer",
                subject="Your text message", line=f"{wording.SORRY_LATE} {wording.unmarked(handled.answer)}",
            )  # fmt: skip
    return True


async def _receive(session: AsyncSession, house: House, inbound: Inbound) -> Handled | None:
    """What became of it, the answer as it is given; None when its SID was handled already."""
    now = house.clock.now()
    # A text column takes everything but NUL.
    opt_out_type = (inbound.opt_out_type or "").replace("\0", "") or None
    inbound = replace(inbound, body=inbound.body.replace("\0", ""), opt_out_type=opt_out_type)
    inbound_id = await repository.add_inbound(session, inbound, now=now)
    if inbound_id is None:
        return None
    text = Text(inbound, inbound_id, await directory.people_at(session, inbound.sender))
    handled = await _handle(session, house, text)
    if inbound.media and text.people:
        await _keep_media(session, house, text, handled)
    answer = handled.answer
    if answer is not None and await _answered_enough(session, text, handled.outcome, since=now - timedelta(hours=1)):
        log.warning("a number was answered very often within the hour; its text is recorded, not answered")
        answer = None
    if answer is not None and handled.drill and not inbound.found_at:
        answer = wording.marked(answer)
    await repository.finish_inbound(session, inbound_id, handled, answer=None if inbound.found_at else answer)
    return replace(handled, answer=answer)


async def _handle(session: AsyncSession, house: House, text: Text) -> Handled:
    meant = parse(text.inbound.body, [person["name"] for person in text.people])
    opts = isinstance(meant, CarrierWord) and meant.kind != "ask_back"
    if opts or text.carrier_word in ("STOP", "START"):
        return await meanings.opt(session, house, text, meant)
    if not text.people:
        return Handled("unknown_sender")
    if isinstance(meant, CarrierWord):
        return await meanings.ask_back(session, house, text, meant)
    if isinstance(meant, Reaction):
        return await meanings.reaction(session, house, text)
    if isinstance(meant, Words):
        return await meanings.passed_on(session, house, text, meant)
    if text.carrier_word == "HELP":  # the carrier took it for a request for help, and has answered
        return await meanings.passed_on(session, house, text, replace(as_words(text.inbound.body), maybe_help=True))
    if meant.code:
        return await meanings.coded(session, house, text, meant)
    return await meanings.bare(session, house, text, meant)


async def _keep_media(session: AsyncSession, house: House, text: Text, handled: Handled) -> None:
    """What came with an answer, or with a carrier's word, is passed on as well."""
    if await reports.kept(session, text.inbound_id):
        return
    own = [person for person in text.people if person["person_id"] == handled.person_id]
    await report(session, house, replace(text, people=own or text.people), incident=handled.incident)


async def _answered_enough(session: AsyncSession, text: Text, outcome: str, *, since: datetime) -> bool:
    confirmed = outcome == "answered"
    lately = await repository.answers_lately(session, text.number, confirmations=confirmed, since=since)
    return lately >= (CONFIRMATIONS_AN_HOUR if confirmed else ANSWERS_AN_HOUR * len(text.people))
