"""Importing a file and looking at one person: what most of these tests do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.directory import service
from app.directory.importing import Report
from app.kernel.clock import ManualClock
from app.kernel.db import Database

Load = Callable[..., Awaitable[Report]]


@pytest.fixture
def load(db: Database, clock: ManualClock) -> Load:
    """Imports CSV text (or bytes, or a path) as `muster people import --country US` would."""

    async def run(source: str | bytes | Path, **options: Any) -> Report:
        content = bytes(source, "utf-8") if isinstance(source, str) else source
        return await service.import_people(db, clock, content, **({"country": "US", "actor": "account:1"} | options))

    return run


@pytest.fixture
def look(db: Database) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """One person as the directory tells it."""

    async def person(employee_id: str) -> dict[str, Any]:
        async with db.begin() as session:
            return await service.get_person(session, employee_id)

    return person
