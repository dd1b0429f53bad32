from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.journeys.crew import PLAYBOOK, Crew, Desk, desk, playbook_folder, shared_loop
from tests.journeys.fixtures import module_database
from tests.stack import Stack, stack

__all__ = ["module_database"]

CALLING = PLAYBOOK.replace(
    "ladder: [{send: sms}, {send: email, after: 2m}]\n",
    "ladder: [{send: sms}, {send: email, after: 2m}, {send: voice, after: 4m}]\n",
).replace("ladder: [{send: sms}]}", "ladder: [{send: voice}, {send: email, after: 1h}]}").replace(
    'sms: "Panne : ${what}. Servez a la main."',
    'sms: "Panne : ${what}. Servez a la main."\n          voice: "Panne, ${what}. Servez à la main."',
)  # fmt: skip
"""The crew's playbook with calls: the third step at SEV1, the first at SEV2."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    shared_loop(items, Path(__file__).parent)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lines(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The whole program with calls, sixty times as fast as life, and people who pick up by themselves."""
    folder = tmp_path_factory.mktemp("lines")
    playbooks = playbook_folder(folder, CALLING)
    channels = ("email", "sms", "voice")
    async with stack(
        module_database, folder, auto=True, time_scale=60, channels=channels, playbooks_dir=playbooks
    ) as running:
        yield running


@pytest.fixture
def people(lines: Stack) -> Crew:
    return Crew(lines)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def a_desk(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The program without a worker, with calls; its phones ring until a test picks them up."""
    folder = tmp_path_factory.mktemp("desk")
    async with desk(module_database, folder, channels=("email", "sms", "voice"), playbook=CALLING) as running:
        yield running


@pytest.fixture
def crew(a_desk: Desk) -> Crew:
    return Crew(a_desk)
