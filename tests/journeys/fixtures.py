"""Running installations that outlive a test, one for each module that asks; `conftest` files take them from here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.journeys.crew import Crew, Desk, desk, playbook_folder
from tests.spare import Spare
from tests.stack import Stack, stack

__all__ = ["at_the_desk", "crew", "module_database", "muster", "the_desk"]


@pytest.fixture(scope="module")
def module_database(spare: Spare) -> Iterator[str]:
    url = spare.take()
    yield url
    spare.give_back(url)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def muster(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The whole program, sixty times as fast as life: the ladder's second step is due after two seconds."""
    folder = tmp_path_factory.mktemp("muster")
    async with stack(module_database, folder, time_scale=60, playbooks_dir=playbook_folder(folder)) as running:
        yield running


@pytest.fixture
def crew(muster: Stack) -> Crew:
    return Crew(muster)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def the_desk(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The program without a worker, on a clock that moves when told."""
    async with desk(module_database, tmp_path_factory.mktemp("desk")) as running:
        yield running


@pytest.fixture
def at_the_desk(the_desk: Desk) -> Crew:
    return Crew(the_desk)
