"""What follows from each provider error code: one row of the table, one test, through the real database."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.deliveries import repository, service
from app.deliveries.retry import RETRY_AFTER_SECONDS, TREATMENTS, UNKNOWN_CODE, back_off, treatment
from app.kernel.db import rows, run
from tests.journeys.crew import Crew, Desk, Person, a_person

UNKNOWN = 31999
CODES = [*TREATMENTS, UNKNOWN, None]


@dataclass
class Ward:
    """One person for each code, all told by the same bulletin, which the carrier took."""

    desk: Desk
    key: str
    people: dict[int | None, Person]

    async def attempts(self, code: int | None) -> list[dict[str, Any]]:
        person = self.people[code]
        return [attempt for attempt in await self.desk.attempts(self.key) if attempt["employee_id"] == person.id]

    async def fail(self, code: int | None, status: str = "undelivered") -> None:
        """The carrier reports that the last text to this code's person failed."""
        attempt = (await self.attempts(code))[-1]
        sid = attempt["provider_message_id"]
        response = await self.desk.callback(attempt["id"], sid, status, code)
        assert response.status_code == 204

    async def flags(self, code: int | None) -> set[str]:
        async with self.desk.house.db.begin() as session:
            found = await rows(
                session,
                "SELECT reason FROM suppression WHERE address = :address AND channel = 'sms'",
                {"address": self.people[code].mobile},
            )
        return {entry["reason"] for entry in found}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ward(the_desk: Desk) -> AsyncIterator[Ward]:
    people = {code: a_person() for code in CODES}
    key = await Crew(the_desk).told(*people.values())
    assert await the_desk.hand_over() == len(CODES)
    yield Ward(the_desk, key, people)


@pytest.mark.parametrize("code", CODES)
async def test_what_follows_from_a_failure_with_this_code(
    ward: Ward, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    row = treatment(code)
    before = await ward.desk.delivery(ward.key, ward.people[code])
    now = ward.desk.clock.now()
    with caplog.at_level(logging.ERROR):
        await ward.fail(code)
    delivery = await ward.desk.delivery(ward.key, ward.people[code])
    first, *again = await ward.attempts(code)
    assert (first["state"], first["error_code"], first["reason"]) == ("undelivered", code, row.reason)
    assert await ward.flags(code) == ({row.flag} if row.flag else set())
    assert [(a["state"], a["seq"], a["not_before"] - now) for a in again] == (
        [("queued", 1, timedelta(seconds=RETRY_AFTER_SECONDS))] if row.retries else []
    )
    if row.next_channel:
        assert delivery["next_step_at"] == now
    else:
        assert delivery["next_step_at"] == before["next_step_at"] > now
    alarms = [entry.getMessage() for entry in caplog.records if entry.name == "muster.failures"]
    assert bool(alarms) == row.alarm


@pytest.mark.parametrize("code", [code for code, row in TREATMENTS.items() if row.retries])
async def test_retries_end_and_then_the_next_channel_is_used(the_desk: Desk, at_the_desk: Crew, code: int) -> None:
    person = a_person()
    ward = Ward(the_desk, await at_the_desk.told(person), {code: person})
    tries = TREATMENTS[code].retries + 1
    for seq in range(tries):
        assert await the_desk.hand_over() >= 1
        assert len(await ward.attempts(code)) == seq + 1
        await ward.fail(code)
        the_desk.clock.advance(seconds=RETRY_AFTER_SECONDS)
    await the_desk.hand_over()
    texts = await ward.attempts(code)
    assert [(a["seq"], a["state"]) for a in texts] == [(seq, "undelivered") for seq in range(tries)]
    assert len({a["provider_message_id"] for a in texts}) == len(await the_desk.texts(person.mobile)) == tries
    await the_desk.take_steps()
    assert (await ward.attempts(code))[-1]["channel"] == "email"
    assert (await at_the_desk.person(ward.key, person))["status"] == "pending"


REFUSED = {"0001": 21211, "0002": 21612, "0003": 21408, "0004": 21610, "0009": 21614}


@pytest.mark.parametrize(("fate", "code"), REFUSED.items())
async def test_a_refusal_at_the_hand_over_is_final_and_email_goes_out_at_once(
    the_desk: Desk, at_the_desk: Crew, fate: str, code: int
) -> None:
    person = a_person(fate)
    key = await at_the_desk.told(person)
    assert await the_desk.hand_over() >= 1
    assert await the_desk.take_steps() >= 1
    assert await the_desk.hand_over() >= 1
    text, mail = (await at_the_desk.person(key, person))["attempts"]
    assert (text["state"], text["error_code"]) == ("suppressed" if code == 21610 else "rejected", code)
    assert (mail["channel"], mail["state"]) == ("email", "accepted")
    ward = Ward(the_desk, key, {code: person})
    flag = TREATMENTS[code].flag
    assert await ward.flags(code) == ({flag} if flag else set())


async def test_a_full_queue_at_the_carrier_is_waited_for(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person("0008")
    key = await at_the_desk.told(person)
    for _ in range(3):
        assert await the_desk.hand_over() >= 1
        (attempt,) = await the_desk.attempts(key)
        assert (attempt["state"], attempt["error_code"]) == ("queued", 21611)
        the_desk.clock.advance(seconds=30)
    await the_desk.hand_over()
    entry = await at_the_desk.person(key, person)
    assert entry["status"] == "pending"
    assert entry["next_step"] == "email"


async def test_a_flagged_number_is_not_tried_by_the_next_bulletin(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person("0009")
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    number = await the_desk.send(key, "identified")
    (only,) = (await at_the_desk.person(key, person, number))["attempts"]
    assert only["channel"] == "email"


async def test_two_callbacks_about_one_failure_do_not_hurry_the_ladder_twice(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.hand_over()
    (attempt,) = await the_desk.attempts(key)
    for status, code in (("undelivered", 30003), ("failed", 30005), ("undelivered", 30003)):
        assert (await the_desk.callback(attempt["id"], attempt["provider_message_id"], status, code)).status_code == 204
    ward = Ward(the_desk, key, {None: person})
    # The worse of the two codes flags the number too, and the retry that was planned does not go out on it.
    assert await ward.flags(None) == {"invalid"}
    the_desk.clock.advance(seconds=RETRY_AFTER_SECONDS)
    await the_desk.take_steps()
    await the_desk.hand_over()
    states = [(a["channel"], a["state"]) for a in await ward.attempts(None)]
    assert states == [("sms", "failed"), ("sms", "suppressed"), ("email", "accepted")]


def test_an_unknown_code_is_final_and_alarmed() -> None:
    assert treatment(UNKNOWN) is UNKNOWN_CODE
    assert UNKNOWN_CODE.alarm
    assert UNKNOWN_CODE.next_channel
    assert not UNKNOWN_CODE.retries
    assert treatment(None).next_channel


def test_waiting_grows_and_stays_bounded() -> None:
    waits = [back_off(tries) for tries in range(40)]
    assert waits == sorted(waits)
    assert waits[0] == 0.5
    assert waits[-1] == 20.0


async def test_news_that_the_provider_never_has_goes_by_the_next_channel_beside(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    """Three times absent: tried again, and mailed meanwhile. It stays as old as it is."""
    person = a_person()
    key = await at_the_desk.told(person)
    born = (await the_desk.attempts(key))[0]["created_at"]
    for times in range(1, 4):
        attempt = (await the_desk.attempts(key))[-1]
        async with the_desk.house.db.begin() as session:
            await run(
                session,
                """UPDATE attempt SET state = 'unknown', tries = 1, handed_over_at = :now, unknown_since = :now,
                   write_by = :now WHERE id = :id""",
                {"id": attempt["id"], "now": the_desk.clock.now()},
            )
            assert await service.prove_absent(session, attempt["id"], now=the_desk.clock.now())
        await the_desk.take_steps()
        channels = [entry["channel"] for entry in await the_desk.attempts(key)]
        assert channels.count("sms") == times + 1
        assert channels.count("email") == (times == 3)
    last = [entry for entry in await the_desk.attempts(key) if entry["channel"] == "sms"][-1]
    assert last["created_at"] == born
    async with the_desk.house.db.begin() as session:
        # A failure after absences is the first: the promised retry follows.
        assert await repository.failed_before(session, last["delivery_id"], last["rung"], last["seq"]) == 0
