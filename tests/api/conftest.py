"""One running installation for all of the API's tests: each declares incidents of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.company import CSV
from tests.spare import Spare
from tests.stack import Stack, stack


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def muster(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Web, worker and a silent carrier, with the small company imported."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("muster")) as running:
        await running.import_people(CSV.encode())
        yield running
