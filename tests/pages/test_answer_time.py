"""An answer recorded for somebody takes the time when they gave it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.web import time_field
from tests.pages.conftest import Site
from tests.pages.surfer import Page, Surfer

K = "/incidents/INC-2026-0001"
ANSWER = "/bulletins/1/people/C1/answer"


async def begun(site: Site) -> tuple[Surfer, Page]:
    """Half an hour after the send, at the board."""
    await site.people()
    await site.sent(await site.declared())
    site.clock.advance(seconds=1800)
    surfer = await site.surfer("commander")
    return surfer, await surfer.get(K)


async def recorded(site: Site) -> Any:
    return (await site.one("SELECT k.at FROM acknowledgment k ORDER BY k.id DESC LIMIT 1"))["at"]


async def test_left_alone_it_is_now(site: Site) -> None:
    surfer, page = await begun(site)
    site.clock.advance(seconds=300)
    await surfer.press(page, ANSWER, response="ok", note="asked at the desk")
    assert await recorded(site) == site.clock.now()


async def test_the_time_that_was_typed_counts(site: Site) -> None:
    surfer, page = await begun(site)
    then = (site.clock.now() - timedelta(minutes=10)).replace(second=0, microsecond=0)
    await surfer.press(page, ANSWER, response="ok", note="asked", at=time_field.text_of(then, site.house.zone))
    assert await recorded(site) == then


@pytest.mark.parametrize(
    ("minutes", "said"), [(30, "This time lies ahead"), (-40, "This time is before the bulletin was sent")]
)
async def test_a_time_that_cannot_be_is_refused_and_what_was_typed_stays(site: Site, minutes: int, said: str) -> None:
    surfer, page = await begun(site)
    typed = time_field.text_of(site.clock.now() + timedelta(minutes=minutes), site.house.zone)
    refused = await surfer.press(page, ANSWER, response="cannot", note="asked at gate 4", at=typed)
    assert refused.status == 422
    assert said in refused.text
    kept = refused.form(ANSWER).data(None)
    assert {("at", typed), ("note", "asked at gate 4"), ("response", "cannot")} <= set(kept)
    assert await site.count("acknowledgment") == 0


async def test_the_minute_of_the_send_means_the_send(site: Site) -> None:
    surfer, page = await begun(site)
    sent = (await site.one("SELECT sent_at FROM bulletin"))["sent_at"]
    minute = time_field.text_of(sent, site.house.zone)
    await surfer.press(page, ANSWER, response="ok", note="asked", at=minute)
    assert await recorded(site) == sent
