"""What is counted at the end of a large change must never cost the change."""

from __future__ import annotations

import logging

import pytest

from app.kernel.db import MANY_ROWS, Database, recount, row, run
from tests.statements import statements

STATE = """SELECT current_user AS role, current_setting('lock_timeout') AS lock,
           current_setting('statement_timeout') AS limit, (SELECT count(*) FROM department) AS departments"""
MADE = f"INSERT INTO department (name, key) SELECT 'D' || n, 'd' || n FROM generate_series(1, {MANY_ROWS}) n"


async def counted(db: Database) -> float:
    async with db.begin() as session:
        found = await row(session, "SELECT reltuples AS n FROM pg_class WHERE relname = 'department'")
    assert found
    return float(found["n"])


async def test_the_role_and_the_limits_are_as_before(db: Database) -> None:
    async with db.begin() as session:
        before = await row(session, STATE)
        await run(session, MADE)
        await recount(session, "department", added=MANY_ROWS)
        after = await row(session, STATE)
    assert before
    assert after
    assert dict(after) == {**before, "departments": MANY_ROWS}
    assert after["role"] == "muster_app"
    assert await counted(db) == MANY_ROWS


async def test_who_holds_the_table_is_waited_for_a_moment_and_the_change_goes_on(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with db.begin() as other:
        await run(other, "RESET ROLE")
        await run(other, "LOCK TABLE department IN SHARE UPDATE EXCLUSIVE MODE")
        async with db.begin() as session:
            before = await row(session, STATE)
            await run(session, MADE)
            with caplog.at_level(logging.WARNING, "muster.db"):
                await recount(session, "department", added=MANY_ROWS)
            after = await row(session, STATE)
    assert before
    assert after
    assert dict(after) == {**before, "departments": MANY_ROWS}
    assert "not counted after a large change" in caplog.text


async def test_a_few_rows_are_not_counted(db: Database) -> None:
    with statements(db) as seen:
        async with db.begin() as session:
            await recount(session, "department", added=MANY_ROWS - 1)
    assert seen == []
