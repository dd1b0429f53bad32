"""One running installation for all of the API's tests: each declares incidents of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.kernel.postgres import create_database, drop_database
from tests.api.company import CSV
from tests.stack import Stack, stack


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def muster(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Web, worker and a silent carrier, with the small company imported."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    url = create_database(server_url, name, template=template)
    async with stack(url, tmp_path_factory.mktemp("muster")) as running:
        await running.import_people(CSV.encode())
        yield running
    drop_database(server_url, name)
