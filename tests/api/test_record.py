"""The record: append-only in the database itself, and a chain that shows whoever went around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from app.access import service as access
from app.kernel import audit
from app.kernel.db import Database, run
from app.kernel.house import House

KEY = "INC-2026-0007"


@pytest.fixture
async def record(house: House) -> House:
    """A stream of five entries, and the system's own with two."""
    async with house.db.begin() as session:
        for number in range(1, 6):
            await audit.append(
                session, stream=KEY, at=house.clock.now(), actor="account:1", kind="noted", data={"number": number}
            )
        for name in ("one", "two"):
            await access.create_token(session, house.clock, name=name, role="viewer")
    return house


async def verified(house: House) -> str | None:
    async with house.db.begin() as session:
        return await audit.verify(session)


@contextmanager
def as_owner(house: House) -> Iterator[psycopg.Connection[Any]]:
    """The database's owner with every trigger switched off: somebody who goes around all of our rules."""
    with psycopg.connect(house.db.url) as owner:
        owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        yield owner
        owner.execute("ALTER TABLE audit_entry ENABLE TRIGGER ALL")


CHANGES = (
    "UPDATE audit_entry SET actor = 'account:2'",
    "UPDATE audit_entry SET data = '{}'",
    "DELETE FROM audit_entry",
    "TRUNCATE audit_entry",
    "UPDATE audit_head SET seq = 0",
    "DELETE FROM audit_head",
)


@pytest.mark.parametrize("statement", CHANGES)
async def test_our_own_connections_cannot_change_the_record(record: House, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"append-only|permission denied|must be owner"):
        async with record.db.begin() as session:
            await run(session, statement)
    assert await verified(record) is None


@pytest.mark.parametrize("statement", [change for change in CHANGES if "audit_head" not in change])
async def test_the_database_itself_refuses_even_its_owner(record: House, statement: str) -> None:
    with psycopg.connect(record.db.url) as owner, pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute(statement.encode())
    assert await verified(record) is None


async def test_an_entry_takes_its_place_and_hash_from_the_database(record: House) -> None:
    async with record.db.begin() as session:
        await run(
            session,
            """INSERT INTO audit_entry (stream, seq, at, actor, kind, data, prev_hash, hash)
               VALUES (:stream, 99, now(), 'account:9', 'forged', '{}', 'x', 'y')""",
            {"stream": KEY},
        )
        entries = await audit.entries(session, KEY)
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert await verified(record) is None


@pytest.mark.parametrize(
    "column",
    [
        "actor = 'account:2'",
        "kind = 'approved'",
        """data = '{"number": 30}'""",
        "at = at - interval '1 minute'",
        "hash = repeat('0', 64)",
        "prev_hash = repeat('0', 64)",
    ],
)
async def test_verify_names_the_tampered_entry(record: House, column: str) -> None:
    with as_owner(record) as owner:
        owner.execute(f"UPDATE audit_entry SET {column} WHERE stream = %s AND seq = 3".encode(), (KEY,))
    found = await verified(record)
    assert found is not None
    assert found.startswith(f"{KEY} entry 3")


async def test_verify_finds_an_entry_taken_out_of_the_middle(record: House) -> None:
    with as_owner(record) as owner:
        owner.execute("DELETE FROM audit_entry WHERE stream = %s AND seq = 2", (KEY,))
    found = await verified(record)
    assert found is not None
    assert found.startswith(f"{KEY} entry 3")
    assert "missing" in found


async def test_verify_finds_an_entry_rewritten_with_a_right_hash_of_its_own(record: House) -> None:
    with as_owner(record) as owner:
        owner.execute(
            """UPDATE audit_entry SET actor = 'account:2',
                      hash = audit_hash(prev_hash, stream, seq, at, 'account:2', kind, data)
               WHERE stream = %s AND seq = 3""",
            (KEY,),
        )
    found = await verified(record)
    assert found is not None
    assert found.startswith(f"{KEY} entry 4")


@pytest.mark.parametrize("cut", ["seq = 5", "seq >= 4", "seq >= 1"])
async def test_verify_finds_a_tail_that_was_cut_off(record: House, cut: str) -> None:
    with as_owner(record) as owner:
        owner.execute(f"DELETE FROM audit_entry WHERE stream = %s AND {cut}".encode(), (KEY,))
    found = await verified(record)
    assert found is not None
    assert found.startswith(KEY)
    assert "missing" in found


async def test_verify_finds_a_whole_stream_without_its_head(record: House) -> None:
    with psycopg.connect(record.db.url) as owner:
        owner.execute("DELETE FROM audit_head WHERE stream = %s", (KEY,))
    found = await verified(record)
    assert found is not None
    assert found.startswith(KEY)


async def test_an_untouched_record_holds(record: House, db: Database) -> None:
    assert await verified(record) is None
    assert db is record.db
