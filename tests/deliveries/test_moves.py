"""Every move that an attempt makes, as the database saw it, is in the table of moves; and every state occurs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import pytest_asyncio

from app.deliveries.states import MOVES, PROVIDER_STATUSES, State
from app.kernel.db import run
from tests.deliveries.test_states import PROVIDER_CHAIN, reachable
from tests.journeys.crew import Crew, Desk, a_person, faults, statement

WATCH = """
CREATE TABLE seen_move (before text, after text);
CREATE FUNCTION see_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN INSERT INTO seen_move VALUES (NULL, NEW.state);
  ELSIF NEW.state <> OLD.state THEN INSERT INTO seen_move VALUES (OLD.state, NEW.state); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER see_move AFTER INSERT OR UPDATE ON attempt FOR EACH ROW EXECUTE FUNCTION see_move();
"""


def allowed(before: State, after: State) -> bool:
    """A single step of the table, or a callback's skip forward from where the provider may have the message."""
    if after in MOVES[before]:
        return True
    return after in PROVIDER_CHAIN and after in {later for step in MOVES[before] for later in reachable(step)}


@dataclass
class Story:
    """What the database saw, and what went wrong on the way."""

    moves: set[tuple[State, State]] = field(default_factory=set)
    begun_as: set[str] = field(default_factory=set)


async def _callbacks(desk: Desk, crew: Crew) -> None:
    """One person for each order in which a provider may tell: stepwise, skipping, falling back, contradicting."""
    told = [
        ["queued", "sending", "sent", "delivered", "read"], ["delivered", "sent"], ["read"], ["sent", "undelivered"],
        ["undelivered", "delivered"], ["sent", "failed", "delivered"], ["sending", "canceled"],
        ["canceled", "undelivered", "failed"], ["rerouted", "sent", "sending", "queued"],
    ]  # fmt: skip
    people = [a_person() for _ in told]
    key = await crew.told(*people)
    await desk.hand_over()
    by_person = {attempt["employee_id"]: attempt for attempt in await desk.attempts(key)}
    for person, statuses in zip(people, told, strict=True):
        attempt = by_person[person.id]
        for status in statuses:
            code = 30003 if status in ("undelivered", "failed") else None
            await desk.callback(attempt["id"], attempt["provider_message_id"], status, code)


async def _refused_and_stopped(desk: Desk, crew: Crew) -> None:
    people = [a_person(fate) for fate in ("0001", "0004", "0008", "0006", "0006", "0006")]
    key = await crew.told(*people)
    leaver, stopper, answerer = people[3:]
    await crew.hire(type(leaver)(**{**vars(leaver), "active": False}))
    await desk.text(stopper.mobile, "STOP")
    await desk.text(answerer.mobile, "1")
    await desk.hand_over()
    await desk.take_steps()
    await desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    desk.clock.advance(seconds=60)
    await desk.hand_over()


async def _unknown(desk: Desk, crew: Crew) -> None:
    proven, lost, mailed = a_person("4002"), a_person("4006"), a_person(mobile="", email=f"cut+{crew.site[-8:]}@ex.org")
    key = await crew.told(proven, lost, mailed)
    await desk.hand_over()
    desk.clock.advance(seconds=2)
    await Crew(desk).told(a_person())  # the control: a message accepted after the unknown calls
    await desk.hand_over()
    desk.clock.advance(seconds=desk.house.settle_seconds + 1)
    await desk.settle_unknown()  # found in the list, absent from it, and a mail that nothing can prove
    await desk.hand_over()
    for attempt in await desk.attempts(key):
        if attempt["state"] == "absent":  # a list that was wrong: the callback comes after all
            await desk.callback(attempt["id"], "SM" + f"{attempt['id']:032x}", "sent")


async def _uncertain(desk: Desk, crew: Crew) -> None:
    people = [a_person("4005"), a_person("4005")]
    key = await crew.told(*people)
    await desk.hand_over()
    await faults(desk, list="empty")
    for _ in range(5):
        desk.clock.advance(seconds=desk.house.settle_seconds)
        await desk.settle_unknown()
    await faults(desk, list=None)
    attempt = (await desk.attempts(key))[0]
    (text,) = await desk.texts(people[0].mobile)
    await desk.callback(attempt["id"], text["sid"], "delivered")


async def _silent_worker(desk: Desk, crew: Crew) -> None:
    """Killed while the carrier had not answered yet; its lease runs out."""
    key = await crew.told(a_person())
    await faults(desk, http="hang_before")
    killed = asyncio.create_task(desk.hand_over("gone"))

    async def under_way() -> bool:
        return {attempt["state"] for attempt in await desk.attempts(key)} == {"handing_over"}

    await desk.until(under_way)
    killed.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killed
    await faults(desk, http=None)
    async with desk.house.db.begin() as session:
        await run(session, "UPDATE attempt SET lease_until = clock_timestamp() WHERE state = 'handing_over'")
    await desk.settle_unknown()
    assert {attempt["state"] for attempt in await desk.attempts(key)} == {"unknown"}


async def _waited_too_long(desk: Desk, crew: Crew) -> None:
    await crew.told(a_person(), severity="SEV2")
    await faults(desk, http="429")
    await desk.hand_over()
    await faults(desk, http=None)
    desk.clock.advance(seconds=timedelta(days=2).total_seconds())
    await desk.take_steps()
    await desk.hand_over()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def story(the_desk: Desk, module_database: str) -> AsyncIterator[Story]:
    await statement(module_database, WATCH)
    for part in (_callbacks, _refused_and_stopped, _unknown, _uncertain, _silent_worker, _waited_too_long):
        await part(the_desk, Crew(the_desk))
    told = Story()
    for before, after in await statement(module_database, "SELECT DISTINCT before, after FROM seen_move"):
        if before is None:
            told.begun_as.add(after)
        else:
            told.moves.add((State(before), State(after)))
    yield told


async def test_every_move_that_happens_is_in_the_table(story: Story) -> None:
    assert story.begun_as == {"queued"}
    assert [move for move in sorted(story.moves) if not allowed(*move)] == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
async def test_the_state_occurs(story: Story, state: State) -> None:
    assert state in {after for _, after in story.moves}


async def test_every_step_out_of_our_own_hands_occurs(story: Story) -> None:
    """The steps that callbacks only skip over need not; all that our own code takes must."""
    ours = {
        (before, after) for before, steps in MOVES.items() for after in steps if before not in PROVIDER_CHAIN
    } - {(State.HANDING_OVER, State.ACCEPTED), (State.ABSENT, State.ACCEPTED), (State.UNCERTAIN, State.ACCEPTED),
         (State.UNKNOWN, State.ACCEPTED)}  # fmt: skip
    assert sorted(ours - story.moves) == []
    from_unknown = {after for before, after in story.moves if before is State.UNKNOWN}
    assert from_unknown & set(PROVIDER_CHAIN)


async def test_every_status_word_of_the_provider_has_a_state_in_the_chain() -> None:
    assert {row.state for row in PROVIDER_STATUSES.values()} <= set(PROVIDER_CHAIN)
