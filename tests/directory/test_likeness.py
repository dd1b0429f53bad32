"""One person under two ids: rejected where it is plain, warned of where it is likely."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.directory import service
from app.directory.importing import Report
from app.kernel.db import Database

Load = Callable[..., Awaitable[Report]]
Look = Callable[[str], Awaitable[dict[str, Any]]]

HEADER = "id,name,department,mobile,phone,email,active\n"
NORA = HEADER + "00123,Nora Lind,IT,206 555 0101,,nora@example.com,\n"


async def ids(db: Database) -> list[str]:
    async with db.begin() as session:
        return [person["id"] for person in (await service.list_people(session))[0]]


def rejected(report: Report) -> list[tuple[int, str, str]]:
    return [(issue.line, issue.id, issue.column) for issue in report.rejected]


def warned(report: Report) -> list[tuple[int, str, str]]:
    return [(issue.line, issue.id, issue.column) for issue in report.warnings]


@pytest.mark.parametrize("other", ["123", "0123", "000123", "123.0", "１２３", "0 0123"])
async def test_an_id_that_comes_back_in_another_shape_is_rejected_naming_both(
    load: Load, db: Database, other: str
) -> None:
    again = f"{other},nora  LIND,IT,+1 206 555 0101,,other@example.com,\n"
    await load(NORA)
    known = await load(HEADER + again)
    assert rejected(known) == [(2, other.removesuffix(".0"), "id")]
    for said in (other.removesuffix(".0"), "00123", "in the directory"):
        assert said in known.rejected[0].reason
    assert (known.created, known.updated, known.unchanged, known.warnings) == (0, 0, 0, [])
    assert await ids(db) == ["00123"]


async def test_within_one_file_the_first_stays_and_the_line_is_named(load: Load, db: Database) -> None:
    file = NORA + "123,Nora Lind,IT,206 555 0101,,,\n0123,Nora Lind,IT,,206 555 0101,,\n"
    dry = await load(file, dry_run=True)
    report = await load(file)
    assert rejected(report) == [(3, "123", "id"), (4, "0123", "id")]
    assert all("00123" in issue.reason and "line 2" in issue.reason for issue in report.rejected)
    assert dry.as_dict() == report.as_dict() | {"dry_run": True}
    assert await ids(db) == ["00123"]


async def test_the_id_that_the_directory_knows_stays_wherever_it_stands(load: Load, db: Database) -> None:
    await load(NORA)
    report = await load(HEADER + "123,Nora Lind,IT,206 555 0109,,,\n00123,Nora Lind,IT,206 555 0109,,,\n")
    assert rejected(report) == [(2, "123", "id")]
    assert "line 3" in report.rejected[0].reason
    assert await ids(db) == ["00123"]


async def test_a_whole_file_without_its_zeros_makes_nobody_twice_and_deactivates_nobody(
    load: Load, db: Database
) -> None:
    people = [(f"{n:05}", f"Person {n}", f"206 555 {100 + n:04}") for n in range(1, 60)]
    await load(HEADER + "".join(f"{who},{name},IT,{number},,,\n" for who, name, number in people))
    report = await load(
        HEADER + "".join(f"{int(who)},{name},IT,{number},,,\n" for who, name, number in people), complete=True
    )
    assert len(report.rejected) == 59
    assert (report.created, report.deactivated) == (0, 0)
    async with db.begin() as session:
        assert (await service.departments(session)) == {"IT": 59}


async def test_whoever_has_left_and_comes_back_under_another_id_is_reached(load: Load, look: Look) -> None:
    await load(NORA)
    await load(HEADER + "00123,Nora Lind,IT,,,,false\n")
    report = await load(HEADER + "123,Nora Lind,IT,206 555 0101,,,\n")
    assert (await look("123"))["active"]
    assert rejected(report) == []
    assert warned(report) == [(2, "123", "id")]
    assert "00123" in report.warnings[0].reason


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("123,Olga Berg,IT,206 555 0107,,,\n", "id"),  # the id but for zeros, another name
        ("123,Nora Lind,IT,206 555 0107,,,\n", "id"),  # another number
        ("E9,NORA LIND,IT,206 555 0101,,,\n", "mobile"),
        ("E9,Nora Lind,IT,,206 555 0101,,\n", "phone"),
        ("E9,Nora Berg,IT,,,nora@example.com,\n", "email"),
    ],
)
async def test_other_likenesses_are_kept_and_warned_of_with_both_ids(load: Load, row: str, column: str) -> None:
    await load(NORA)
    for _ in range(2):  # as long as both are there
        report = await load(HEADER + row)
        assert rejected(report) == []
        who = row.split(",")[0]
        assert [(issue.line, issue.id) for issue in report.warnings] == [(2, who)]
        assert column == report.warnings[0].column or column == "phone"
        assert who in report.warnings[0].reason
        assert "00123" in report.warnings[0].reason


async def test_people_who_share_a_phone_or_a_mailbox_are_different_people(load: Load) -> None:
    shop = "".join(f"E{n},Person {n},Shop,206 555 0101,,shop@example.com,\n" for n in range(1, 8))
    assert warned(await load(HEADER + shop)) == []


async def test_a_known_person_who_changes_the_number_is_no_twin(load: Load) -> None:
    await load(NORA + "E2,Bo,IT,206 555 0102,,,\n")
    report = await load(HEADER + "00123,Nora Lind,IT,206 555 0103,,,\n")
    assert (report.updated, report.rejected, report.warnings) == (1, [], [])
