"""What spreadsheets make of a cell, and what it is again."""

from __future__ import annotations

import pytest

from app.directory.cells import FREE_TEXT, clean, spoiled
from app.directory.table import COLUMNS
from app.review.formats.csv_format import guarded


@pytest.mark.parametrize(
    ("cell", "column", "meant"),
    [
        # Whole numbers that became floats.
        ("1001.0", "id", "1001"),
        ("1001.00", "id", "1001"),
        ("1001.0000", "manager_id", "1001"),
        ("1001,0", "manager_id", "1001"),
        ("00123.0", "id", "00123"),
        ("1.0", "active", "1"),
        ("12.0", "site", "12"),
        ("+491701234567.0", "mobile", "+491701234567"),
        ("491701234567.0", "phone", "491701234567"),
        ("491701234567.00", "phone", "491701234567"),
        ("+447700900123,0", "mobile", "+447700900123"),
        ("0228 1234567.00", "mobile", "0228 1234567"),
        ('= "00124"', "id", "00124"),
        ('"00124"', "manager_id", "00124"),
        ('"+447700900124"', "mobile", "+447700900124"),
        ('"Bo"', "name", '"Bo"'),
        ("+49 170 1234567.0", "mobile", "+49 170 1234567"),
        # What only looks like one.
        ("1.000", "id", "1.000"),
        ("1001.5", "id", "1001.5"),
        ("E1001.0", "id", "E1001.0"),
        ("10", "id", "10"),
        ("06.12.34.56.00", "mobile", "06.12.34.56.00"),
        ("206.555.0100", "mobile", "206.555.0100"),
        ("Web 2.0", "title", "Web 2.0"),
        # Guards.
        ("'00124", "id", "00124"),
        ("'+447700900124", "mobile", "+447700900124"),
        ("' +447700900124", "mobile", "+447700900124"),
        ('="00124"', "id", "00124"),
        ('\'="00124"', "id", "00124"),
        ('="+447700900124"', "mobile", "+447700900124"),
        ('="447700900124.0"', "mobile", "447700900124"),
        ('="Ann ""Al"" Lee"', "name", 'Ann "Al" Lee'),
        ("=00124", "id", "00124"),
        ("=+447700900124", "mobile", "+447700900124"),
        ("'E00124", "id", "E00124"),
        ("'ann@example.com", "email", "ann@example.com"),
        ("'Store Operations", "department", "Store Operations"),
        ("'=SUM(A1)", "name", "=SUM(A1)"),
        # What only looks like one.
        ("'t Hooft", "name", "'t Hooft"),
        ("'s-Hertogenbosch", "site", "'s-Hertogenbosch"),
        ("O'Neill", "name", "O'Neill"),
        ("=SUM(A1)", "name", "=SUM(A1)"),
        # Spaces and signs that nobody sees.
        ("\N{NO-BREAK SPACE}00123\N{NO-BREAK SPACE}", "id", "00123"),
        ("Ann\N{NO-BREAK SPACE}Lee", "name", "Ann Lee"),
        ("Ann\N{NARROW NO-BREAK SPACE}Lee", "name", "Ann Lee"),
        ("\N{IDEOGRAPHIC SPACE}Ann\N{IDEOGRAPHIC SPACE}Lee", "name", "Ann Lee"),
        ("+49\N{NARROW NO-BREAK SPACE}170\N{FIGURE SPACE}1234567", "mobile", "+49 170 1234567"),
        ("\N{ZERO WIDTH SPACE}00123\N{ZERO WIDTH JOINER}", "id", "00123"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}'00123", "id", "00123"),
        ("Op\N{SOFT HYPHEN}erations", "department", "Operations"),
        ("علی\N{ZERO WIDTH NON-JOINER}رضا", "name", "علی\N{ZERO WIDTH NON-JOINER}رضا"),
        ("a@example.com\r\nb@example.com", "email", "a@example.com\nb@example.com"),
        ("Ann\r\nLee", "name", "Ann Lee"),
    ],
)
def test_a_cell_is_again_what_was_typed(cell: str, column: str, meant: str) -> None:
    assert clean(cell, column) == meant
    assert clean(meant, column) == meant, "cleaning twice changes nothing"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1.2E+10", "shortened"),
        ("4.91701E+11", "shortened"),
        ("4,477E+11", "shortened"),
        ("4.477e+11", "shortened"),
        ("5E+10", "shortened"),
        ("4.91701E11", "shortened"),
        ("+4.91701 E+11", "shortened"),
        ("-4.9E+11", "shortened"),
        ("########", "too narrow"),
        ("#N/A", "spreadsheet's error"),
        ("#name?", "spreadsheet's error"),
        ("#FORMULA", "no result"),
    ],
)
@pytest.mark.parametrize("column", COLUMNS)
def test_what_a_spreadsheet_lost_is_said_in_any_column(cell: str, said: str, column: str) -> None:
    assert said in (spoiled(clean(cell, column), column) or "")


@pytest.mark.parametrize("cell", ["E1001", "12E3", "1001", "#1", "Euro", "+12065550100", "-", "Ann", "3E", "2e", ""])
def test_what_is_no_damage_stays(cell: str) -> None:
    assert spoiled(cell, "id") is None


@pytest.mark.parametrize("begin", ["=", "+", "-", "@"])
@pytest.mark.parametrize("column", sorted(FREE_TEXT | {"id", "manager_id"}))
def test_what_our_own_exports_guard_comes_back_as_it_was(begin: str, column: str) -> None:
    cell = f"{begin}1+Ann"
    assert guarded(cell) != cell
    assert clean(guarded(cell), column) == cell
