"""A call whose hand-over was cut off: never made twice, never pretended. The provider's list shows no words."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from app.deliveries.service import WORTH_SECONDS
from app.kernel.db import run
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person, faults
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER

calls = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module")
async def crew(a_desk: Desk) -> Crew:
    """The desk's clock begins with the carrier's in each test; what other tests did lies a day back."""
    async with a_desk.house.db.begin() as session:
        await run(
            session,
            """UPDATE attempt SET accepted_at = accepted_at - interval '1 day', write_by = write_by - interval '1 day',
                      handed_over_at = handed_over_at - interval '1 day'""",
        )
        await run(session, "UPDATE attempt SET state = 'cancelled' WHERE state IN ('queued', 'unknown')")
    a_desk.clock.advance(seconds=(datetime.now(UTC) - a_desk.clock.now()).total_seconds())
    return Crew(a_desk)


async def told(crew: Crew, *people: Person, fault: str | None = None) -> tuple[Desk, str]:
    """The first bulletin at SEV2, by call; every call meets this fault."""
    desk = crew.muster
    assert isinstance(desk, Desk)
    key = await crew.told(*people, severity="SEV2")
    await faults(desk, http=fault)
    await desk.hand_over()
    await faults(desk, http=None)
    return desk, key


async def later(desk: Desk, crew: Crew) -> None:
    """The settling time passes, and another call is accepted after it: the control."""
    desk.clock.advance(seconds=desk.house.settle_seconds + 1)
    other = Crew(desk)
    await other.told(a_person(), severity="SEV2")
    await desk.hand_over()


async def states(desk: Desk, key: str, person: Person) -> list[str]:
    return [e["state"] for e in await desk.attempts(key) if e["employee_id"] == person.id and e["channel"] == "voice"]


ACCEPTED, REFUSED = ("500", "cut"), ("503", "cut_before")


@pytest.mark.parametrize("fault", ACCEPTED)
async def test_a_call_that_was_made_is_found_by_its_number_and_time(crew: Crew, fault: str) -> None:
    person = a_person()
    desk, key = await told(crew, person, fault=fault)
    assert await states(desk, key, person) == ["unknown"]
    await later(desk, crew)
    await desk.settle_unknown()
    (state,) = await states(desk, key, person)
    assert state in ("queued_there", "sending")
    assert len(await desk.calls(person.mobile)) == 1
    (attempt,) = [e for e in await desk.attempts(key) if e["employee_id"] == person.id]
    assert attempt["provider_message_id"] == (await desk.calls(person.mobile))[0]["sid"]


async def test_a_machine_that_only_the_list_tells_of_leads_to_the_next_step(crew: Crew) -> None:
    """Every report was lost: who picked up is in the provider's records too."""
    person = a_person(mobile=a_number("5008"))
    desk, key = await told(crew, person, fault="500")

    async def picked_up() -> bool:
        return bool((await desk.calls(person.mobile))[0]["picked_up"])

    await desk.until(picked_up)
    await later(desk, crew)
    await desk.settle_unknown()
    assert await states(desk, key, person) == ["undelivered"]
    await desk.take_steps()
    assert [e["channel"] for e in await desk.attempts(key) if e["employee_id"] == person.id] == ["voice", "email"]


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_call_that_was_not_made_is_made_again_once_its_absence_is_proven(crew: Crew, fault: str) -> None:
    person = a_person()
    desk, key = await told(crew, person, fault=fault)
    desk.clock.advance(seconds=desk.house.settle_seconds + 1)
    await desk.settle_unknown()
    # Nothing was accepted after it: the list may simply be behind.
    assert await states(desk, key, person) == ["unknown"]
    await later(desk, crew)
    await desk.settle_unknown()
    assert await states(desk, key, person) == ["absent", "queued"]
    await desk.hand_over()
    assert len(await desk.calls(person.mobile)) == 1


@pytest.mark.parametrize("lists", ["empty", "lagging"])
async def test_a_list_that_is_behind_proves_nothing(crew: Crew, lists: str) -> None:
    person = a_person()
    desk, key = await told(crew, person, fault="500")
    await later(desk, crew)
    await faults(desk, list=lists)
    await desk.settle_unknown()
    await faults(desk, list=None)
    assert await states(desk, key, person) == ["unknown"]
    assert len(await desk.calls(person.mobile)) == 1


async def test_a_call_that_nobody_claims_stands_against_absence_and_ends_uncertain(crew: Crew) -> None:
    """Two people share a number and both calls are unknown: which is whose cannot be told."""
    one = a_person()
    other = Person(a_person().id, mobile=one.mobile, email=f"o{next(calls)}@example.org")
    desk, key = await told(crew, one, other, fault="500")
    await later(desk, crew)
    await desk.settle_unknown()
    assert await states(desk, key, one) == await states(desk, key, other) == ["unknown"]
    desk.clock.advance(seconds=5 * desk.house.settle_seconds)
    await desk.settle_unknown()
    assert await states(desk, key, one) == await states(desk, key, other) == ["uncertain"]
    # The next channel is used, and nobody was called twice.
    await desk.take_steps()
    assert [e["channel"] for e in await desk.attempts(key)].count("email") == 2
    assert len(await desk.calls(one.mobile)) == 2


async def test_an_older_call_that_is_not_ours_is_not_taken_for_it(crew: Crew) -> None:
    person = a_person()
    desk = crew.muster
    assert isinstance(desk, Desk)
    answer = await desk.carrier.post(
        f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json", auth=(ACCOUNT, AUTH_TOKEN),
        data={"To": person.mobile, "From": SENDER, "Url": "http://127.0.0.1:9/other"},
    )  # fmt: skip
    assert answer.status_code == 201
    desk.clock.advance(seconds=300)
    desk, key = await told(crew, person, fault="503")
    await later(desk, crew)
    await desk.settle_unknown()
    assert await states(desk, key, person) == ["unknown"]


async def test_a_worker_that_fell_silent_while_calling_leaves_it_unknown(crew: Crew) -> None:
    person = a_person()
    desk, key = await told(crew, person)
    async with desk.house.db.begin() as session:
        await run(
            session,
            """UPDATE attempt SET state = 'handing_over', provider_message_id = NULL, begun_at = NULL,
                      lease_until = now() - interval '1 second' WHERE address = :number""",
            {"number": person.mobile},
        )
    await desk.settle_unknown()
    assert await states(desk, key, person) == ["unknown"]
    await later(desk, crew)
    await desk.settle_unknown()
    assert (await states(desk, key, person))[0] in ("queued_there", "sending")
    assert len(await desk.calls(person.mobile)) == 1


async def test_a_call_that_waited_too_long_in_our_queue_is_not_made(crew: Crew) -> None:
    person = a_person()
    desk = crew.muster
    assert isinstance(desk, Desk)
    key = await crew.told(person, severity="SEV2")
    desk.clock.advance(seconds=WORTH_SECONDS + 1)
    await desk.take_steps()
    await desk.hand_over()
    assert await states(desk, key, person) == ["expired"]
    assert await desk.calls(person.mobile) == []
