"""People as they were: the database keeps a version whenever what it says of somebody changes."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from app.directory import versions
from app.kernel import audit
from app.kernel.clock import ManualClock
from app.kernel.db import Database, rows, run
from tests.directory.conftest import Load

PEOPLE = """id,name,department,title,site,manager_id,mobile
1,Ana Ruiz,Stores,Cashier,Boston,2,+14155550101
2,Ben Ode,Stores,Lead,Boston,,+14155550102
"""


async def _kept(db: Database) -> list[tuple[object, ...]]:
    async with db.begin() as session:
        found = await rows(
            session,
            """SELECT p.employee_id, v.name, d.name AS department, v.site, v.title, m.employee_id AS manager, v.active,
                      v.id = p.latest_version_id AS latest
               FROM person_version v JOIN person p ON p.id = v.person_id JOIN department d ON d.id = v.department_id
               LEFT JOIN person m ON m.id = v.manager_id ORDER BY v.id""",
        )
    return [tuple(entry.values()) for entry in found]


async def _bad(db: Database) -> str | None:
    async with db.begin() as session:
        return await audit.verify(session) or await versions.verify(session)


async def test_a_change_of_anything_shown_makes_a_version_and_nothing_else_does(
    db: Database, clock: ManualClock, load: Load
) -> None:
    await load(PEOPLE)
    latest = [entry for entry in await _kept(db) if entry[-1]]
    assert latest == [
        ("2", "Ben Ode", "Stores", "Boston", "Lead", None, True, True),
        ("1", "Ana Ruiz", "Stores", "Boston", "Cashier", "2", True, True),
    ]
    before = len(await _kept(db))
    clock.advance(seconds=60)
    await load(PEOPLE.replace("+14155550102", "+14155550103"))
    assert len(await _kept(db)) == before, "another number is nothing that an incident shows"
    await load(PEOPLE.replace("1,Ana Ruiz,Stores,Cashier,Boston", "1,Ana Cole,Shops,Manager,Paris"))
    assert (await _kept(db))[before:] == [("1", "Ana Cole", "Shops", "Paris", "Manager", "2", True, True)]
    assert await _bad(db) is None


async def test_whoever_leaves_and_comes_back_has_a_version_each_time(db: Database, load: Load) -> None:
    await load("id,name,department,mobile,active\n1,Ana Ruiz,Stores,+14155550101,true\n")
    await load("id,name,department,mobile,active\n1,Ana Ruiz,Stores,+14155550101,false\n")
    await load("id,name,department,mobile,active\n1,Ana Ruiz,Stores,+14155550101,true\n")
    assert [entry[6] for entry in await _kept(db)] == [True, False, True]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE person_version SET site = 'Paris'",
        "DELETE FROM person_version",
        "INSERT INTO person_version SELECT * FROM person_version",
        "UPDATE department SET name = 'Shops'",
    ],
)
async def test_the_database_refuses_another_past(db: Database, load: Load, statement: str) -> None:
    await load(PEOPLE)
    with pytest.raises(DBAPIError):
        async with db.begin() as session:
            await run(session, statement)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE person_version SET site = 'Paris' WHERE site = 'Boston'"], "people were changed after"),
        (["UPDATE person_version SET name = 'Al' WHERE name = 'Ana Ruiz'"], "people were changed after"),
        (["UPDATE department SET name = 'Shops'"], "people were changed after"),
        (["UPDATE person_version SET name = 'erased person', salt = NULL"], "erased without an entry"),
        (["DELETE FROM person_version WHERE id = (SELECT max(id) FROM person_version)"], "changed after|missing"),
        (
            [
                """INSERT INTO person_version OVERRIDING SYSTEM VALUE
                   SELECT 9000, person_id, since, name, salt, name_hash, department_id, 'Paris', title, manager_id,
                          active, 9000 FROM person_version LIMIT 1"""
            ],
            "never recorded",
        ),
    ],
)
async def test_verify_notices_who_gets_around_that(
    db: Database, database_url: str, load: Load, statements: Sequence[str], said: str
) -> None:
    await load(PEOPLE)
    assert await _bad(db) is None
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")  # no trigger fires
        for statement in statements:
            owner.execute(statement.encode())
    bad = await _bad(db)
    assert bad
    assert any(part in bad for part in said.split("|"))


async def test_a_name_that_is_erased_is_gone_everywhere_and_the_chain_holds(
    db: Database, clock: ManualClock, load: Load
) -> None:
    await load(PEOPLE)
    clock.advance(seconds=60)
    await load(PEOPLE.replace("Ana Ruiz", "Ana Cole"))
    async with db.begin() as session:
        found = await rows(session, "SELECT id FROM person WHERE employee_id = '1'")
        assert await versions.erase_name(session, found[0]["id"], actor="system", at=clock.now())
        assert not await versions.erase_name(session, 404, actor="system", at=clock.now())
    kept = [entry for entry in await _kept(db) if entry[0] == "1"]
    assert {entry[1] for entry in kept} == {"erased person"}
    assert kept[0][2:5] == ("Stores", "Boston", "Cashier"), "what counts were made of stays"
    assert await _bad(db) is None
