"""Server-sent events: the board within two seconds of the change, each timeline entry once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx2

from tests.journeys.crew import Crew, a_person, adds_up, statement
from tests.patience import patience
from tests.stack import Stack


@dataclass
class Stream:
    """What one open board was told: (seconds, event, data, id)."""

    events: list[tuple[float, str, Any, str]] = field(default_factory=list)

    def of(self, name: str) -> list[Any]:
        return [data for _, kind, data, _ in self.events if kind == name]

    @property
    def board(self) -> Any:
        return self.of("board")[-1]


@contextlib.asynccontextmanager
async def watching(muster: Stack, key: str, last: str = "") -> AsyncIterator[Stream]:
    stream = Stream()
    headers = {"Last-Event-ID": last} if last else {}

    async def listen() -> None:
        request = muster.api.stream("GET", f"/api/v1/incidents/{key}/events", headers=headers, timeout=60)
        async with request as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            name, data, number = "", "", ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("id: "):
                    number = line[4:]
                elif line.startswith("data: "):
                    data += line[6:]
                elif not line and name:
                    stream.events.append((time.monotonic(), name, json.loads(data), number))
                    name, data, number = "", "", ""

    listening = asyncio.create_task(listen())
    try:
        yield stream
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, httpx2.HTTPError):
            await listening


async def shows(stream: Stream, status: str, many: int, *, seconds: float) -> None:
    """Waits until the open board says so; fails when it does not in time."""
    begun = time.monotonic()
    while not stream.of("board") or stream.board["counts"][status] != many:
        assert time.monotonic() - begun < patience(seconds), stream.events[-3:]
        await asyncio.sleep(0.01)


async def test_an_answer_is_on_every_open_board_within_two_seconds(crew: Crew) -> None:
    people = [a_person() for _ in range(3)]
    key = await crew.told(*people, severity="SEV3")
    for person in people:
        await crew.until_attempts(key, person, ("sms", "delivered"))
    async with watching(crew.muster, key) as one, watching(crew.muster, key) as two:
        await shows(one, "waiting", 3, seconds=10)
        await shows(two, "waiting", 3, seconds=10)
        for place, (person, digit, status) in enumerate(
            zip(people, "123", ("acknowledged", "need_help", "cannot"), strict=True)
        ):
            await crew.muster.reply(person.mobile, digit)
            for stream in (one, two):
                await shows(stream, status, 1, seconds=2)
            adds_up(one.board)
            assert one.board["counts"]["waiting"] == 2 - place
        assert one.board["counts"] == (await crew.muster.board(key))["counts"]


async def test_the_board_follows_the_carrier_and_the_ladder(crew: Crew) -> None:
    person, refused = a_person(), a_person("0001", email="")
    await crew.hire(person, refused)
    key = await crew.declare(severity="SEV1")
    async with watching(crew.muster, key) as stream:
        await crew.muster.send(key)
        await shows(stream, "unreachable", 1, seconds=20)
        await shows(stream, "waiting", 1, seconds=20)

        async def mailed() -> bool:
            return bool(stream.board["by_channel"].get("email") == {"accepted": 1})

        await crew.muster.until(mailed, seconds=20)
        boards = stream.of("board")
        for board in boards:
            adds_up(board)
            assert board["total"] == 2
        stamps = [board["as_of"] for board in boards]
        assert stamps == sorted(stamps)
        assert all({**a, "as_of": 0} != {**b, "as_of": 0} for a, b in pairwise(boards))


async def test_each_timeline_entry_comes_once_and_a_return_goes_on_where_it_was(crew: Crew) -> None:
    person = a_person()
    key = await crew.told(person, severity="SEV3")
    await crew.until_attempts(key, person, ("sms", "delivered"))
    async with watching(crew.muster, key) as stream:
        await shows(stream, "waiting", 1, seconds=10)
        await crew.muster.reply(person.mobile, "1")
        await shows(stream, "acknowledged", 1, seconds=10)
        last = stream.events[-1][3] or [number for *_, number in stream.events if number][-1]
        first = stream.of("timeline")
    await crew.muster.reply(person.mobile, "tills are back")
    await crew.muster.reply(person.mobile, "2")
    async with watching(crew.muster, key, last) as again:
        await shows(again, "need_help", 1, seconds=10)

        async def all_there() -> bool:
            return len(again.of("timeline")) >= 4

        await crew.muster.until(all_there)
        second = again.of("timeline")
    told = [entry["seq"] for entry in (*first, *second)]
    assert told == sorted(set(told))
    whole = await crew.muster.call("GET", f"/incidents/{key}/timeline", params={"limit": 200})
    assert sorted(entry["seq"] for entry in whole["items"]) == told
    assert [entry["kind"] for entry in second] == ["field_report", "answer_changed", "help_opened", "help_untold"]


async def test_boards_go_on_when_the_databases_notices_are_lost(crew: Crew, module_database: str) -> None:
    """The one connection that listens is cut: it comes back, and meanwhile boards look by themselves."""
    person = a_person()
    key = await crew.told(person, severity="SEV3")
    await crew.until_attempts(key, person, ("sms", "delivered"))
    async with watching(crew.muster, key) as stream:
        await shows(stream, "waiting", 1, seconds=10)
        cut = await statement(
            module_database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'muster-board' AND datname = current_database()",
        )
        assert cut == [(True,)]
        await crew.muster.reply(person.mobile, "1")
        await shows(stream, "acknowledged", 1, seconds=15)


async def test_events_of_an_incident_that_is_not_there(crew: Crew) -> None:
    answer = await crew.muster.api.get("/api/v1/incidents/INC-1999-0001/events")
    assert answer.status_code == 404
