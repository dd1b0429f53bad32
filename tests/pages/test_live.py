"""The board keeps itself current: what changed arrives within two seconds, over a real connection."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from app.access import service as access
from app.access.pages import COOKIE
from app.board import api, live_page
from tests.stack import Stack, stack


async def _signed_in(muster: Stack, role: str = "commander") -> str:
    async with muster.house.db.begin() as session:
        link = await access.create_sign_in(session, muster.house.clock, name="Dana Reyes", role=role)
        return await access.sign_in(session, muster.house.clock, link)


async def _parts(response: httpx2.Response) -> AsyncIterator[tuple[str, str]]:
    """(element id, HTML) of each part as it arrives."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            part = json.loads(line[6:])
            yield part["id"], part["html"]


async def test_a_stream_that_has_nothing_to_say_is_heard_every_ten_seconds(database_url: str, tmp_path: Path) -> None:
    assert live_page.LOOK_SECONDS <= 10
    assert api.KEEP_ALIVE_SECONDS <= 10
    async with stack(database_url, tmp_path, worker=False) as muster:
        await muster.import_people(PEOPLE)
        key = await muster.declare()
        secret = await _signed_in(muster)
        browser = httpx2.AsyncClient(
            verify=False, base_url=muster.base_url, cookies={COOKIE: secret}, trust_env=False, timeout=30
        )
        async with browser, browser.stream("GET", f"/incidents/{key}/live") as response:
            lines = response.aiter_lines()
            async with asyncio.timeout(10):
                async for line in lines:
                    if line == "event: heartbeat":
                        break
                part = json.loads((await anext(lines))[6:])
    assert part["id"] == "part-as-of"
    assert re.search(r"As of \d\d:\d\d:\d\d UTC", part["html"])


async def _until(parts: AsyncIterator[tuple[str, str]], element: str, words: str) -> float:
    """Reads on until this part holds these words; the seconds it took."""
    began = time.monotonic()
    async with asyncio.timeout(10):
        async for name, html in parts:
            if name == element and words in html:
                return time.monotonic() - began
    raise AssertionError(f"the stream ended before {element} said {words!r}")


PEOPLE = b"""id,name,department,title,site,mobile
C1,Amara Vance,Store Operations,Cashier,Dallas,+19725550101
C2,Wen Patel,IT,Service Desk Analyst,Paris,+19725550102
"""


async def test_what_changed_arrives_within_two_seconds(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path, worker=False) as muster:
        await muster.import_people(PEOPLE)
        key = await muster.declare()
        await muster.send(key)
        secret = await _signed_in(muster)
        browser = httpx2.AsyncClient(
            verify=False, base_url=muster.base_url, cookies={COOKIE: secret}, trust_env=False, timeout=30
        )
        async with browser, browser.stream("GET", f"/incidents/{key}/live") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            parts = _parts(response)
            await _until(parts, "part-timeline", "Bulletin 1 sent to 2 people")
            await muster.call(
                "POST", f"/incidents/{key}/bulletins/1/recipients/C1/acknowledgment",
                {"response": "need_help", "via": "phone", "note": "rang in"},
            )  # fmt: skip
            took = await _until(parts, "part-help", "Amara Vance")
            assert took < 2.0, took
            await muster.reply("+19725550101", "The gate is stuck and it is getting loud")
            assert await _until(parts, "part-help", "The gate is stuck") < 2.0, "the person's words reach an open board"
            await muster.call("PATCH", f"/incidents/{key}", {"status": "identified", "reason": "found it"})
            assert await _until(parts, "part-head", "Identified") < 2.0


async def test_who_writes_is_seen_on_an_open_board_until_they_stop(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path, worker=False) as muster:
        await muster.import_people(PEOPLE)
        key = await muster.declare()
        board, writer = [
            httpx2.AsyncClient(
                verify=False, base_url=muster.base_url, cookies={COOKIE: secret}, trust_env=False, timeout=30
            )
            for secret in (await _signed_in(muster, "viewer"), await _signed_in(muster))
        ]
        async with board, writer, board.stream("GET", f"/incidents/{key}/live") as response:
            parts = _parts(response)
            await _until(parts, "part-timeline", "Declared")
            assert (await board.get(f"/incidents/{key}/bulletins/new/live")).status_code == 403
            await writer.get(f"/incidents/{key}/bulletins/new")
            assert await _until(parts, "part-writing", "Dana Reyes is writing bulletin 1") < 2.0
            async with writer.stream("GET", f"/incidents/{key}/bulletins/new/live") as mine:
                theirs = _parts(mine)
                await muster.call("POST", f"/incidents/{key}/bulletins", {"stage": "investigating"}, status=201)
                await _until(theirs, "part-writing", "an admin is writing bulletin 1")


async def test_the_stream_ends_with_the_session_and_shows_only_the_filter(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path, worker=False) as muster:
        await muster.import_people(PEOPLE)
        key = await muster.declare()
        await muster.send(key)
        secret = await _signed_in(muster, "viewer")
        browser = httpx2.AsyncClient(
            verify=False, base_url=muster.base_url, cookies={COOKIE: secret}, trust_env=False, timeout=30
        )
        async with browser, browser.stream("GET", f"/incidents/{key}/live?department=IT") as response:
            parts = _parts(response)
            async with asyncio.timeout(10):
                async for name, html in parts:
                    if name == "part-people":
                        assert "Wen Patel" in html
                        assert "Amara Vance" not in html
                    if name == "part-timeline":
                        break
            async with muster.house.db.begin() as session:
                await access.sign_out(session, muster.house.clock, secret)
            await muster.call("PATCH", f"/incidents/{key}", {"status": "identified", "reason": "found it"})
            async with asyncio.timeout(10):
                assert [name async for name, _ in parts] == [], "nothing more is told, and the stream is over"
            assert (await browser.get(f"/incidents/{key}/live")).status_code == 401
