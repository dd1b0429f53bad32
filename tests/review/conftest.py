"""The story told once for all tests that only read it; each test opens the told database for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.kernel.clock import ManualClock
from app.kernel.db import Database
from app.kernel.house import House
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs, make_app
from app.review import service
from app.review.formats import FORMATS
from app.review.record import Record
from tests.conftest import SECRET
from tests.review import story
from tests.review.story import at
from tests.spare import Spare


@dataclass(frozen=True)
class Told:
    """The story's database and what the review makes of it: after bulletin 1, after bulletin 2, and at the end."""

    url: str
    key: str
    after_first: Record
    after_second: Record
    record: Record
    exports: dict[str, bytes]


def house_on(db: Database, url: str, clock: ManualClock, folder: Path) -> House:
    return House(
        db=db, clock=clock, signer=Signer(SECRET), jobs=Jobs(make_app(url)), base_url="http://127.0.0.1:8000",
        playbooks_dir=folder, zone=ZoneInfo("Europe/Berlin"),
    )  # fmt: skip


async def _tell(url: str, folder: Path) -> Told:
    db, clock = Database(url, pool_size=3), ManualClock(at("03:00:00"))
    house = house_on(db, url, clock, folder)

    async def built() -> Record:
        async with db.begin() as session:
            return await service.build(session, house, teller.key)

    try:
        teller = await story.begun(house, clock, folder)
        first = await built()
        await story.go_on(teller)
        second = await built()
        await story.finish(teller)
        house = replace(house, zone=teller.house.zone)
        exports = {name: await service.export(house, teller.key, name) for name in FORMATS}
        return Told(url, teller.key, first, second, await built(), exports)
    finally:
        await db.close()


@pytest.fixture(scope="session")
def told(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    url = spare.take()
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, apart from each test's
        yield thread.submit(asyncio.run, _tell(url, tmp_path_factory.mktemp("playbooks"))).result()


@pytest.fixture
def record(told: Told) -> Record:
    """The record at the end of the story."""
    return told.record


@pytest.fixture
async def told_house(told: Told, tmp_path: Path) -> AsyncIterator[House]:
    """A house on the told database, at the end of the story. For reading."""
    db = Database(told.url, pool_size=3)
    yield house_on(db, told.url, ManualClock(at("03:55:00")), tmp_path)
    await db.close()
