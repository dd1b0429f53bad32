"""An installation without a worker whose playbook tells others of silence, and keeps quiet hours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.playbooks import service as playbooks
from tests.escalations.cast import PLAYBOOK
from tests.journeys.crew import Crew, Desk, desk, shared_loop
from tests.journeys.fixtures import module_database

__all__ = ["at_the_desk", "module_database", "the_desk"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def the_desk(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with desk(module_database, tmp_path_factory.mktemp("desk")) as running:
        (running.house.playbooks_dir / "silence.yaml").write_text(PLAYBOOK, encoding="utf-8")
        playbooks.forget_folder(running.house.playbooks_dir)
        assert await playbooks.sync(running.house) == ()
        yield running


@pytest.fixture
def at_the_desk(the_desk: Desk) -> Crew:
    return Crew(the_desk)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    shared_loop(items, Path(__file__).parent)
