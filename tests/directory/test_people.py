"""Finding people, and knowing which of their addresses must not be used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.directory import service
from app.directory.importing import Report
from app.kernel.clock import ManualClock
from app.kernel.db import Database
from app.kernel.errors import Invalid, NotFound

Load = Callable[..., Awaitable[Report]]

COMPANY = """id,name,department,title,site,mobile,phone,email,active
E1,Ann Lee,IT,Engineer,Boston,206 555 0101,,ann@example.com,
E2,Bo 50% Off,Store Operations,Shift_Manager,Paris,206 555 0101,206 555 0102,,
E3,Zoë Müller,Store Operations,Cashier,PARIS,+33 6 12 34 56 78,,,
E4,Cy Young,Finance,Controller,,,,,
E5,Di Gone,IT,Engineer,Boston,206 555 0101,,,false
"""


async def ids(db: Database, **wanted: Any) -> list[str]:
    async with db.begin() as session:
        items, _ = await service.list_people(session, **wanted)
    return [item["id"] for item in items]


SEARCHES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["E1", "E2", "E3", "E4", "E5"]),
    ({"active": True}, ["E1", "E2", "E3", "E4"]),
    ({"active": False}, ["E5"]),
    ({"department": "store  operations"}, ["E2", "E3"]),
    ({"department": "Nowhere"}, []),
    ({"site": "paris"}, ["E2", "E3"]),
    ({"q": "ann"}, ["E1"]),
    ({"q": "e4"}, ["E4"]),
    ({"q": "CASHIER"}, ["E3"]),
    ({"q": "zoë"}, ["E3"]),
    ({"q": "  "}, ["E1", "E2", "E3", "E4", "E5"]),
    ({"q": "%"}, ["E2"]),
    ({"q": "t_m"}, ["E2"]),
    ({"q": "!"}, []),
    ({"q": "\\"}, []),
    ({"only_department": "IT"}, ["E1", "E5"]),
    ({"only_department": "IT", "department": "Finance"}, []),
    ({"only_department": "IT", "active": True, "site": "Boston", "q": "lee"}, ["E1"]),
]


async def test_people_are_found_by_what_one_knows(load: Load, db: Database) -> None:
    await load(COMPANY)
    for wanted, expected in SEARCHES:
        assert await ids(db, **wanted) == expected, wanted


async def test_every_person_comes_on_exactly_one_page(load: Load, db: Database) -> None:
    await load("id,name,department\n" + "".join(f"{n:03}-é;{n % 7},Person {n},IT\n" for n in range(95)))
    async with db.begin() as session:
        everybody, cursor = await service.list_people(session, limit=1000)
        assert cursor is None
        assert len(everybody) == 95
        for limit in (1, 10, 19, 94, 95):
            found: list[Any] = []
            cursor = None
            while True:
                items, cursor = await service.list_people(session, limit=limit, cursor=cursor)
                found += items
                if cursor is None:
                    break
                assert len(items) == limit
            assert found == everybody


async def test_what_cannot_be_looked_for_is_refused_by_name(db: Database) -> None:
    refused: list[dict[str, Any]] = [
        {"cursor": "!"}, {"cursor": "AP8"}, {"limit": 0}, {"limit": 1001}, {"q": "a\0b"}, {"site": "\ud800"},
    ]  # fmt: skip
    async with db.begin() as session:
        for wanted in refused:
            with pytest.raises(Invalid) as caught:
                await service.list_people(session, **wanted)
            assert [error.field for error in caught.value.errors] == list(wanted)


async def test_one_person_is_found_by_the_employers_id(load: Load, db: Database) -> None:
    await load(COMPANY)
    async with db.begin() as session:
        assert (await service.get_person(session, "E1"))["name"] == "Ann Lee"
        assert (await service.get_person(session, "E1", only_department="it"))["name"] == "Ann Lee"
        for asked in ({"employee_id": "E9"}, {"employee_id": "E1", "only_department": "Finance"}):
            with pytest.raises(NotFound, match="Nobody has the id"):
                await service.get_person(session, **asked)


async def test_a_shared_phone_names_everybody_who_is_still_here(load: Load, db: Database) -> None:
    await load(COMPANY)
    async with db.begin() as session:
        shared = await service.people_at(session, "+12065550101")
        assert [(person["id"], person["department"], person["kind"]) for person in shared] == [
            ("E1", "IT", "mobile"),
            ("E2", "Store Operations", "mobile"),
        ]
        assert [person["id"] for person in await service.people_at(session, "+12065550102")] == ["E2"]
        assert await service.people_at(session, "ann@example.com") == []
        assert await service.people_at(session, "+12065559999") == []


async def test_an_opt_out_is_noted_once_and_lifted_once(load: Load, db: Database, clock: ManualClock) -> None:
    await load(COMPANY)
    async with db.begin() as session:
        stop = ("+12065550101", "sms", "opted_out")
        assert await service.suppress(session, *stop, clock.now()) is True
        assert await service.suppress(session, *stop, clock.now()) is False
        assert await service.suppress(session, "+12065550101", "sms", "landline", clock.now()) is True
        assert await service.suppress(session, "Ann@Example.com", "email", "invalid", clock.now()) is True
        points = (await service.get_person(session, "E1"))["contact_points"]
        assert [point["suppressed"] for point in points] == [["landline", "opted_out"], ["invalid"]]
        since = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        assert points[0]["flags"] == [
            {"channel": "sms", "reason": reason, "since": since} for reason in ("landline", "opted_out")
        ]
        assert points[1]["flags"] == [{"channel": "email", "reason": "invalid", "since": since}]

        assert await service.lift(session, *stop) is True
        assert await service.lift(session, *stop) is False
        assert (await service.get_person(session, "E2"))["contact_points"][0]["suppressed"] == ["landline"]


async def test_places_are_counted_by_who_is_there(load: Load, db: Database) -> None:
    await load(COMPANY)
    async with db.begin() as session:
        assert await service.sites(session) == {"Boston": 1, "PARIS": 1, "Paris": 1}
        assert await service.departments(session) == {"Finance": 1, "IT": 1, "Store Operations": 2}
        assert await service.countries(session) == {"US": 3, "FR": 1}


async def test_nobody_yet_is_an_answer(db: Database) -> None:
    async with db.begin() as session:
        assert await service.list_people(session) == ([], None)
        assert await service.sites(session) == {}
        assert await service.departments(session) == {}
        assert await service.countries(session) == {}
        assert await service.unreachable_people(session, channels=["sms"], countries=None) == []


async def test_the_unreachable_are_named_with_a_reason(load: Load, db: Database) -> None:
    await load(COMPANY)
    async with db.begin() as session:
        found = await service.unreachable_people(session, channels=["sms", "email"], countries=["US"])
        assert [(person["id"], person["reason"]) for person in found] == [
            ("E3", "number is outside the countries that may be texted"),
            ("E4", "no usable contact point"),
        ]
        found = await service.unreachable_people(
            session, channels=["sms", "email"], countries=["US"], department="finance"
        )
        assert [person["id"] for person in found] == ["E4"]
