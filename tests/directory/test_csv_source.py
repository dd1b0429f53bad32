"""Files as spreadsheets, HR systems and accidents write them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.directory.cells import clean
from app.directory.csv_source import MAX_LINE, read_table
from app.directory.importing import Reading
from app.directory.table import MAX_COLUMNS, Row
from app.kernel.errors import Invalid


def rows(content: str | bytes) -> list[Row]:
    return list(read_table([content.encode() if isinstance(content, str) else content]).rows)


def cells(content: str | bytes) -> list[tuple[int, tuple[str, ...]]]:
    return [(row.line, tuple(row.cells.values())) for row in rows(content)]


def refusal(content: str | bytes) -> str:
    with pytest.raises(Invalid) as caught:
        rows(content)
    assert all(error.field == "file" for error in caught.value.errors)
    return caught.value.line()


PLAIN = [(2, ("E1", "Ann", "IT")), (3, ("E2", "Bo", "IT"))]


@pytest.mark.parametrize(
    "content",
    [
        "id,name,department\nE1,Ann,IT\nE2,Bo,IT\n",
        "id,name,department\r\nE1,Ann,IT\r\nE2,Bo,IT\r\n",
        "id,name,department\rE1,Ann,IT\rE2,Bo,IT\r",
        "id,name,department\nE1,Ann,IT\nE2,Bo,IT",
        "id;name;department\nE1;Ann;IT\nE2;Bo;IT\n",
        "\ufeffid;name;department\r\nE1;Ann;IT\r\nE2;Bo;IT\r\n",
        '\ufeff"id","name","department"\n"E1","Ann","IT"\n"E2","Bo","IT"\n',
        " ID , Name,DEPARTMENT\n E1 ,\tAnn\N{NO-BREAK SPACE}, IT\nE2,Bo,IT\n",
        "id,name,department,,\nE1,Ann,IT,,\nE2,Bo,IT,,,,,,\n",
        "id,name,department,salary\nE1,Ann,IT,1\nE2,Bo,IT\n",
    ],
)
def test_one_table_in_many_dresses(content: str) -> None:
    assert cells(content) == PLAIN


def test_pieces_of_any_size_make_the_same_rows() -> None:
    content = 'id,name,department\r\nE1,"Zoë\r\nMüller",IT\r\nE2,Bo,IT'.encode()
    whole = cells(content)
    assert whole == [(2, ("E1", "Zoë Müller", "IT")), (4, ("E2", "Bo", "IT"))]
    for size in (1, 2, 3, 7):
        pieces: Iterator[bytes] = (content[start : start + size] for start in range(0, len(content), size))
        assert [(row.line, tuple(row.cells.values())) for row in read_table(pieces).rows] == whole


def test_the_line_is_the_physical_one_on_which_the_row_begins() -> None:
    content = 'id,name,department\n\n\nE1,"Ann\n\nLee",IT\n ,, \nE2,Bo,IT\n'
    assert cells(content) == [(4, ("E1", "Ann Lee", "IT")), (8, ("E2", "Bo", "IT"))]


def test_blank_lines_before_the_header_are_passed_over() -> None:
    assert cells("\n\nid,name,department\nE1,Ann,IT\n") == [(4, ("E1", "Ann", "IT"))]


def test_a_formula_is_only_text() -> None:
    content = 'id,name,department\nE1,"=HYPERLINK(""http://example.com"",""Ann"")",IT\nE2,@SUM(A1),-IT\n'
    assert cells(content) == [
        (2, ("E1", '=HYPERLINK("http://example.com","Ann")', "IT")),
        (3, ("E2", "@SUM(A1)", "-IT")),
    ]


def test_untidy_quotes_on_one_line_lose_nothing() -> None:
    content = 'id,name,department\nE1,Ann "Al" Lee,IT\nE2,"Bo" Lee,IT\nE3,"Cy" "C",IT\nE4,Di,IT\n'
    assert cells(content) == [
        (2, ("E1", 'Ann "Al" Lee', "IT")),
        (3, ("E2", "Bo Lee", "IT")),
        (4, ("E3", 'Cy "C"', "IT")),
        (5, ("E4", "Di", "IT")),
    ]


def test_invisible_direction_marks_and_control_characters_do_not_reach_a_name() -> None:
    content = 'id,name,department\nE1,"A\u202enn\x07 \u200bLee\u2028X",IT\n'
    assert cells(content) == [(2, ("E1", "Ann  Lee X", "IT"))]


def test_a_row_tells_how_many_cells_it_has() -> None:
    table = read_table([b"id,name,department\nE1\nE2,Bo,IT,extra\n"])
    assert [(row.width, row.cells["department"]) for row in table.rows] == [(1, ""), (4, "IT")]
    assert table.width == 3


def test_other_columns_are_named_once() -> None:
    table = read_table([b"id,name,department,Salary,salary,Salary,Mobile\n"])
    assert table.ignored == ("Salary", "salary")
    assert table.columns == ("id", "name", "department", "mobile")
    assert list(table.rows) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\n \n\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"name,department\nAnn,IT\n", 'lacks the column "id"'),
        (b"E1,Ann,IT\n", 'lacks the columns "id", "name" and "department"'),
        (b"id\tname\tdepartment\nE1\tAnn\tIT\n", "separated by tabs"),
        (b"id,name,department,ID\nE1,Ann,IT,E1\n", 'the column "id" is there twice'),
        (b"id,name,department,mobile, Mobile \n", 'the column "mobile" is there twice'),
        (b"PK\x03\x04\x14\x00\x08\x08", "Excel workbook or another zip file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"%PDF-1.7\n", "it is a PDF"),
        ("id,name,department\n".encode("utf-16"), "it is UTF-16 text"),
        (b"\xfe\xff" + "id,name,department\n".encode("utf-16-be"), "it is UTF-16 text"),
        ("id,name,department\n".encode("utf-32"), "it is UTF-32 text"),
        ("id,name,department\n".encode("utf-16-le"), "line 1 holds bytes that are no text"),
        ("id,name,department\nE1,Ann,IT\nE2,José,IT\n".encode("cp1252"), 'line 3 is not UTF-8; it looks like Windows'),
        ("id,name,department\nE1,Ann,IT\nE2,José,IT\n".encode("cp1252"), 'read "E2,José,IT"'),
        (b"id,name,department\nE1,\x81\x8d,IT\n", "line 2 is not UTF-8 text"),
        (b"id,name,department\nE1,A\0nn,IT\n", "line 2 holds bytes that are no text"),
        (b'id,name,department\nE1,Ann,IT\nE2,"Bo,IT\nE3,Cy,IT\n', "begins on line 3 is never closed"),
        (b'id,name,department\nE1,"Ann,IT' + b"\nE2,Bo,IT" * 60, "begins on line 2 is never closed"),
        (b'id,name,department\nE1,"Ann,IT\nE2,"Bo",IT\n', "begins on line 2 is never closed"),
        (b'id,name,department\nE1,"Ann,IT\n"E2","Bo","IT"\n', "begins on line 2 is never closed"),
        (b'id,name,department\nE1,"Ann,IT\nE2,"",IT\nE3,Cy,"IT"\n', "begins on line 2 is never closed"),
        (b'id,name,"department\nE1,Ann,IT\n', "begins on line 1 is never closed"),
        (b"id,name,department\nE1," + b"a" * MAX_LINE + b",IT\n", "line 2 is longer than"),
        (b"id,name,department" + b",x" * MAX_COLUMNS + b"\n", "at most 200 are read"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_trusted_is_refused_once_and_whole(content: bytes, said: str) -> None:
    assert said in refusal(content)


@given(st.binary(max_size=400))
@example(b'id,name,department\n"')
@example(b'id,name,department\r"\r"')
@example(b"id,name,department\n\x00")
def test_any_bytes_are_rows_or_one_refusal(content: bytes) -> None:
    _read(content)


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", "sep= ;", '"sep=;"', "sep=;;;", "\ufeffsep=;"])
def test_a_first_line_that_names_the_separator_is_none_of_the_rows(first: str) -> None:
    (row,) = rows(f"{first}\nid;name;department\nE1;Ann;IT\n")
    assert tuple(row.cells.values()) == ("E1", "Ann", "IT")


_CELL = st.text(alphabet=st.sampled_from('aZé0 ,;"\n\r\t+@=\\\u2028\N{NO-BREAK SPACE}ﷺ'), max_size=12)


@given(st.lists(_CELL, max_size=60), st.sampled_from([",", ";"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_cells_are_rows_or_one_refusal(found: list[str], delimiter: str, end: str) -> None:
    header = delimiter.join(["id", "name", "department", "manager_id", "mobile", "email", "active"])
    body = end.join(delimiter.join(found[start : start + 7]) for start in range(0, len(found), 7))
    _read(f"{header}{end}{body}".encode())


def _read(content: bytes) -> None:
    reading = Reading(content, "US")
    try:
        batches = list(reading.batches())
    except Invalid:
        return
    assert sum(batch.copy.count(b"\n") for batch in batches) == reading.accepted
    for issue in [*reading.rejected, *reading.warnings, *reading.dropped]:
        assert issue.line >= 1
        assert issue.reason


@given(st.lists(st.tuples(_CELL, _CELL, _CELL), max_size=20))
def test_quoting_never_loses_a_row(found: list[tuple[str, str, str]]) -> None:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    content = "id,name,department\n" + "".join(",".join(map(quoted, row)) + "\n" for row in found)
    columns = ("id", "name", "department")
    expected = [
        [clean(cell, column) for cell, column in zip(row, columns, strict=True)]
        for row in found
        if any(cell.strip() for cell in row)
    ]
    read = rows(content)
    assert len(read) == len(expected)
    for got, wanted in zip(read, expected, strict=True):
        assert ["".join(cell.split()) for cell in got.cells.values()] == ["".join(cell.split()) for cell in wanted]
