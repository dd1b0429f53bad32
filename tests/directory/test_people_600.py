"""The sample company's HR export, with the dirt that its rows hold, against the exact report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from app.directory import service
from app.directory.importing import Report
from app.kernel.db import Database

FILE = Path(__file__).parents[1] / "data" / "people-600.csv"

REJECTED = [
    (43, "E00042", "name", "the name is blank; every person needs one"),
    (77, "E00076", "department", "the department is blank; every person needs one"),
    (284, "E00276", "id", "the id E00276 is already on line 277"),
    (387, "E00386", "name", "the name is blank; every person needs one"),
    (488, "E00487", "department", "the department is blank; every person needs one"),
    (518, "E00517", "active", '"maybe" is not readable; write true, false, yes, no, 1 or 0'),
]

LEFT_OUT = [
    (60, "E00059", "email", '"not-an-email" is not an email address: it needs exactly one @'),
    (180, "E00179", "mobile", '"n/a" is not a phone number'),
    (220, "E00219", "mobile", '"n/a" is not a phone number'),
    (251, "E00250", "mobile", '"+1 206 555" is too short for a phone number'),
    (259, "E00258", "email", '"a@b" is not an email address: the part after the @ needs a dot, as in example.com'),
    (472, "E00471", "email", '"not-an-email" is not an email address: it needs exactly one @'),
    (482, "E00481", "mobile", '"TBD" is not a phone number'),
    (548, "E00547", "email", '"x@@example.com" is not an email address: it needs exactly one @'),
    (554, "E00553", "mobile", '"+1 206 555" is too short for a phone number'),
    (590, "E00589", "email", '"x@@example.com" is not an email address: it needs exactly one @'),
]


def outside_the_plan() -> list[tuple[int, str, str, str]]:
    """The Paris numbers: France sets +33 6 39 98 apart for films, so they are possible and belong to nobody."""
    found = []
    for line, text in enumerate(FILE.read_text(encoding="utf-8").split("\n"), 1):
        if "+33 6 39 98" in text and line != 77:  # 77 is rejected
            number = text[text.index("+33") :][:17]
            reason = f'"{number}" is outside the numbering plan of FR; it is used all the same'
            found.append((line, text[:6], "mobile", reason))
    return found


def entries(found: list[tuple[int, str, str, str]]) -> list[dict[str, Any]]:
    return [dict(zip(("line", "id", "column", "reason"), entry, strict=True)) for entry in found]


async def test_the_sample_company_comes_in_with_exactly_this_report(
    load: Callable[..., Awaitable[Report]], db: Database
) -> None:
    report = await load(FILE)

    left_out = [(line, who, column, f"{reason}; it was left out") for line, who, column, reason in LEFT_OUT]
    films = outside_the_plan()
    assert len(films) == 72
    assert report.as_dict() == {
        "created": 594,
        "updated": 0,
        "unchanged": 0,
        "deactivated": 0,
        "rejected": entries(REJECTED),
        "warnings": entries(sorted(left_out + films)),
        "dry_run": False,
    }

    async with db.begin() as session:
        # 23 rows say false, FALSE or 0: those people are known and have left.
        assert sum((await service.departments(session)).values()) == 571
        assert list(await service.departments(session)) == [
            "Customer Service", "Finance", "IT", "Marketing", "Operations", "Security", "Store Operations",
        ]  # fmt: skip
        assert list(await service.sites(session)) == [
            "Atlanta", "Boston", "Chicago", "Dallas", "Paris", "Seattle", "Toronto",
        ]  # fmt: skip
        assert set(await service.countries(session)) == {"US", "CA", "FR"}
        unreachable = await service.unreachable_people(session, channels=["sms", "email"], countries=None)
        assert [person["id"] for person in unreachable] == ["E00053", "E00225", "E00257", "E00371", "E00410"]


async def test_the_second_time_nothing_changes(load: Callable[..., Awaitable[Report]]) -> None:
    first = await load(FILE)
    again = await load(FILE)

    assert (again.created, again.updated, again.unchanged, again.deactivated) == (0, 0, 594, 0)
    assert again.rejected == first.rejected
    assert [(issue.line, issue.column) for issue in again.warnings] == [
        (issue.line, issue.column) for issue in first.warnings
    ]


async def test_people_are_stored_as_the_file_says(
    load: Callable[..., Awaitable[Report]], look: Callable[[str], Awaitable[dict[str, Any]]]
) -> None:
    await load(FILE)

    assert await look("E00001") == {
        "id": "E00001",
        "name": "Farid Williams",
        "department": "Customer Service",
        "title": "Contact Centre Agent",
        "site": "Chicago",
        "manager_id": None,
        "language": "en",
        "time_zone": None,
        "shift": None,
        "active": True,
        "contact_points": [
            {"kind": "mobile", "address": "+17085550154", "country": "US", "suppressed": [], "flags": []},
            {"kind": "email", "address": "e00001@example.com", "country": None, "suppressed": [], "flags": []},
        ],
    }
    assert (await look("E00009"))["manager_id"] == "E00007"
    assert (await look("E00108"))["name"] == "ÉLODIE NGUYEN"
    assert (await look("E00492"))["name"] == '=HYPERLINK("http://example.com","Yusuf Fernández")'
    assert (await look("E00437"))["contact_points"][0]["address"] == "+12065550100"
    assert (await look("E00353"))["active"] is False
    assert (await look("E00276"))["name"] == "Víctor Müller"  # the first of the two
    assert (await look("E00053"))["contact_points"] == []
