"""Who belongs to an audience, and by which address each channel reaches them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from app.directory import service
from app.directory.audiences import AudienceSpec, members_sql, route_parameters, routes_sql, why_unreachable_sql
from app.directory.importing import Report
from app.kernel.clock import ManualClock
from app.kernel.db import Database, rows, run

Load = Callable[..., Awaitable[Report]]

COMPANY = """id,name,department,title,site,shift,language,active
E1,Ann,IT,Engineer,Boston,day,en,
E2,Bo,IT,Service  Desk Analyst,Évry,night,fr,
E3,Cy,Store Operations,Cashier,Boston,day,,
E4,Di,Store Operations,Gate Agent,ÉVRY,night,,
E5,Ed,Store Operations,Gate Agent,Boston,night,es,
E6,Gone,IT,Engineer,Boston,day,en,false
E7,Fay,Finance,,,,,
"""


async def members(db: Database, *specs: AudienceSpec, prefix: str = "aud") -> dict[str, str]:
    """Employer's id -> audience."""
    sql, parameters = members_sql(specs, prefix)
    async with db.begin() as session:
        found = await rows(
            session,
            f"SELECT p.employee_id, m.audience FROM ({sql}) AS m JOIN person p ON p.id = m.person_id",
            parameters,
        )
    assert len({entry["employee_id"] for entry in found}) == len(found), "somebody came twice"
    return {entry["employee_id"]: entry["audience"] for entry in found}


CRITERIA: list[tuple[dict[str, Any], str]] = [
    ({"everyone": True}, "E1 E2 E3 E4 E5 E7"),
    ({}, ""),
    ({"departments": ("it",)}, "E1 E2"),
    ({"departments": (" STORE   operations ", "Finance")}, "E3 E4 E5 E7"),
    ({"sites": ("évry",)}, "E2 E4"),
    ({"sites": ("E\u0301vry",)}, "E2 E4"),  # the accent as a sign of its own
    ({"sites": ("Nowhere",)}, ""),
    ({"titles": ("service desk analyst", "CASHIER")}, "E2 E3"),
    ({"shifts": ("Night",)}, "E2 E4 E5"),
    ({"people": ("e7", "E3", "E6", "E99")}, "E3 E7"),
    ({"departments": ("Store Operations",), "shifts": ("night",), "sites": ("Boston",)}, "E5"),
    ({"departments": ("IT",), "people": ("E1", "E3")}, "E1 E2 E3"),
    ({"departments": ("IT",), "everyone": True}, "E1 E2"),
    ({"departments": ("'; DROP TABLE person; --", ":aud_names", "%s")}, ""),
]


async def test_an_audience_is_those_whom_every_criterion_fits(load: Load, db: Database) -> None:
    await load(COMPANY)
    for wanted, expected in CRITERIA:
        found = await members(db, AudienceSpec(name="them", **wanted))
        assert sorted(found) == expected.split(), wanted
        assert set(found.values()) <= {"them"}


async def test_somebody_in_several_audiences_belongs_to_the_first(load: Load, db: Database) -> None:
    await load(COMPANY)
    night = AudienceSpec("night", shifts=("night",))
    shops = AudienceSpec("shops", departments=("Store Operations",))
    rest = AudienceSpec("rest", everyone=True)
    assert await members(db, night, shops, rest) == {
        "E1": "rest", "E2": "night", "E3": "shops", "E4": "night", "E5": "night", "E7": "rest",
    }  # fmt: skip
    assert (await members(db, shops, night))["E5"] == "shops"
    assert await members(db, AudienceSpec("nobody"), shops, prefix="x_1") == {
        "E3": "shops",
        "E4": "shops",
        "E5": "shops",
    }
    assert await members(db) == {}


async def test_members_can_feed_an_insert_and_carry_their_language(load: Load, db: Database) -> None:
    await load(COMPANY)
    sql, parameters = members_sql([AudienceSpec("boston", sites=("boston",))])
    async with db.begin() as session:
        await run(session, "CREATE TEMP TABLE told (person_id bigint, audience text, language text) ON COMMIT DROP")
        assert await run(session, f"WITH m AS ({sql}) INSERT INTO told SELECT * FROM m", parameters) == 3
        languages = await rows(session, "SELECT language FROM told ORDER BY person_id")
    assert [entry["language"] for entry in languages] == ["en", "", "es"]


def test_a_prefix_is_a_name_and_nothing_else() -> None:
    for build in (lambda prefix: members_sql([], prefix), routes_sql, why_unreachable_sql):
        with pytest.raises(ValueError, match="lower-case name"):
            build("x; DROP")


# id, mobile, phone, email
ADDRESSES = """id,name,department,mobile,phone,email
E1,Both,IT,206 555 0101,206 555 0201,e1@example.com
E2,Phone only,IT,,206 555 0202,
E3,Landline,IT,+44 20 7946 0103,,
E4,Landline and phone,IT,+44 20 7946 0104,206 555 0204,
E5,French,IT,+33 6 12 34 56 78,,e5@example.com
E6,Mail only,IT,,,e6@example.com
E7,Nothing,IT,,,
E8,Gone,IT,206 555 0108,,e8@example.com
"""


async def routes(
    db: Database, channels: Sequence[str], countries: Sequence[str] | None = None, among: Sequence[str] | None = None
) -> dict[tuple[str, str], str]:
    """(Employer's id, channel) -> address."""
    chosen = "WITH chosen AS (SELECT id AS person_id FROM person WHERE employee_id = ANY(CAST(:ids AS text[])))"
    async with db.begin() as session:
        found = await rows(
            session,
            f"""{chosen if among else ""} SELECT p.employee_id, r.channel, r.address
                FROM ({routes_sql(among="chosen" if among else None)}) AS r JOIN person p ON p.id = r.person_id""",
            route_parameters(channels, countries) | ({"ids": list(among)} if among else {}),
        )
    answer = {(entry["employee_id"], entry["channel"]): entry["address"] for entry in found}
    assert len(answer) == len(found)
    return answer


async def reasons(db: Database, channels: Sequence[str], countries: Sequence[str] | None = None) -> dict[str, str]:
    async with db.begin() as session:
        found = await rows(
            session,
            f"""SELECT p.employee_id, w.reason
                FROM ({why_unreachable_sql()}) AS w JOIN person p ON p.id = w.person_id""",
            route_parameters(channels, countries),
        )
    return {entry["employee_id"]: entry["reason"] for entry in found}


@pytest.fixture
async def addresses(load: Load) -> None:
    await load(ADDRESSES)
    await load("id,name,department,active\nE8,Gone,IT,no\n")


async def suppress(db: Database, clock: ManualClock, *entries: tuple[str, str, str]) -> None:
    async with db.begin() as session:
        for entry in entries:
            assert await service.suppress(session, *entry, clock.now())


@pytest.mark.usefixtures("addresses")
async def test_each_channel_uses_the_first_address_that_it_can(db: Database) -> None:
    assert await routes(db, ["sms", "voice", "email"]) == {
        ("E1", "sms"): "+12065550101",
        ("E1", "voice"): "+12065550101",
        ("E1", "email"): "e1@example.com",
        ("E2", "sms"): "+12065550202",
        ("E2", "voice"): "+12065550202",
        ("E3", "voice"): "+442079460103",
        ("E4", "sms"): "+12065550204",  # the mobile is a landline, which cannot be texted
        ("E4", "voice"): "+442079460104",
        ("E5", "sms"): "+33612345678",
        ("E5", "voice"): "+33612345678",
        ("E5", "email"): "e5@example.com",
        ("E6", "email"): "e6@example.com",
    }


@pytest.mark.usefixtures("addresses")
async def test_only_channels_that_are_installed_have_routes(db: Database) -> None:
    assert set(await routes(db, ["email"])) == {("E1", "email"), ("E5", "email"), ("E6", "email")}
    assert await routes(db, []) == {}
    assert await routes(db, ["pigeon"]) == {}


@pytest.mark.usefixtures("addresses")
async def test_routes_can_be_asked_for_a_few_people(db: Database) -> None:
    assert set(await routes(db, ["sms", "email"], among=["E1", "E7", "E8"])) == {("E1", "sms"), ("E1", "email")}


@pytest.mark.usefixtures("addresses")
async def test_countries_that_may_not_be_texted_are_not_called_either(db: Database) -> None:
    found = await routes(db, ["sms", "voice", "email"], ["US"])
    assert {key for key in found if key[0] in ("E3", "E4", "E5")} == {("E4", "sms"), ("E4", "voice"), ("E5", "email")}
    assert found["E4", "voice"] == "+12065550204"
    assert set(await routes(db, ["sms"], [])) == set()


CLOSED: list[tuple[tuple[str, str, str], dict[str, str | None]]] = [
    (("+12065550101", "sms", "opted_out"), {"sms": "+12065550201", "voice": "+12065550101"}),
    (("+12065550101", "sms", "landline"), {"sms": "+12065550201", "voice": "+12065550101"}),
    (("+12065550101", "sms", "invalid"), {"sms": "+12065550201", "voice": "+12065550201"}),
    (("+12065550101", "voice", "opted_out"), {"sms": "+12065550101", "voice": "+12065550201"}),
    (("e1@example.com", "email", "invalid"), {"email": None}),
    (("e1@example.com", "sms", "opted_out"), {"email": "e1@example.com"}),
]


@pytest.mark.usefixtures("addresses")
async def test_a_suppression_closes_the_channel_that_it_is_about(db: Database, clock: ManualClock) -> None:
    for entry, expected in CLOSED:
        await suppress(db, clock, entry)
        found = await routes(db, ["sms", "voice", "email"])
        assert {channel: found.get(("E1", channel)) for channel in expected} == expected, entry
        async with db.begin() as session:
            assert await service.lift(session, *entry)


@pytest.mark.usefixtures("addresses")
async def test_everybody_without_a_route_has_a_plain_reason(db: Database, clock: ManualClock) -> None:
    assert await reasons(db, ["sms", "email"]) == {
        "E3": "number is a landline and cannot be texted",
        "E7": "no usable contact point",
        "E8": "left",
    }
    assert await reasons(db, ["voice"], ["GB"]) == {
        "E1": "number is outside the countries that may be texted",
        "E2": "number is outside the countries that may be texted",
        "E5": "number is outside the countries that may be texted",
        "E6": "no usable contact point",
        "E7": "no usable contact point",
        "E8": "left",
    }
    await suppress(
        db,
        clock,
        ("+12065550202", "sms", "opted_out"),
        ("+442079460104", "sms", "invalid"),
        ("+12065550204", "sms", "invalid"),
        ("e6@example.com", "email", "invalid"),
    )
    assert await reasons(db, ["sms", "email"]) == {
        "E2": "opted out of texts and has no other address",
        "E3": "number is a landline and cannot be texted",
        "E4": "number is not in service",
        "E6": "email address does not work",
        "E7": "no usable contact point",
        "E8": "left",
    }


async def test_ten_thousand_people_resolve_at_once(load: Load, db: Database) -> None:
    lines = (
        f"E{n:05},Person {n},Department {n % 9},Title {n % 20},Site {n % 50},206 555 {n % 10000:04},e{n}@example.com\n"
        for n in range(10_000)
    )
    await load("id,name,department,title,site,mobile,email\n" + "".join(lines))
    specs = [
        *(AudienceSpec(f"a{n}", departments=(f"department {n}",), titles=(f"TITLE {n}", "Title 7")) for n in range(6)),
        AudienceSpec("rest", everyone=True),
    ]
    sql, parameters = members_sql(specs)
    async with db.begin() as session:
        plan = await rows(
            session,
            f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM ({sql}) AS m JOIN ({routes_sql()}) AS r USING (person_id)",
            parameters | route_parameters(["sms", "email"], ["US"]),
        )
    (answer,) = plan[0]["QUERY PLAN"]
    assert answer["Plan"]["Actual Rows"] == 20_000
    assert answer["Execution Time"] < 1000  # 50 ms measured; room for a busy machine
    print(f"10,000 people with two routes each: {answer['Execution Time']:.0f} ms")
