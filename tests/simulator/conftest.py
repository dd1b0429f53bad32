"""One silent and one lively simulator for the whole folder, forgetting everything before each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .stand import SPEED, Receiver, Stand, listening, standing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder runs on one loop, so that servers can outlive a test."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def everlasting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stand, Stand]]:
    """Two simulators: people silent, and people who answer thousands of times faster than people do."""
    folder = tmp_path_factory.mktemp("simulator")
    async with (
        listening() as one,
        listening() as two,
        standing(folder / "silent.jsonl", one) as silent,
        standing(folder / "lively.jsonl", two, auto=True, speed=SPEED) as lively,
    ):
        yield silent, lively


@pytest_asyncio.fixture(loop_scope="package")
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of the test's own."""
    async with listening() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="package")
async def stand(everlasting: tuple[Stand, Stand]) -> Stand:
    """A simulator whose people stay silent."""
    await everlasting[0].forget()
    return everlasting[0]


@pytest_asyncio.fixture(loop_scope="package")
async def lively(everlasting: tuple[Stand, Stand]) -> Stand:
    """A simulator whose people answer by themselves."""
    await everlasting[1].forget()
    return everlasting[1]
