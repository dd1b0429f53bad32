"""A time in a form keeps its instant, on the two nights on which clocks change as well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.pages.conftest import Site

K = "/incidents/INC-2026-0001"
FIRST, SECOND = "2026-10-25T00:30:12.345678Z", "2026-10-25T01:30:12.345678Z"
"""Both are 02:30 in Paris."""


@pytest.fixture
async def paris(site: Site) -> Site:
    """The same house in Paris."""
    site.house = replace(site.house, zone=ZoneInfo("Europe/Paris"))
    site.app.state.house = site.house
    await site.people()
    return site


def the_clock_says(site: Site, moment: str) -> None:
    site.clock.advance(seconds=(datetime.fromisoformat(moment) - site.clock.now()).total_seconds())


@pytest.mark.parametrize("instant", [FIRST, SECOND])
async def test_an_untouched_time_keeps_its_instant_in_the_hour_that_comes_twice(paris: Site, instant: str) -> None:
    the_clock_says(paris, "2026-10-24T22:00:00Z")
    await paris.declared(next_update=instant)
    surfer = await paris.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    assert "02:30 CEST (+02:00)" in page.text
    assert "02:30 CET (+01:00)" in page.text
    await surfer.press(page, "/bulletins/new", fact__what_is_down="tills")
    facts = (await paris.one("SELECT facts FROM bulletin"))["facts"]
    assert datetime.fromisoformat(facts["next_update"]) == datetime.fromisoformat(instant)


async def test_the_other_of_two_times_can_be_chosen(paris: Site) -> None:
    the_clock_says(paris, "2026-10-24T22:00:00Z")
    await paris.declared(next_update=FIRST)
    surfer = await paris.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    await surfer.press(page, "/bulletins/new", fact__next_update__offset="+01:00")
    facts = (await paris.one("SELECT facts FROM bulletin"))["facts"]
    assert datetime.fromisoformat(facts["next_update"]) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


async def test_a_time_that_comes_twice_is_asked_about_and_nothing_is_lost(paris: Site) -> None:
    the_clock_says(paris, "2026-10-24T22:00:00Z")
    surfer = await paris.surfer("commander")
    page = await surfer.get("/declare/global-vendor-outage?examples=1")
    asked = await surfer.press(page, "/declare/global-vendor-outage", "Declare", fact__next_update="2026-10-25T02:30")
    assert asked.status == 422
    assert "comes twice that day, as clocks go back; choose 02:30 CEST (+02:00) or 02:30 CET (+01:00)" in asked.text
    assert await paris.count("incident") == 0
    await surfer.press(asked, "/declare/global-vendor-outage", "Declare", fact__next_update__offset="+01:00")
    facts = (await paris.one("SELECT facts FROM incident"))["facts"]
    assert datetime.fromisoformat(facts["next_update"]) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


async def test_a_time_that_does_not_exist_is_refused_with_the_next_one_that_does(paris: Site) -> None:
    the_clock_says(paris, "2026-03-28T22:00:00Z")
    surfer = await paris.surfer("commander")
    page = await surfer.get("/declare/global-vendor-outage?examples=1")
    asked = await surfer.press(page, "/declare/global-vendor-outage", "Declare", fact__next_update="2026-03-29T02:30")
    assert asked.status == 422
    assert "does not exist on 29 Mar: clocks go forward from 02:00 CET to 03:00 CEST" in asked.text
    assert "the next time that exists is 03:00 CEST" in asked.text
    assert ("fact.next_update", "2026-03-29T02:30") in asked.form("/declare/global-vendor-outage").data("Declare")
    assert await paris.count("incident") == 0
