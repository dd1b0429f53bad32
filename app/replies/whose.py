"""Whose answer a digit is, and to which question. Pure: it is told what was asked, and says who is meant, or nobody.

Questions come as `repository.questions` gives them, the newest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from app.replies.folding import words_of
from app.replies.questions import Question, Titled
from app.replies.wording import short

DIGIT_RACE_SECONDS = 20.0
"""A bare digit this soon after a newer bulletin went out may still mean the older one. Scaled."""

NEWS_SECONDS = 300.0
"""A bare digit this soon after an all-clear may be meant for it, although another question is open. Scaled."""


def known_by(questions: Sequence[Question], sent: datetime) -> list[Question]:
    """Those that a text of that time can have meant; the provider's records count whole seconds."""
    before = sent + timedelta(seconds=1)
    return [q for q in questions if q.handed_over_at is not None and q.handed_over_at < before]


def fresh_news(lately: Sequence[Question], at: datetime, *, time_scale: float) -> list[Question]:
    """The all-clears that were handed over so lately that a bare digit may be meant for one of them."""
    since = at - timedelta(seconds=NEWS_SECONDS / time_scale)
    return [told for told in lately if not told.asks and told.handed_over_at and told.handed_over_at >= since]


def newest_news(lately: Sequence[Question], person_id: int) -> Question | None:
    """The newest message of a person, if that is an all-clear. `lately`: what was handed over, the last first."""
    newest = next((told for told in lately if told.person_id == person_id), None)
    return newest if newest and not newest.asks else None


def newest_news_here(lately: Sequence[Question]) -> list[Question]:
    """On a shared phone: the newest message that each person got on this number, if all of those are all-clears."""
    newest: dict[int, Question] = {}
    for told in lately:
        if told.here:
            newest.setdefault(told.person_id, told)
    return [] if any(told.asks for told in newest.values()) else list(newest.values())


def is_over(question: Question, at: datetime) -> bool:
    """Whether its reader had heard by then that it is over."""
    return question.over_at is not None and question.over_at <= at


def alone(questions: Sequence[Question], news: Sequence[Question] = ()) -> int | None:
    """On a shared phone: the one person whom a bare digit can come from.

    Whoever alone has an open question on this number; where nobody has, whoever alone was asked on it at all. What a
    person was asked on another number says nothing about this one. `news`: the all-clears that it may mean as well.
    """
    here = [question for question in questions if question.here]
    waiting = {int(question.person_id) for question in here if question.open}
    if waiting:
        waiting |= {int(told.person_id) for told in news if told.here}
    asked = waiting or {int(question.person_id) for question in here}
    return asked.pop() if len(asked) == 1 else None


def signed_by_another(signature: frozenset[str], person_id: int, names: Mapping[int, str]) -> bool:
    """Whether a name below an answer is not this person's, but that of somebody else who has the phone. `names`: of
    everybody there."""
    if not signature:
        return False
    fits = {person for person, name in names.items() if signature.issubset(words_of(name))}
    return bool(fits) and person_id not in fits


def race(newer: Question, questions: Sequence[Question], at: datetime, *, time_scale: float) -> Question | None:
    """The older unanswered question that a digit may still mean, when the newer one has only just gone out.

    Of each incident only the last one before counts: whoever answered that has gone on from those before it.
    """
    handed_over = newer.handed_over_at
    within = timedelta(seconds=DIGIT_RACE_SECONDS / time_scale)
    if handed_over is not None and at - handed_over > within:
        return None
    place = next(place for place, question in enumerate(questions) if question.id == newer.id)
    before: dict[int, Question] = {}
    for question in questions[place + 1 :]:
        if question.handed_over_at is not None:
            before.setdefault(question.incident_id, question)
    return next((question for question in before.values() if question.asks and question.response is None), None)


def is_titled(question: Titled, title: str | None) -> bool:
    """Whether what stands behind an answer is this question's title, whole or as we print it."""
    if title is None:
        return True
    said = words_of(title)
    while said[:1] in (["drill"], ["over"]) and said != words_of(question.title):
        said = said[1:]
    return said in (words_of(question.title), words_of(short(question.title)))
