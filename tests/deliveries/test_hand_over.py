"""Many workers, late answers and lost leases: everybody gets one message, nobody two."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.channels.port import Providers
from app.channels.smtp import SmtpEmail
from app.deliveries import handover
from app.deliveries.dispatcher import Dispatcher
from app.escalations.timer import Timer
from app.kernel.db import run
from tests.channels.wires import talking
from tests.journeys.crew import STEP_SECONDS, Crew, Desk, a_person, adds_up, faults, tried
from tests.patience import patience


async def duplicates(desk: Desk) -> int:
    return int((await desk.carrier.get("/simulator/stats")).json()["duplicates"])


async def test_three_workers_at_once_hand_each_message_over_once(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(90)] + [a_person(mobile="") for _ in range(20)]
    key = await at_the_desk.told(*people)
    await faults(the_desk, latency_ms=20)
    workers = [Dispatcher(the_desk.house, the_desk.providers, f"worker {n}") for n in range(3)]
    calls = await asyncio.gather(*(worker.drain() for worker in workers))
    await faults(the_desk, latency_ms=None)
    assert sum(calls) >= 110
    assert {a["state"] for a in await the_desk.attempts(key)} == {"accepted"}
    texts = Counter(text["to"] for text in await the_desk.texts())
    assert {texts[person.mobile] for person in people if person.mobile} == {1}
    mails = Counter(mail["to"] for mail in await the_desk.emails())
    assert {mails[person.email] for person in people if not person.mobile} == {1}
    assert await duplicates(the_desk) == 0


async def test_two_timers_take_each_step_once(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(60)]
    key = await at_the_desk.told(*people)
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=STEP_SECONDS)
    moved = await asyncio.gather(*(Timer(the_desk.house).step() for _ in range(4)))
    assert sum(moved) >= 60
    emails = Counter(a["employee_id"] for a in await the_desk.attempts(key) if a["channel"] == "email")
    assert emails == {person.id: 1 for person in people}
    noted = await the_desk.call("GET", f"/incidents/{key}/timeline", params={"limit": 200})
    fallbacks = [entry["data"]["people"] for entry in noted["items"] if entry["kind"] == "fallback"]
    assert sum(fallbacks) == 60


async def test_an_answer_that_comes_after_the_lease_ended_is_still_proof(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await faults(the_desk, latency_ms=1500)
    late = asyncio.create_task(the_desk.hand_over("a slow worker"))

    async def under_way() -> bool:
        return {attempt["state"] for attempt in await the_desk.attempts(key)} == {"handing_over"}

    await the_desk.until(under_way)
    async with the_desk.house.db.begin() as session:
        await run(session, "UPDATE attempt SET lease_until = clock_timestamp() WHERE state = 'handing_over'")
    await the_desk.settle_unknown()
    (attempt,) = await the_desk.attempts(key)
    assert attempt["state"] == "unknown"
    assert (await at_the_desk.person(key, person))["status"] == "pending"
    await late
    await faults(the_desk, latency_ms=None)
    (attempt,) = await the_desk.attempts(key)
    assert attempt["state"] == "accepted"
    assert (await the_desk.texts(person.mobile))[0]["sid"] == attempt["provider_message_id"]
    await the_desk.hand_over("the next worker")
    assert len(await the_desk.texts(person.mobile)) == 1


async def test_a_mail_whose_worker_dies_before_it_left_goes_out_after_all_and_once(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    """A mail server keeps no records to look in; so it is noted when the mail itself begins to leave."""
    person = a_person(mobile="")
    key = await at_the_desk.told(person)
    hanging, over = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 slow\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"RCPT"):
                hanging.set()
                with contextlib.suppress(TimeoutError):  # a test that fails must not hang as well
                    await asyncio.wait_for(over.wait(), patience(15))
            writer.write(b"250 OK\r\n")

    async with talking(talk) as wire:
        slow = SmtpEmail(
            host="127.0.0.1", port=wire.port, tls=False, username=None, password=None, sender="muster@example.org",
            reply_to=None,
        )  # fmt: skip
        worker = Dispatcher(the_desk.house, Providers({"email": slow}), "dying")
        dying = asyncio.create_task(worker.drain())
        await asyncio.wait_for(hanging.wait(), patience(20))
        dead = asyncio.create_task(worker.stop())  # it takes nothing new
        async with the_desk.house.db.begin() as session:
            await run(session, "UPDATE attempt SET lease_until = clock_timestamp() WHERE state = 'handing_over'")
        await the_desk.settle_unknown()
        (attempt,) = await the_desk.attempts(key)
        assert attempt["state"] == "queued"
        await the_desk.hand_over("the next worker")
        over.set()
        dying.cancel()
        dead.cancel()
        await asyncio.gather(dying, dead, return_exceptions=True)
    (attempt,) = await the_desk.attempts(key)
    assert attempt["state"] == "accepted"
    assert len(await the_desk.emails(person.email)) == 1


async def test_a_mail_that_another_worker_holds_by_now_is_not_begun(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person(mobile="")
    key = await at_the_desk.told(person)
    async with the_desk.house.db.begin() as session:
        await run(session, "UPDATE attempt SET state = 'handing_over', lease_until = now() + interval '1 minute'")
    (attempt,) = await the_desk.attempts(key)
    for fence, ours in ((attempt["fence"] + 1, False), (attempt["fence"], True)):
        async with the_desk.house.db.begin() as session:
            assert await handover.begin(session, attempt["id"], fence) is ours
    async with the_desk.house.db.begin() as session:
        await run(session, "UPDATE attempt SET lease_until = clock_timestamp() WHERE state = 'handing_over'")
    await the_desk.settle_unknown()
    (attempt,) = await the_desk.attempts(key)
    assert attempt["state"] == "unknown", "it may have left"


async def test_a_refusal_that_comes_after_the_lease_ended_changes_nothing(the_desk: Desk, at_the_desk: Crew) -> None:
    """Another worker may hold the message by then; only proof that the provider has it is taken from a late answer."""
    person = a_person("0001")
    key = await at_the_desk.told(person)
    await faults(the_desk, latency_ms=1500)
    late = asyncio.create_task(the_desk.hand_over("a slow worker"))

    async def under_way() -> bool:
        return {attempt["state"] for attempt in await the_desk.attempts(key)} == {"handing_over"}

    await the_desk.until(under_way)
    async with the_desk.house.db.begin() as session:
        await run(session, "UPDATE attempt SET lease_until = clock_timestamp() WHERE state = 'handing_over'")
    await the_desk.settle_unknown()
    await late
    await faults(the_desk, latency_ms=None)
    (attempt,) = await the_desk.attempts(key)
    assert (attempt["state"], attempt["error_code"]) == ("unknown", None)


async def test_a_worker_that_is_stopped_gives_back_what_it_had_not_begun(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(200)]
    key = await at_the_desk.told(*people)
    await faults(the_desk, latency_ms=300)
    stopped = Dispatcher(the_desk.house, the_desk.providers, "stopped early")
    draining = asyncio.create_task(stopped.drain())

    async def begun() -> bool:
        return any(a["state"] == "handing_over" for a in await the_desk.attempts(key))

    await the_desk.until(begun)
    await stopped.stop()
    await draining
    await faults(the_desk, latency_ms=None)
    states = Counter(a["state"] for a in await the_desk.attempts(key))
    assert set(states) == {"accepted", "queued"}
    assert all(a["lease_until"] is None for a in await the_desk.attempts(key))
    adds_up(await the_desk.board(key))
    await the_desk.hand_over("the next worker")
    assert {a["state"] for a in await the_desk.attempts(key)} == {"accepted"}
    assert await duplicates(the_desk) == 0


async def test_one_number_that_fails_holds_up_nobody_else(the_desk: Desk, at_the_desk: Crew) -> None:
    """A 500 for one number is no carrier that is down: the others go out in the same round."""
    bad = [a_person("4002", email=""), a_person("4005", email="")]
    others = [a_person(email="") for _ in range(200)]
    key = await at_the_desk.told(*bad, *others)
    await the_desk.hand_over()
    states = Counter(a["state"] for a in await the_desk.attempts(key))
    assert states == {"accepted": 200, "unknown": 2}


@asynccontextmanager
async def _a_slow_mail_server(thinking: Callable[[], Awaitable[Any]]) -> AsyncIterator[tuple[SmtpEmail, bytearray]]:
    """One that thinks about each recipient; with what it has heard."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 slow\r\n")
        while True:
            line = (await reader.readuntil(b"\r\n")).upper()
            if line.startswith(b"RCPT"):
                await thinking()
            writer.write(b"354 go on\r\n" if line.startswith(b"DATA") else b"250 OK\r\n")
            if line.startswith(b"DATA"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 stored\r\n")

    async with talking(talk) as wire:
        slow = SmtpEmail(
            host="127.0.0.1", port=wire.port, tls=False, username=None, password=None, sender="muster@example.org",
            reply_to=None,
        )  # fmt: skip
        yield slow, wire.heard
        await slow.close()


async def test_a_mail_server_that_takes_its_time_gets_the_mail_all_the_same(the_desk: Desk, at_the_desk: Crew) -> None:
    """Servers that ask back about a recipient, or slow everybody down, take seconds before the words may follow; and
    more mails than connections wait for one. None is begun a second time for that."""
    people = [a_person(mobile="") for _ in range(8)]
    key = await at_the_desk.told(*people)
    async with _a_slow_mail_server(lambda: asyncio.sleep(1.2)) as (slow, heard):
        worker = Dispatcher(the_desk.house, Providers({"email": slow}), "patient")

        async def all_sent() -> bool:
            await worker.drain()
            return {a["state"] for a in await the_desk.attempts(key)} == {"accepted"}

        await the_desk.until(all_sent, seconds=60)
        await worker.stop()
        said = bytes(heard).decode().upper()
        assert [said.count(f"RCPT TO:<{person.email.upper()}>") for person in people] == [1] * len(people)
        assert {a["tries"] for a in await the_desk.attempts(key)} == {1}


@pytest.mark.parametrize("ends", ["cancelled", "answered", "stopped"])
async def test_mails_that_wait_for_their_connection_can_still_be_stopped(
    the_desk: Desk, at_the_desk: Crew, ends: str
) -> None:
    """By a cancellation, by an answer, and by a worker that is told to stop: it finishes what the server is about to
    have."""
    people = [a_person(mobile="") for _ in range(24)]
    key = await at_the_desk.told(*people)
    thought = asyncio.Event()
    async with _a_slow_mail_server(thought.wait) as (slow, heard):
        worker = Dispatcher(the_desk.house, Providers({"email": slow}), "patient")
        draining = asyncio.create_task(worker.drain())

        async def every_connection_is_busy() -> bool:
            return bytes(heard).upper().count(b"RCPT TO:") >= 4

        await the_desk.until(every_connection_is_busy)
        stopping = None
        try:
            if ends == "cancelled":
                await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
            elif ends == "answered":
                said = {"response": "ok", "via": "phone", "note": "Rang the desk"}
                for person in people:
                    path = f"/incidents/{key}/bulletins/1/recipients/{person.id}/acknowledgment"
                    await the_desk.call("POST", path, said)
            else:
                stopping = asyncio.create_task(worker.stop())
                await asyncio.sleep(0)
        finally:
            thought.set()
        await draining
        if stopping:
            await stopping
        # A stop finishes what is on the connections; the others come before the words even there.
        states = Counter(a["state"] for a in await the_desk.attempts(key))
        assert states["accepted"] == bytes(heard).count(b"\r\n.\r\n") <= (4 if stopping else 0)
        assert states["queued" if stopping else "cancelled"] == len(people) - states["accepted"]
        await worker.stop()


async def test_cancelling_while_three_workers_send_and_people_answer(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person(email="") for _ in range(120)]
    key = await at_the_desk.told(*people)
    await faults(the_desk, latency_ms=15)

    async def cancel() -> None:
        async def some() -> bool:
            return any(a["state"] == "accepted" for a in await the_desk.attempts(key))

        await the_desk.until(some)
        await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")

    async def answer() -> None:
        for person in people[::9]:
            await the_desk.text(person.mobile, "1")

    workers = [the_desk.hand_over(f"worker {n}") for n in range(3)]
    await asyncio.gather(cancel(), answer(), *workers)
    await faults(the_desk, latency_ms=None)
    await the_desk.hand_over()
    board = await the_desk.board(key)
    adds_up(board)
    states = Counter(a["state"] for a in await the_desk.attempts(key))
    assert set(states) <= {"accepted", "cancelled"}
    texts = Counter(text["to"] for text in await the_desk.texts())
    assert states["accepted"] == sum(texts[person.mobile] for person in people)
    assert max(texts[person.mobile] for person in people) == 1
    assert board["counts"]["pending"] == board["counts"]["unreachable"] == 0
    answered = len(people[::9])
    assert board["counts"]["acknowledged"] == answered
    assert board["counts"]["waiting"] + board["counts"]["cancelled"] == len(people) - answered


async def test_what_was_not_taken_waits_and_is_tried_again(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(6)]
    key = await at_the_desk.told(*people)
    await faults(the_desk, http="429", count=4)
    await the_desk.hand_over()
    states = Counter(a["state"] for a in await the_desk.attempts(key))
    assert states == {"queued": 4, "accepted": 2}
    waiting = [a for a in await the_desk.attempts(key) if a["state"] == "queued"]
    assert all(a["not_before"] > the_desk.clock.now() for a in waiting)
    assert {(a["error_code"], a["tries"]) for a in waiting} == {(20429, 1)}
    the_desk.clock.advance(seconds=30)
    await the_desk.hand_over()
    assert {a["state"] for a in await the_desk.attempts(key)} == {"accepted"}
    for person in people:
        assert tried(await at_the_desk.person(key, person)) == [("sms", "accepted")]
