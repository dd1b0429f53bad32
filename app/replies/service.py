"""Answers and words from people: a text becomes an acknowledgment only when it is plain whose and to what."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import notices
from app.deliveries import service as deliveries
from app.deliveries.planning import WHEN_IT_FAILS
from app.deliveries.responses import Act, Recorded
from app.directory import service as directory
from app.incidents import timeline
from app.kernel.db import run
from app.kernel.house import House
from app.replies import help_requests, reports, repository, wording
from app.replies.models import Inbound, NewReport
from app.replies.parse import Answer, CarrierWord, Words, parse

log = logging.getLogger("muster.replies")

DIGIT_RACE_SECONDS = 20.0
"""A bare digit this soon after a newer bulletin went out may still mean the older one. Scaled."""

ANSWERS_AN_HOUR = 30
"""At most so many automatic answers in an hour for each person at a number, so that two machines never text each other
all night."""

CONFIRMATIONS_AN_HOUR = 120
"""A recorded answer is confirmed well beyond that: somebody waits to know that it counted."""

LATE_DAYS = 7

LATE_ANSWER_WITHIN = timedelta(hours=1)
"""Whoever texted longer ago than this has gone on; an answer now would only puzzle them."""


@dataclass(frozen=True)
class Handled:
    """What became of a text. `drill`: the answer belongs to drills alone and is marked so. `incident` (id, key) is the
    one that it answered."""

    outcome: str
    answer: str | None = None
    person_id: int | None = None
    drill: bool = False
    incident: tuple[int, str] | None = None


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
    handled = await _handle(session, house, inbound, inbound_id)
    if inbound.media:
        await _keep_media(session, house, inbound, inbound_id, handled)
    answer = handled.answer
    if answer is not None and await _answered_enough(session, inbound, handled.outcome, since=now - timedelta(hours=1)):
        log.warning("a number was answered very often within the hour; its text is recorded, not answered")
        answer = None
    if answer is not None and handled.drill and not inbound.found_at:
        answer = wording.marked(answer)
    await repository.finish_inbound(
        session, inbound_id, outcome=handled.outcome, answer=None if inbound.found_at else answer,
        person_id=handled.person_id,
    )  # fmt: skip
    return replace(handled, answer=answer)


async def _keep_media(session: AsyncSession, house: House, inbound: Inbound, inbound_id: int, handled: Handled) -> None:
    """What came with an answer, or with a carrier's word, is passed on as well."""
    people = await directory.people_at(session, inbound.sender)
    if people and not await reports.kept(session, inbound_id):
        if handled.person_id is not None:
            people = [person for person in people if person["person_id"] == handled.person_id] or people
        await _report(session, house, inbound, inbound_id, people, incident=handled.incident)


async def _answered_enough(session: AsyncSession, inbound: Inbound, outcome: str, *, since: datetime) -> bool:
    lately = await repository.answers_lately(session, inbound.sender, since=since)
    if lately < ANSWERS_AN_HOUR:
        return False
    if outcome == "answered":
        return lately >= CONFIRMATIONS_AN_HOUR
    return lately >= ANSWERS_AN_HOUR * len(await directory.people_at(session, inbound.sender))


async def _handle(session: AsyncSession, house: House, inbound: Inbound, inbound_id: int) -> Handled:
    meant = parse(inbound.body)
    carrier_dealt_with = (inbound.opt_out_type or "").upper() in ("STOP", "START")
    if carrier_dealt_with or (isinstance(meant, CarrierWord) and meant.kind != "ask_back"):
        return await _opt(session, house, inbound, meant)
    people = await directory.people_at(session, inbound.sender)
    if not people:
        return Handled("unknown_sender")
    ids = [person["person_id"] for person in people]
    if isinstance(meant, CarrierWord):
        return await _ask_back(session, house, inbound, inbound_id, people, meant)
    if isinstance(meant, Words) or (inbound.opt_out_type or "").upper() == "HELP":
        await _report(session, house, inbound, inbound_id, people, maybe_help=False)
        questions = await repository.questions(session, ids)
        # Where the carrier has answered already, a second answer would only confuse.
        answer = None
        if not inbound.opt_out_type:
            answer = wording.report_kept(any(q["open"] for q in questions), shared=len(people) > 1)
        return Handled("field_report", answer, _only(people), _drills(questions))
    if meant.code:
        return await _coded(session, house, inbound, inbound_id, people, meant)
    if len(people) > 1:
        return Handled("asked_who", wording.who_is_it(), drill=_drills(await repository.questions(session, ids)))
    return await _bare(session, house, inbound, inbound_id, people, meant)


def _drills(questions: Sequence[Mapping[str, Any] | RowMapping]) -> bool:
    """Whether drills are all that is going on for somebody."""
    return bool(questions) and all(question["drill"] for question in questions)


def _only(people: Sequence[RowMapping]) -> int | None:
    return int(people[0]["person_id"]) if len(people) == 1 else None


async def _opt(session: AsyncSession, house: House, inbound: Inbound, meant: Answer | CarrierWord | Words) -> Handled:
    """STOP and START concern the number, whoever holds it. The carrier answers; we only keep to it."""
    now = house.clock.now()
    word = (inbound.opt_out_type or "").upper()
    stop = word == "STOP" or (word != "START" and isinstance(meant, CarrierWord) and meant.kind == "opt_out")
    if stop:
        changed = await directory.suppress(session, inbound.sender, "sms", "opted_out", now)
    else:
        changed = await directory.lift(session, inbound.sender, "sms", "opted_out")
    people = await directory.people_at(session, inbound.sender)
    if changed and people:
        incident = await repository.latest_incident(session, [person["person_id"] for person in people])
        if incident:
            await timeline.note(
                session, key=incident["key"], at=now, actor="system",
                kind="opted_out" if stop else "opted_in", data={"person": people[0]["person_id"]},
            )  # fmt: skip
            if stop:
                await _next_channel(session, inbound.sender, house)
    return Handled("opted_out" if stop else "opted_in", None, _only(people))


async def _next_channel(session: AsyncSession, number: str, house: House) -> None:
    """Whoever has not answered and was to be reached on this number is tried on the next channel at once."""
    await run(
        session,
        """UPDATE delivery d SET next_step_at = :now FROM attempt a
           WHERE a.delivery_id = d.id AND a.address = ANY(:numbers) AND a.channel = 'sms' AND d.response IS NULL
             AND d.cancelled_at IS NULL AND d.next_rung IS NOT NULL AND d.next_step_at > :now
             AND d.next_step_at < :when_it_fails""",
        {
            "now": house.clock.now(),
            "numbers": list(directory.spellings(number)),
            "when_it_fails": WHEN_IT_FAILS,
        },
    )


async def _ask_back(
    session: AsyncSession, house: House, inbound: Inbound, inbound_id: int, people: Sequence[RowMapping],
    meant: CarrierWord,
) -> Handled:  # fmt: skip
    """HELP and YES are carriers' words: never an answer. HELP is passed on, because it may be meant."""
    if meant.word == "help":
        await _report(session, house, inbound, inbound_id, people, maybe_help=True)
    answer = None if inbound.opt_out_type else wording.which_answer()
    questions = await repository.questions(session, [person["person_id"] for person in people])
    return Handled("asked_which", answer, _only(people), _drills(questions))


async def _coded(
    session: AsyncSession, house: House, inbound: Inbound, inbound_id: int, people: Sequence[RowMapping], meant: Answer
) -> Handled:  # fmt: skip
    assert meant.code
    ids = [person["person_id"] for person in people]
    found = list(await repository.by_code(session, ids, meant.code))
    if not found:
        await _report(session, house, inbound, inbound_id, people, maybe_help=meant.response == "need_help")
        drill = _drills(await repository.questions(session, ids))
        return Handled("unknown_code", wording.unknown_code(meant.code), _only(people), drill)
    standing = [entry for entry in found if entry["closed_at"] is None] or found
    if len({entry["person_id"] for entry in standing}) > 1:
        return Handled("asked_who", wording.use_the_link(), drill=_drills(standing))
    return await _record(session, house, standing[0], meant.response, inbound)


async def _bare(
    session: AsyncSession, house: House, inbound: Inbound, inbound_id: int, people: Sequence[RowMapping], meant: Answer
) -> Handled:  # fmt: skip
    """A digit alone: it answers the one open question, or changes the one answer; otherwise the code is needed."""
    person_id = int(people[0]["person_id"])
    questions = [dict(question) for question in await repository.questions(session, [person_id])]
    if (sent := inbound.found_at) is not None:  # what came later cannot have been meant
        before = sent + timedelta(seconds=1)  # the provider's records count whole seconds
        questions = [q for q in questions if q["handed_over_at"] is not None and q["handed_over_at"] < before]
    open_ones = [question for question in questions if question["open"]]
    if len(open_ones) > 1:
        return Handled("asked_which_question", wording.which_question(open_ones), person_id)
    if len(open_ones) == 1:
        older = _race(house, open_ones[0], questions, inbound.found_at or house.clock.now())
        if older:
            return Handled("asked_which_question", wording.which_question([open_ones[0], older]), person_id)
        return await _record(session, house, open_ones[0], meant.response, inbound)
    answered = [question for question in questions if question["response"] and not question["superseded"]]
    latest = {question["incident_id"]: question for question in reversed(answered)}
    if len(latest) > 1:
        return Handled("asked_which_question", wording.which_question(list(latest.values())), person_id)
    if latest:
        return await _record(session, house, next(iter(latest.values())), meant.response, inbound)
    # Of what was stopped after the person had it, an answer still counts where it is plain which is meant.
    had = {question["incident_id"]: question for question in reversed(questions) if question["handed_over_at"]}
    if len(had) == 1:
        return await _record(session, house, next(iter(had.values())), meant.response, inbound)
    since = house.clock.now() - timedelta(days=LATE_DAYS)
    closed = list(await repository.latest_closed(session, person_id, since=since))
    if len(closed) > 1:  # the one that was answered is the one that is changed
        closed = [question for question in closed if question["response"]] or closed
    if len(closed) == 1 and not had:
        return await _record(session, house, closed[0], meant.response, inbound)
    await _report(session, house, inbound, inbound_id, people, maybe_help=meant.response == "need_help")
    return Handled("no_question", wording.nothing_open(), person_id, _drills(questions))


def _race(
    house: House, newer: Mapping[str, Any], questions: Sequence[Mapping[str, Any]], at: datetime
) -> Mapping[str, Any] | None:
    """The older unanswered question that a digit may still mean, when the newer one has only just gone out.

    Of each incident only the last one before counts: whoever answered that has gone on from those before it.
    """
    handed_over = newer["handed_over_at"]
    within = timedelta(seconds=DIGIT_RACE_SECONDS / house.time_scale)
    if handed_over is not None and at - handed_over > within:
        return None
    place = next(place for place, question in enumerate(questions) if question["id"] == newer["id"])
    before: dict[int, Mapping[str, Any]] = {}
    for question in questions[place + 1 :]:
        if question["handed_over_at"] is not None:
            before.setdefault(question["incident_id"], question)
    return next((question for question in before.values() if question["response"] is None), None)


async def _record(
    session: AsyncSession, house: House, question: Mapping[str, Any] | RowMapping, response: str, inbound: Inbound
) -> Handled:
    act = Act(response, "sms", inbound.found_at or house.clock.now())
    recorded = await take_answer(session, house, question["id"], act, actor=f"person:{question['person_id']}")
    assert recorded is not None
    answer = wording.confirmation(
        response, title=question["title"], changed=recorded.before not in (None, response), late=recorded.late,
        drill=question["drill"],
    )  # fmt: skip
    answered = (recorded.incident_id, recorded.incident_key)
    return Handled("answered", answer, recorded.person_id, incident=answered)


async def take_answer(
    session: AsyncSession, house: House, delivery_id: int, act: Act, *, actor: str
) -> Recorded | None:
    """Records an answer from whatever way it came, and opens or withdraws the help request that goes with it."""
    now = house.clock.now()
    recorded = await deliveries.respond(session, delivery_id, act, now=now, actor=actor)
    if recorded is None or not recorded.latest:
        return recorded
    data = {"person": recorded.person_id}
    if recorded.response == "need_help":
        opened = await repository.open_help(
            session, incident_id=recorded.incident_id, delivery_id=delivery_id, person_id=recorded.person_id, now=now
        )
        if opened:
            await timeline.note(
                session, key=recorded.incident_key, at=now, actor=actor, kind="help_opened",
                data=data | {"help_request": opened},
            )  # fmt: skip
            await help_requests.opened(session, house, opened)
    elif recorded.before == "need_help":
        withdrawn = await repository.withdraw_help(
            session, incident_id=recorded.incident_id, person_id=recorded.person_id, now=now
        )
        if withdrawn:
            await timeline.note(
                session, key=recorded.incident_key, at=now, actor=actor, kind="help_withdrawn",
                data=data | {"help_request": withdrawn},
            )  # fmt: skip
    return recorded


async def _report(
    session: AsyncSession, house: House, inbound: Inbound, inbound_id: int, people: Sequence[RowMapping],
    *, maybe_help: bool = False, maybe_stop: bool = False, incident: tuple[int, str] | None = None,
) -> None:  # fmt: skip
    """Passes the words on, whole. From a shared phone they come from someone at this number.

    They belong to `incident` (id, key), or else to the one that these people were last told about.
    """
    if incident is None:
        found = await repository.latest_incident(session, [person["person_id"] for person in people])
        incident = (found["id"], found["key"]) if found else None
    report = NewReport(
        text=inbound.body,
        via="sms",
        incident_id=incident[0] if incident else None,
        person_id=_only(people),
        number=inbound.sender,
        maybe_help=maybe_help,
        maybe_stop=maybe_stop,
        media=inbound.media,
        inbound_id=inbound_id,
    )
    await reports.add(session, house, report, key=incident[1] if incident else None)
