"""An idle worker asks one question: whether it would find anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.deliveries import service
from app.kernel.db import run
from tests.journeys.crew import Crew, Desk, a_person, desk


@pytest.fixture
async def muster(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(database_url, tmp_path) as running:
        yield running


async def _held_until(muster: Desk, state: str, until: str) -> None:
    async with muster.house.db.begin() as session:
        await run(
            session, f"UPDATE attempt SET state = '{state}', lease_until = clock_timestamp() + interval '{until}'"
        )


async def test_work_waits_when_something_is_due_or_a_worker_fell_silent(muster: Desk) -> None:
    assert not await service.work_waits(muster.house)
    await Crew(muster).told(a_person(email=""))
    assert await service.work_waits(muster.house)
    muster.clock.advance(seconds=-60)
    assert not await service.work_waits(muster.house), "it is not due yet"
    await _held_until(muster, "handing_over", "1 minute")
    assert not await service.work_waits(muster.house)
    await _held_until(muster, "handing_over", "-1 second")
    assert await service.work_waits(muster.house)
    await _held_until(muster, "cancelled", "-1 second")
    assert not await service.work_waits(muster.house)
