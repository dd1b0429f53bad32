"""The board's numbers: as few statements for ten thousand as for ten, the same sums however they are cut."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import event

from app.board import service as board
from app.deliveries.status import STATUSES
from app.kernel.db import MANY_ROWS, rows
from bench.board import fill
from tests.journeys.crew import COUNTS, Crew, Desk, a_person, adds_up
from tests.statements import statements

SMALL, LARGE = "INC-1000-0010", "INC-1000-9999"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def filled(the_desk: Desk, module_database: str) -> Desk:
    for key, people in ((SMALL, 10), (LARGE, 10_000)):
        await asyncio.to_thread(fill, module_database, key, people)
    return the_desk


@pytest.mark.parametrize(("key", "people"), [(SMALL, 10), (LARGE, 10_000)])
async def test_the_board_is_one_statement_whatever_the_number_of_people(filled: Desk, key: str, people: int) -> None:
    with statements(filled.house.db) as seen:
        async with filled.house.db.begin() as session:
            found = await board.board(session, key, 1)
    assert len(seen) == 1, seen
    assert found["total"] == people
    adds_up(found)


async def test_over_http_it_takes_as_many_for_ten_thousand_as_for_ten(filled: Desk) -> None:
    taken = []
    for key in (SMALL, LARGE):
        with statements(filled.house.db) as seen:
            await filled.board(key)
        taken.append(len(seen))
    assert taken[0] == taken[1] <= 4  # the board itself, who asks, and when the next bulletin is due


async def test_a_page_of_people_takes_as_many_for_ten_thousand_as_for_ten(filled: Desk) -> None:
    taken = []
    for key in (SMALL, LARGE):
        with statements(filled.house.db) as seen:
            await filled.call("GET", f"/incidents/{key}/bulletins/1/recipients", params={"limit": 10})
        taken.append(len(seen))
    assert taken[0] == taken[1] <= 5


async def test_counts_departments_and_people_agree(filled: Desk) -> None:
    found = await filled.board(LARGE)
    adds_up(found)
    people = []
    cursor = None
    while True:
        query = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
        page = await filled.call("GET", f"/incidents/{LARGE}/bulletins/1/recipients", params=query)
        people += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len({person["person_id"] for person in people}) == len(people) == 10_000
    assert Counter(person["status"] for person in people) == {k: n for k, n in found["counts"].items() if n}
    for name, counts in found["by_department"].items():
        mine = Counter(person["status"] for person in people if person["department"] == name)
        assert {status: mine[status] for status in COUNTS} == {status: counts[status] for status in COUNTS}
    attempts = Counter((a["channel"], a["state"]) for person in people for a in person["attempts"])
    assert attempts == {(c, s): n for c, states in found["by_channel"].items() for s, n in states.items()}


async def test_filters_and_search_find_whom_they_name(filled: Desk) -> None:
    found = await filled.board(LARGE)
    path = f"/incidents/{LARGE}/bulletins/1/recipients"
    for status in STATUSES:
        page = await filled.call("GET", path, params={"status": status, "limit": 1000})
        assert len(page["items"]) == min(1000, found["counts"][status])
        assert {person["status"] for person in page["items"]} <= {status}
    both = await filled.call("GET", path, params={"status": "cannot,uncertain", "limit": 1000})
    assert {person["status"] for person in both["items"]} <= {"cannot", "uncertain"}
    one = await filled.call("GET", path, params={"q": f"{LARGE}-4711"})
    assert [person["person_id"] for person in one["items"]] == [f"{LARGE}-4711"]
    there = await filled.call("GET", path, params={"department": f"{LARGE.lower()}  3", "limit": 5})
    assert {person["department"] for person in there["items"]} == {f"{LARGE} 3"}
    assert (await filled.call("GET", path, params={"q": "100%_'\"\\"}))["items"] == []
    wrong = await filled.api.get(f"/api/v1{path}", params={"status": "lost"})
    assert wrong.status_code == 422
    assert "status" in wrong.text


async def test_the_planner_counts_who_was_sent_to_although_autovacuum_looked_in_the_middle(
    the_desk: Desk, at_the_desk: Crew, module_database: str
) -> None:
    """Else the board of 10,000 takes more than a minute, until autovacuum looks again."""
    counted: list[dict[str, float]] = []

    def count() -> None:
        query = "SELECT relname, reltuples FROM pg_class WHERE relname IN ('delivery', 'attempt')"
        with psycopg.connect(module_database, autocommit=True) as owner:
            if not counted:
                owner.execute("ANALYZE delivery, attempt")
            counted.append(dict(owner.execute(query).fetchall()))

    def in_the_middle(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE bulletin SET state = 'sent'"):
            count()

    await at_the_desk.hire(*(a_person() for _ in range(MANY_ROWS)))
    key = await at_the_desk.declare()
    engine = the_desk.house.db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", in_the_middle)
    try:
        await the_desk.send(key)
    finally:
        event.remove(engine, "before_cursor_execute", in_the_middle)
    await asyncio.to_thread(count)
    before, after = counted
    assert {name: after[name] - max(before[name], 0) for name in after} == {"delivery": MANY_ROWS, "attempt": MANY_ROWS}


async def test_no_address_is_on_the_board(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    shown = str(await the_desk.recipients(key))
    assert person.mobile not in shown
    assert person.email not in shown


async def test_what_there_is_not_is_said_so(filled: Desk) -> None:
    for path in ("/incidents/INC-1999-0001/bulletins/1/board", f"/incidents/{SMALL}/bulletins/7/board"):
        answer = await filled.api.get(f"/api/v1{path}")
        assert answer.status_code == 404, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
    async with filled.house.db.begin() as session:
        assert await rows(session, "SELECT 1 WHERE false") == []
