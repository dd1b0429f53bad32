"""The schema is changed while bulletins go out: the change waits for its turn, and nobody waits for the change."""

from __future__ import annotations

import asyncio
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from app.kernel import migrate
from app.kernel.db import Database, rows
from app.kernel.errors import Unavailable
from tests.api.company import CSV
from tests.conftest import ROOT
from tests.databases import create_database, drop_database
from tests.patience import patience
from tests.stack import stack

pytestmark = pytest.mark.slow

REVISION = """
from alembic import op
import sqlalchemy as sa

revision = "later"
down_revision = "{head}"
branch_labels = depends_on = None


def upgrade():
    op.add_column("delivery", sa.Column("something_new", sa.Text()))
    op.add_column("attempt", sa.Column("something_new", sa.Text()))
    op.add_column("person", sa.Column("something_new", sa.Text()))
"""


@pytest.fixture
def own_database(server_url: str, template: str) -> Iterator[str]:
    """One that is thrown away afterwards: its tables are changed."""
    name = f"m_{uuid.uuid4().hex[:12]}"
    yield create_database(server_url, name, template=template)
    drop_database(server_url, name)


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations with one more, which needs the busiest tables for itself alone."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(folder)).get_current_head()
    (folder / "versions" / "9999_later.py").write_text(REVISION.format(head=head))
    return folder


def columns(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'something_new'"
        ).fetchall()
    return {name for (name,) in found}


async def test_a_migration_waits_its_turn_while_bulletins_go_out(
    own_database: str, later: Path, tmp_path: Path
) -> None:
    async with stack(own_database, tmp_path, time_scale=60) as muster:
        await muster.import_people(CSV.encode())
        key = await muster.declare()
        await muster.send(key)
        await muster.settled(key)
        # Somebody's long report: whoever wants a table for itself has to wait for it.
        reader = await psycopg.AsyncConnection.connect(own_database)
        await reader.execute("SELECT count(*) FROM attempt")
        changing = asyncio.create_task(asyncio.to_thread(migrate.upgrade, own_database, folder=later))
        await asyncio.sleep(1)
        await muster.send(key, "identified")
        await muster.settled(key, 2)
        assert not changing.done()
        await reader.rollback()
        await reader.close()
        await asyncio.wait_for(changing, patience(60))
        assert columns(own_database) == {"attempt", "delivery", "person"}
        # The same processes go on with the changed tables, as they do until they are replaced.
        await muster.send(key, "monitoring")
        board = await muster.settled(key, 3)
        assert board["counts"]["waiting"] > 0


def test_one_that_never_gets_its_turn_says_so_and_changes_nothing(own_database: str, later: Path) -> None:
    with psycopg.connect(own_database) as reader, psycopg.connect(own_database, autocommit=True) as sender:
        reader.execute("SELECT count(*) FROM attempt")
        with pytest.raises(Unavailable, match="pg_stat_activity"):
            migrate.upgrade(own_database, patience=3, folder=later)
        assert columns(own_database) == set()
        sender.execute("SET statement_timeout = '1s'")
        sender.execute("DELETE FROM attempt")  # nobody is left waiting behind it
    migrate.upgrade(own_database, patience=3, folder=later)
    assert columns(own_database) == {"attempt", "delivery", "person"}


async def test_two_at_once_both_end_well(own_database: str, later: Path) -> None:
    code = f"import pathlib, app.kernel.migrate as m; m.upgrade({own_database!r}, folder=pathlib.Path({str(later)!r}))"
    both = [await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT) for _ in range(2)]
    assert [await process.wait() for process in both] == [0, 0]
    assert columns(own_database) == {"attempt", "delivery", "person"}


async def test_statements_prepared_before_it_fail_once_at_most(own_database: str, later: Path) -> None:
    db = Database(own_database, pool_size=3)

    async def asked() -> None:
        async with db.begin() as session:
            await rows(session, "SELECT * FROM attempt")
            await rows(session, "SELECT pg_sleep(0.01)")

    for _ in range(8):
        await asyncio.gather(*(asked() for _ in range(3)))
    await asyncio.to_thread(migrate.upgrade, own_database, folder=later)
    failed = 0
    for _ in range(6):
        try:
            await asked()
        except DBAPIError:
            failed += 1
    await db.close()
    assert failed == 1


def test_the_newest_migration_is_known_without_running_any(later: Path) -> None:
    assert migrate.newest(migrate.FOLDER) == set(ScriptDirectory(str(migrate.FOLDER)).get_heads())
    assert migrate.newest(later) == {"later"}
