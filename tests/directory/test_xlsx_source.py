"""Workbooks as they come from HR: the same rows as the CSV of the same sheet, and nothing that takes the machine."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from app.directory import xlsx_source
from app.directory.importing import Reading
from app.directory.source import read_source
from app.kernel.errors import Invalid
from tests.directory.sheets import HEADER, workbook

ANN = ("E1", "Ann", "IT", "+12065550101", "ann@example.com", True)


def rows(content: bytes, sheet: str | None = None) -> list[tuple[int, tuple[str, ...]]]:
    return [(row.line, tuple(row.cells.values())) for row in read_source(content, sheet).rows]


def refusal(content: bytes, sheet: str | None = None) -> str:
    with pytest.raises(Invalid) as caught:
        rows(content, sheet)
    return caught.value.line()


def test_a_sheet_gives_the_rows_of_its_csv() -> None:
    assert rows(workbook([HEADER, ANN])) == [(2, ("E1", "Ann", "IT", "+12065550101", "ann@example.com", "true"))]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1001, "1001"),
        (1001.0, "1001"),
        (491701234567, "491701234567"),
        (0.5, "0.5"),
        (True, "true"),
        (False, "false"),
        ("00123", "00123"),
        ("'00123", "00123"),
        ("4.91701E+11", "4.91701E+11"),
        (12345678901234567, "1.23456789012346E+16"),
    ],
)
def test_a_number_is_what_the_sheet_shows(value: Any, text: str) -> None:
    ((_, cells),) = rows(workbook([HEADER, (value, "Ann", "IT")]))
    assert cells[0] == text


def test_a_formula_is_the_text_that_it_gives_and_one_without_a_result_says_so() -> None:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, HEADER)
        page.write_formula(1, 0, '="00124"')  # xlsxwriter stores 0 as its result, other programs nothing
        page.write_row(1, 1, ["Ann", "IT"])
        page.write_formula(1, 3, '="+12065550101"', value="")
        page.write_row(2, 0, ["E2", "Bo", "IT"])
        page.write_formula(2, 3, "=A1&B1", value="")
        page.write_formula(2, 4, "=NA()", value="#N/A")
        page.write_row(3, 0, ["E3", "Cy", "IT"])
        page.write_formula(3, 3, '="+1206555"&"0102"', value="+12065550102")
    reading = Reading(content.getvalue(), "US")
    (batch,) = reading.batches()
    assert [line.split("\t")[1] for line in batch.copy.decode().splitlines()] == ["00124", "E2", "E3"]
    assert batch.copy.count(b"+12065550101") == batch.copy.count(b"+12065550102") == 1
    assert [(issue.line, issue.column, issue.reason) for issue in reading.dropped] == [
        (3, "mobile", '"#FORMULA" has no result in the workbook; open it, save it and import it again'),
        (3, "email", '"#N/A" is a spreadsheet\'s error; correct the sheet and export it again'),
    ]


def test_more_than_fifteen_digits_are_lost_and_the_row_says_so() -> None:
    reading = Reading(workbook([HEADER, (12345678901234567, "Ann", "IT")]), "US")
    assert list(reading.batches())
    assert [(issue.line, issue.column) for issue in reading.rejected] == [(2, "id")]
    assert "shortened" in reading.rejected[0].reason


def test_zeros_that_a_number_format_adds_are_part_of_the_id() -> None:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        page = book.add_worksheet()
        zeros, date = book.add_format({"num_format": "00000"}), book.add_format({"num_format": "yyyy-mm-dd"})
        page.write_row(0, 0, ["id", "name", "department", "title"])
        page.write(1, 0, 123, zeros)
        page.write_row(1, 1, ["Ann", "IT"])
        page.write_number(1, 3, 46083, date)  # days since 1899-12-30
        page.write_formula(2, 0, "=A2+1", zeros, 124)
        page.write_row(2, 1, ["Bo", "IT"])
    assert rows(content.getvalue()) == [(2, ("00123", "Ann", "IT", "2026-03-02")), (3, ("00124", "Bo", "IT", ""))]


def test_titles_above_the_header_notes_beside_it_and_blank_rows_change_no_line() -> None:
    content = workbook([
        (), ("Staff list 2026",), (), HEADER, ANN[:3], (), ("E2", "Bo", "IT", *[None] * 4, "ask Cy"), (None, " "),
    ])  # fmt: skip
    assert [(line, cells[:3]) for line, cells in rows(content)] == [(5, ("E1", "Ann", "IT")), (7, ("E2", "Bo", "IT"))]


def test_a_cell_merged_over_rows_holds_in_each() -> None:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["id", "name", "department"])
        for number in range(1, 5):
            page.write_row(number, 0, [f"E{number}", "Ann"])
        page.merge_range(1, 2, 3, 2, "Operations")
        page.write(4, 2, "IT")
    assert [cells[2] for _, cells in rows(content.getvalue())] == ["Operations"] * 3 + ["IT"]


def test_the_first_sheet_is_the_first_that_people_see() -> None:
    content = workbook([HEADER, ANN[:3]], name="Staff & <Shops>", hidden=["Lists"])
    assert len(rows(content)) == 1
    assert len(rows(content, "staff & <shops>")) == 1
    assert '"Lists", "Staff & <Shops>"' in refusal(content, "Payroll")
    assert "lacks the columns" in refusal(content, "Lists")


def test_a_csv_has_no_sheets() -> None:
    assert "only an Excel workbook" in refusal(b"id,name,department\nE1,Ann,IT\n", "People")
    assert rows(b"id,name,department\nE1,Ann,IT\n", " ") == [(2, ("E1", "Ann", "IT"))]


def zipped(parts: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return content.getvalue()


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


GOOD = workbook([HEADER, ANN])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD[: len(GOOD) // 2], "cannot be read"),
        (b"PK\x03\x04", "cannot be read"),
        (zipped({"a.txt": b"x"}), "it is a zip file"),
        (zipped({"content.xml": b"x"}), "OpenDocument sheet (.ods)"),
        (zipped({"xl/workbook.bin": b"x"}), "(.xlsb)"),
        (zipped({"word/document.xml": b"x"}), "a Word document"),
        (zipped({"xl/workbook.xml": b"<x/>"}), "cannot be read"),
        (workbook([]), "is empty"),
        (workbook([("a", "b")]), 'lacks the columns "id", "name" and "department"'),
        (workbook([("id", "name", "department", "ID"), ANN]), 'the column "id" is there twice'),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook (.xls), or one with a password"),
    ],
)
def test_what_is_no_workbook_is_refused_with_what_it_is(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_two_cells_far_apart_do_not_take_the_memory_of_all_between() -> None:
    rows_ = [HEADER, ANN, *[()] * 400_000, (*[None] * 40, "x")]
    assert "goes down to row 400,003, over 41 columns" in refusal(workbook(rows_))


def test_a_zip_bomb_is_refused_while_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_source, "MAX_UNPACKED", 3_000_000)
    bomb = zipped(parts(GOOD) | {"xl/sharedStrings.xml": b" " * 4_000_000})
    assert len(bomb) < 20_000
    assert "unpacks to more than 3 MB" in refusal(bomb)


def test_any_damage_is_rows_or_one_refusal() -> None:
    rng = random.Random(3)
    for _ in range(150):
        spoiled = bytearray(GOOD)
        for _ in range(rng.randrange(1, 6)):
            spoiled[rng.randrange(4, len(spoiled))] = rng.randrange(256)
        damaged = {name: part for name, part in parts(GOOD).items() if rng.random() > 0.2}
        for content in (bytes(spoiled), zipped(damaged)):
            with contextlib.suppress(Invalid):
                assert len(rows(content)) <= 1


def test_a_path_and_pieces_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "people.xlsx").write_bytes(GOOD)
    for source in (tmp_path / "people.xlsx", iter([GOOD[:1], GOOD[1:3], GOOD[3:]])):
        assert [row.cells["id"] for row in read_source(source).rows] == ["E1"]
