"""A call that was picked up: what to say, and what a pressed key means. Only a key that a person pressed counts."""

from __future__ import annotations

import re

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import ANSWERED_BY
from app.deliveries.responses import Act
from app.kernel.errors import NotFound
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.replies import repository, service, spoken
from app.replies.spoken import KEYS, REPEAT, Message, Turn

UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]+")
"""Signs that have no place in an XML document."""


def is_machine(answered_by: str) -> bool:
    """Whether the provider's word for who picked up means that nobody did."""
    return answered_by.startswith("machine") or answered_by == "fax"


async def picked_up(session: AsyncSession, house: House, attempt_id: int, *, answered_by: str, turn: int) -> Turn:
    """What to say first, and again after silence. Changes nothing. Raises NotFound."""
    call = await _call(session, attempt_id)
    message = await _message(session, call)
    if (ended := _no_longer(call, message)) is not None:
        return ended
    if is_machine(answered_by) or call["machine"]:
        return spoken.on_a_machine(message)
    if call["response"] is not None:
        return spoken.answered_already(message, call["response"], turn)
    return spoken.picked_up(message, turn)


async def pressed(
    session: AsyncSession, house: House, attempt_id: int, *, sid: str, answered_by: str, keys: str, turn: int
) -> Turn:
    """Handles one key, once for each turn of the call, and says what comes next.

    Raises NotFound for what is no call of ours, or another call than the one that was begun for this attempt.

    A message that was replaced, cancelled or closed while it was read is answered no more; but whoever asks for help
    is heard.
    """
    call = await _call(session, attempt_id)
    if call["sid"] not in (None, sid):
        raise NotFound("This callback address belongs to another call.")
    message = await _message(session, call)
    response = KEYS.get(keys)
    if not call["active"] or is_machine(answered_by) or call["machine"]:
        await _keep(session, house, attempt_id, sid, turn, keys, "nobody")
        return spoken.on_a_machine(message) if call["active"] else spoken.nobody_here(drill=call["drill"])
    if (ended := _no_longer(call, message)) is not None and response != "need_help":
        await _keep(session, house, attempt_id, sid, turn, keys, "no_longer")
        return ended
    if response is None:
        await _keep(session, house, attempt_id, sid, turn, keys, "repeat" if keys == REPEAT else "no_choice")
        return spoken.again(message, turn) if keys == REPEAT else spoken.not_a_choice(message, turn)
    before = call["response"]
    if not await _keep(session, house, attempt_id, sid, turn, keys, "answered"):
        # The turn was handled: what counts, and is said, is what was noted then.
        return spoken.noted(message, before, turn, changed=False) if before else spoken.again(message, turn)
    act = Act(response, "voice", house.clock.now())
    await service.take_answer(session, house, call["delivery_id"], act, actor=f"person:{call['person_id']}")
    return spoken.noted(message, response, turn, changed=before not in (None, response))


async def _call(session: AsyncSession, attempt_id: int) -> RowMapping:
    found = await repository.call(session, attempt_id, answered_by=ANSWERED_BY)
    if found is None:
        raise NotFound("This callback address is not one of ours.")
    return found


async def _keep(
    session: AsyncSession, house: House, attempt_id: int, sid: str, turn: int, keys: str, outcome: str
) -> bool:
    """False when this turn of the call was handled already."""
    return await repository.add_keypress(
        session, attempt_id=attempt_id, call_sid=sid, turn=turn, keys=keys, outcome=outcome, now=house.clock.now()
    )


async def _message(session: AsyncSession, call: RowMapping) -> Message:
    """The words as they were sent. What a translation leaves out is in the playbook's own language."""
    playbook = (await playbooks.revision(session, call["revision_id"])).playbook
    language = playbook.language
    if tag := call["language"]:
        script = playbook.script(call["stage"], call["audience"])
        if script.in_language(tag).voice != script.voice:
            language = tag
    return Message(_sayable(call["name"]), _sayable(call["text"]), language, call["drill"])


def _sayable(text: str) -> str:
    return " ".join(UNSPEAKABLE.sub(" ", text).split())


def _no_longer(call: RowMapping, message: Message) -> Turn | None:
    """What is said instead of a message that is not to be answered any more; None for one that is."""
    if not call["active"]:
        return spoken.nobody_here(drill=call["drill"])
    if call["closed_at"] is not None:
        return spoken.over(message)
    if call["newer"]:
        return spoken.replaced(message)
    if call["cancelled_at"] is not None or call["bulletin_state"] != "sent":
        return spoken.over(message)
    return None
