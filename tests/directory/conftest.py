"""A fresh, migrated database for each test, copied from one that is migrated once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.config import Config
from sqlalchemy import create_engine

from alembic import command
from app.directory import service
from app.directory.importing import Report
from app.kernel.clock import ManualClock
from app.kernel.db import Database, sqlalchemy_url

SERVER = os.environ.get("MUSTER_TEST_DATABASE_URL", "postgresql://muster@127.0.0.1:54999/").rstrip("/")
ROOT = Path(__file__).parents[2]


def _administer(statement: str) -> None:
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def migrated_template() -> Iterator[str]:
    name = f"directory_template_{uuid4().hex[:12]}"
    _administer(f"CREATE DATABASE {name}")
    engine = create_engine(sqlalchemy_url(f"{SERVER}/{name}"))
    config = Config(str(ROOT / "alembic.ini"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    yield name
    _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def db(migrated_template: str) -> AsyncIterator[Database]:
    name = f"directory_{uuid4().hex[:12]}"
    _administer(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    database = Database(f"{SERVER}/{name}", pool_size=3)
    yield database
    await database.close()
    _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 3, 0, tzinfo=UTC))


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
