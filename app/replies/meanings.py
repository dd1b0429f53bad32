"""What is done for each meaning of a text, a function for each. An answer counts only when it is plain whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.responses import Act
from app.directory import service as directory
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.house import House
from app.replies import news, reports, repository, whose, wording
from app.replies.models import Handled
from app.replies.parse import Answer, CarrierWord, Meaning, Words, as_words
from app.replies.questions import Question
from app.replies.recording import take_answer
from app.replies.texts import LATE_DAYS, Text, drills, incident_of, report


async def passed_on(session: AsyncSession, house: House, text: Text, words: Words) -> Handled:
    """Words: kept whole as a field report. Possible help in reply to an all-clear opens a request as well, which then
    stands for it."""
    told = await news.meant(session, house, text) if words.maybe_help else None
    await report(session, house, text, maybe_help=words.maybe_help and told is None, maybe_stop=words.maybe_stop)
    if told:
        return await news.ask_for_help(session, house, text, told)
    questions = await repository.questions(session, text.ids, text.numbers)
    # Where the carrier has answered already, a second answer would only confuse.
    answer = None
    if not text.carrier_word:
        answer = wording.report_kept(any(q.open for q in questions), coded=_needs_code(text, questions))
    return Handled("field_report", answer, text.only, drills(questions))


async def reaction(session: AsyncSession, house: House, text: Text) -> Handled:
    """A tap on a message of ours: counted, not answered, no report."""
    incident = await incident_of(session, house, text, closed_too=True)
    if incident:
        await notify(session, "muster_board", f"incident:{incident[0]}")
    return Handled("reaction", None, text.only, incident=incident)


async def opt(session: AsyncSession, house: House, text: Text, meant: Meaning) -> Handled:
    """STOP and START concern the number, whoever holds it. The carrier answers; we only keep to it.

    Whatever else the text says is passed on when it may be a cry for help.
    """
    now = house.clock.now()
    stop = text.carrier_word == "STOP"
    if text.carrier_word not in ("STOP", "START"):
        stop = isinstance(meant, CarrierWord) and meant.kind == "opt_out"
    if stop:
        changed = await directory.suppress(session, text.number, "sms", "opted_out", now)
    else:
        changed = await directory.lift(session, text.number, "sms", "opted_out")
    if text.people and _may_be_help(meant):
        await report(session, house, text, maybe_help=True)
    if changed and text.people and (incident := await incident_of(session, house, text)):
        await timeline.note(
            session, key=incident[1], at=now, actor="system", kind="opted_out" if stop else "opted_in",
            data={"person": text.people[0]["person_id"]},
        )  # fmt: skip
        if stop:
            await repository.next_channel(session, text.numbers, now=now)
    return Handled("opted_out" if stop else "opted_in", None, text.only)


def _may_be_help(meant: Meaning) -> bool:
    if isinstance(meant, Answer):
        return meant.response == "need_help"
    return isinstance(meant, Words) and meant.maybe_help


async def ask_back(session: AsyncSession, house: House, text: Text, meant: CarrierWord) -> Handled:
    """HELP and YES are carriers' words: never an answer. HELP is passed on, because it may be meant; in reply to an
    all-clear it can mean nothing else."""
    told = await news.meant(session, house, text)
    if meant.word == "help":
        await report(session, house, text, maybe_help=told is None)
        if told:
            return await news.ask_for_help(session, house, text, told)
    elif told:
        return news.thanked(told, text)
    questions = await repository.questions(session, text.ids, text.numbers)
    news_here = await news.meant_by_some(session, house, text, questions)
    if news_here and meant.word != "help":
        return news.thanked(news_here[0], text)
    answer = wording.who_needs_help() if news_here else wording.which_answer(coded=_needs_code(text, questions))
    drill = drills(news_here or questions)
    return Handled("asked_which", None if text.inbound.opt_out_type else answer, text.only, drill)


def _needs_code(text: Text, questions: Sequence[Question]) -> bool:
    """Whether a digit alone would not say who answers, or what."""
    return text.only is None or len({question.incident_id for question in questions if question.open}) > 1


async def coded(session: AsyncSession, house: House, text: Text, meant: Answer) -> Handled:
    """An answer with its code: it means the question that has this code, on this number before any other."""
    assert meant.code
    found = await repository.by_code(session, text.ids, meant.code, text.numbers)
    if not found:
        drill = drills(await repository.questions(session, text.ids, text.numbers))
        said = Handled("unknown_code", wording.unknown_code(meant.code), text.only, drill)
        return await _asked(session, house, text, meant, said, passed_on=True)
    standing = [entry for entry in found if entry.closed_at is None] or found
    standing = [entry for entry in standing if entry.here] or standing
    if len({entry.person_id for entry in standing}) > 1:
        said = Handled("asked_who", wording.use_the_link(), drill=drills(standing))
        return await _asked(session, house, text, meant, said)
    question = standing[0]
    if not question.asks or whose.is_over(question, text.sent_at(house)):
        return await _replied(session, house, text, meant, question)
    return await _record(session, house, text, meant, question)


async def bare(session: AsyncSession, house: House, text: Text, meant: Answer) -> Handled:
    """A digit alone: it answers the one open question, or changes the one answer; otherwise the code is needed."""
    questions = await repository.questions(session, text.ids, text.numbers)
    if text.inbound.found_at is not None:
        questions = whose.known_by(questions, text.inbound.found_at)
    lately = await news.had(session, house, text)
    fresh = news.within(house, text, lately)
    person_id = text.only
    if person_id is None:
        names = {int(person["person_id"]): str(person["name"]) for person in text.people}
        person_id = whose.alone(questions, fresh)
        if person_id is not None and whose.signed_by_another(meant.signature, person_id, names):
            person_id = None
        if person_id is None:
            if news_here := await news.meant_by_some(session, house, text, questions):
                return await _some_replied(session, house, text, meant, news_here)
            said = Handled("asked_who", wording.who_is_it(meant.response, questions), drill=drills(questions))
            return await _asked(session, house, text, meant, said)
        questions = [q for q in questions if q.here and q.person_id == person_id]
    open_ones = [question for question in questions if question.open]
    if len(open_ones) == 1:
        older = whose.race(open_ones[0], questions, text.sent_at(house), time_scale=house.time_scale)
        open_ones += [older] if older else []
    if open_ones:
        known = {question.incident_id for question in open_ones}
        open_ones += [told for told in fresh if told.person_id == person_id and told.incident_id not in known]
    elif told := whose.newest_news(lately, person_id):
        return await _replied(session, house, text, meant, told)
    else:
        open_ones = await _answered_before(session, house, text, person_id, questions)
    if meant.title:
        open_ones = [question for question in open_ones if whose.is_titled(question, meant.title)] or open_ones
    if len(open_ones) == 1:
        several = text.only is None or len({question.incident_id for question in questions if question.asks}) > 1
        return await _record(session, house, text, meant, open_ones[0], several=several)
    if open_ones:
        said = Handled("asked_which_question", wording.which_question(meant.response, open_ones), person_id)
        return await _asked(session, house, text, meant, said)
    said = Handled("no_question", wording.nothing_open(), person_id, drills(questions))
    return await _asked(session, house, text, meant, said, passed_on=True)


async def _answered_before(
    session: AsyncSession, house: House, text: Text, person_id: int, questions: Sequence[Question]
) -> list[Question]:
    """Where nothing is open: the answers that may be changed; one alone is meant, several are asked back."""
    questions = [question for question in questions if question.asks]
    answered = [question for question in questions if question.response and not question.superseded]
    latest = {question.incident_id: question for question in reversed(answered)}
    if latest:
        return list(latest.values())
    # Of what was stopped after the person had it, an answer still counts where it is plain which is meant.
    had = {question.incident_id: question for question in reversed(questions) if question.handed_over_at}
    if had:
        return list(had.values()) if len(had) == 1 else []
    since = house.clock.now() - timedelta(days=LATE_DAYS)
    closed = [q for q in await repository.latest_closed(session, person_id, text.numbers, since=since) if q.asks]
    if len(closed) > 1:  # the one that was answered is the one that is changed
        closed = [question for question in closed if question.response] or closed
    return closed if len(closed) == 1 else []


async def _asked(
    session: AsyncSession, house: House, text: Text, meant: Answer, said: Handled, *, passed_on: bool = False
) -> Handled:
    """An answer that is asked back. Help that was asked for leaves a trace until it is plain who asked.

    `passed_on`: any other answer is kept as well, because there is nothing that it could answer later.
    """
    words = as_words(text.inbound.body)
    maybe_help = meant.response == "need_help" or words.maybe_help
    if maybe_help or passed_on or meant.title or meant.below:
        await report(session, house, text, maybe_help=maybe_help, maybe_stop=words.maybe_stop)
    return said


async def _replied(session: AsyncSession, house: House, text: Text, meant: Answer, told: Question) -> Handled:
    """An answer in reply to an all-clear; with a title in brackets that is no title of ours, it is somebody's words."""
    if not whose.is_titled(told, meant.title):
        if not _counts(meant, words := as_words(text.inbound.body)):
            return await _as_words(session, house, text, meant)
        meant = replace(meant, below=words)
    return await news.replied(session, house, text, meant, told)


async def _some_replied(
    session: AsyncSession, house: House, text: Text, meant: Answer, told: Sequence[Question]
) -> Handled:
    """From a shared phone, in reply to an all-clear: help leaves its trace until it is plain who asked."""
    if len({question.person_id for question in told}) == 1:
        return await _replied(session, house, text, meant, told[0])
    if meant.response != "need_help" and meant.below is None and meant.title is None:
        return news.thanked(told[0], text)
    said = Handled("asked_who", wording.who_needs_help(), drill=drills(told))
    return await _asked(session, house, text, meant, said)


def _counts(meant: Answer, words: Words) -> bool:
    """Whether an answer with its code counts beside words that are no title of ours; the words are kept as well.

    Help does. Anything else only when they stand in brackets, and are no cry for help themselves.
    """
    return meant.code is not None and (meant.response == "need_help" or (meant.bracketed and not words.maybe_help))


async def _as_words(session: AsyncSession, house: House, text: Text, meant: Answer) -> Handled:
    """What stands in brackets is no title of ours, so it is somebody's words, and the digit may be part of them."""
    words = as_words(text.inbound.body)
    maybe_help = words.maybe_help or meant.response == "need_help"
    return await passed_on(session, house, text, Words(words.text, maybe_help, words.maybe_stop))


async def _record(
    session: AsyncSession, house: House, text: Text, meant: Answer, question: Question, *, several: bool = True
) -> Handled:
    """`several`: a digit alone would not do to change this answer."""
    if not whose.is_titled(question, meant.title):
        if not _counts(meant, words := as_words(text.inbound.body)):
            return await _as_words(session, house, text, meant)
        meant = replace(meant, below=words)
    act = Act(meant.response, "sms", text.sent_at(house))
    recorded = await take_answer(session, house, question.id, act, actor=f"person:{question.person_id}")
    assert recorded is not None
    if await _clears_up(session, text, meant):
        # HELP alone was asked back as well; only help that is now asked for by the same person settles that.
        helped = meant.response == "need_help" and text.only is not None
        await reports.cleared_up(session, text.numbers, now=house.clock.now(), helped=helped)
    incident = (recorded.incident_id, recorded.incident_key)
    if meant.below is not None:
        asked = meant.response == "need_help"  # then there is a request already
        await report(session, house, text, maybe_help=meant.below.maybe_help and not asked, incident=incident)
    answer = wording.confirmation(
        meant.response, title=question.title, changed=recorded.before not in (None, meant.response),
        late=recorded.late, drill=question.drill, code=question.code if several else None,
    )  # fmt: skip
    return Handled("answered", answer, recorded.person_id, incident=incident)


async def _clears_up(session: AsyncSession, text: Text, meant: Answer) -> bool:
    """Whether this answer, now recorded, says what those meant that were asked back.

    An OK does only when nothing else waits for this person's answer: help may have been meant for that.
    """
    if meant.response == "need_help":
        return True
    if not meant.code or text.only is None:
        return False
    return not any(question.open for question in await repository.questions(session, text.ids, text.numbers))
