"""What every test can have: a fresh migrated database, a house on it, a clock that moves when told."""

from __future__ import annotations

import gc
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.kernel import migrate
from app.kernel.clock import ManualClock
from app.kernel.db import Database
from app.kernel.house import House
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs, make_app
from app.kernel.postgres import EmbeddedPostgres
from tests import effort, log_guard
from tests.databases import create_database
from tests.order import in_blocks
from tests.spare import Spare

ROOT = Path(__file__).resolve().parents[1]
PEOPLE_600 = ROOT / "tests" / "data" / "people-600.csv"
SECRET = "a test's secret key, long enough"

effort.profile()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings around the test run never reach a test."""
    for name in list(os.environ):
        if name.startswith(("MUSTER_", "TWILIO_")):
            monkeypatch.delenv(name)


def pytest_configure() -> None:
    log_guard.install()
    gc.disable()  # what is imported from here on stays


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    in_blocks(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """Modules and tests are never garbage: looking through them again and again takes longer than many a test."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _clean_logs() -> Iterator[None]:
    """What is logged while shared fixtures end, after the last test that can be blamed."""
    yield
    found = log_guard.GUARD.take()
    assert not found, "a log line holds what must never be in one:\n" + "\n".join(found)


@pytest.fixture(autouse=True)
def _clean_log(_clean_logs: None) -> Iterator[None]:
    """No test may write a number, an address or a secret into a log."""
    yield
    found = log_guard.GUARD.take()
    assert not found, "a log line holds what must never be in one:\n" + "\n".join(found)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One embedded PostgreSQL for the whole run, shared by all of its processes; the last one stops it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    folder = Path(tempfile.gettempdir()) / f"muster-tests-{run[:12]}"
    embedded = EmbeddedPostgres(folder, durable=False)
    yield embedded.start()
    embedded.discard()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a migrated database, to copy from."""
    name = f"template_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    migrate.upgrade(create_database(server_url, name))
    return name


@pytest.fixture(scope="session")
def spare(server_url: str, template: str) -> Iterator[Spare]:
    made = Spare(server_url, template)
    yield made
    made.close()


@pytest.fixture
def database_url(spare: Spare) -> Iterator[str]:
    """A migrated database with nothing in it."""
    url = spare.take()
    yield url
    spare.give_back(url)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=5)
    yield database
    await database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 3, 0, tzinfo=UTC))


@pytest.fixture
def house(db: Database, clock: ManualClock, database_url: str) -> House:
    return House(
        db=db,
        clock=clock,
        signer=Signer(SECRET),
        jobs=Jobs(make_app(database_url)),
        base_url="http://127.0.0.1:8000",
        playbooks_dir=ROOT / "playbooks",
    )
