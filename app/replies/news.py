"""What is a reply to an all-clear: help is always heard, anything else is thanked and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.responses import HELP, Act
from app.kernel.house import House
from app.replies import reports, repository, whose, wording
from app.replies.models import Handled
from app.replies.parse import Answer
from app.replies.questions import Question
from app.replies.recording import take_answer
from app.replies.texts import Text, report


async def had(session: AsyncSession, house: House, text: Text) -> list[Question]:
    """What these people had on their phones when the text was sent, the last first, of closed incidents too."""
    return whose.known_by(await repository.had_lately(session, text.ids, text.numbers), text.sent_at(house))


def within(house: House, text: Text, lately: Sequence[Question]) -> list[Question]:
    """The all-clears that a bare digit may still mean; `lately` as `had` gives it."""
    return whose.fresh_news(lately, text.sent_at(house), time_scale=house.time_scale)


async def meant(session: AsyncSession, house: House, text: Text) -> Question | None:
    """The all-clear that words from this phone reply to: the newest message of one who has nothing else to answer."""
    if text.only is None:
        return None
    questions = await repository.questions(session, text.ids, text.numbers)
    if any(question.open for question in questions):
        return None
    return whose.newest_news(await had(session, house, text), text.only)


async def meant_by_some(
    session: AsyncSession, house: House, text: Text, questions: Sequence[Question]
) -> list[Question]:
    """On a shared phone: the all-clears that whoever writes replies to, when nobody there has anything to answer."""
    if text.only is not None or any(question.open for question in questions):
        return []
    return whose.newest_news_here(await had(session, house, text))


async def replied(session: AsyncSession, house: House, text: Text, said: Answer, news: Question) -> Handled:
    """An answer to an all-clear."""
    asked = said.response == HELP
    if said.below is not None:
        await report(session, house, text, maybe_help=said.below.maybe_help and not asked)
    return await ask_for_help(session, house, text, news) if asked else thanked(news, text)


def thanked(news: Question, text: Text) -> Handled:
    answer = None if text.carrier_word else wording.nothing_to_answer()
    return Handled("thanked", answer, news.person_id if text.only is not None else None, news.drill)


async def ask_for_help(session: AsyncSession, house: House, text: Text, about: Question) -> Handled:
    """Opens a request for help under the message that was replied to, whether its incident is open or closed."""
    act = Act(HELP, "sms", text.sent_at(house))
    recorded = await take_answer(session, house, about.id, act, actor=f"person:{about.person_id}")
    assert recorded is not None
    await reports.cleared_up(session, text.numbers, now=house.clock.now())
    answer = None if text.carrier_word else wording.help_noted(about.title)
    incident = (recorded.incident_id, recorded.incident_key)
    return Handled("answered", answer, recorded.person_id, about.drill, incident=incident)
