"""The one place that cleans the cells of a people file, whatever the column and whichever file they come from. Pure.

Spreadsheets change what is typed: whole numbers come back as floats (`1001.0`), long ones shortened (`4.91701E+11`),
text behind a guard (`'00124`, `="00124"`) that keeps the program from calculating it, spaces as no-break spaces.
`clean` takes back what can be taken back; `spoiled` says why the rest cannot be read any more.
"""

from __future__ import annotations

import re

FREE_TEXT = frozenset({"name", "department", "title", "site", "shift"})
"""Columns in which any text is right, so that less may be taken away from it."""

NUMBERS = frozenset({"mobile", "phone"})
CONTACTS = NUMBERS | {"email"}
"""Columns whose cells may hold several values: a line break between them stays one, as LF."""

_REMOVED = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_JOINERS = re.compile("[\u200c\u200d]")
"""Needed inside some names (Persian, emoji), only in the way elsewhere."""
_LINE_ENDS = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL_BUT_LF = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]+")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")

_FORMULA_TEXT = re.compile(r'=\s*"((?:[^"]|"")*)"')
_QUOTED = re.compile(r'"[^"]*"')
_FORMULA_NUMBER = re.compile(r"=(?=\+?\d[\d\s]*$)")

_FLOAT = re.compile(r"(-?\d+)(?:\.0+|,00?)")
_THOUSANDS = re.compile(r"-?\d{1,3}[.,]000")
_FLOAT_IN_NUMBER = re.compile(r"(?:(?<=\d{3})[.,]0|(?<=\d{5})[.,]0+|(?<=^\d{4})[.,]0+|(?<=^\+\d{4})[.,]0+)$")
"""A long run of digits with zeros behind it is a float; in a number written in groups `.00` may be the last group."""

_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s?e\s?\+\s?\d{1,3}|[+-]?\d[.,]\d+\s?e\s?\d{1,3}", re.IGNORECASE)
_SHORTENED_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s?e\s?\+?\s?\d{1,3}", re.IGNORECASE)
BEGINS_SPOILED = frozenset("#+-0123456789")
"""What a spoiled cell begins with; nearly all others need no second look."""
UNCALCULATED = "#FORMULA"
"""What stands for a formula that a workbook holds no result of."""
_HASHES = re.compile(r"#{3,}")
_ERRORS = frozenset({
    "#N/A", "#NV", "#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#BEZUG!", "#WERT!",
    "#NOM?", "#VALEUR!",
})  # fmt: skip


def clean(cell: str, column: str) -> str:
    """The cell as it was meant: trimmed, without guards, floats that are whole without their zeros.

    `column` is its lower-case name. Line breaks and control characters inside become one space, every other space a
    plain one, invisible signs go.
    """
    if not cell.isprintable():
        cell = _without_invisible(cell, column)
    cell = cell.strip()
    if not cell:
        return cell
    if cell[0] in "'=’\"":
        cell = _unguarded(cell, column)
    if cell[-1:] == "0":
        cell = _without_zeros(cell, column)
    return cell


def spoiled(cell: str, column: str) -> str | None:
    """Why a cleaned cell cannot mean what stands in it, to follow the quoted cell; None when it can."""
    first = cell[:1]
    if first == "#":
        if _HASHES.fullmatch(cell):
            return "is what a spreadsheet shows when a column is too narrow; widen it and export it again"
        if cell == UNCALCULATED:
            return "has no result in the workbook; open it, save it and import it again"
        if cell.upper() in _ERRORS:
            return "is a spreadsheet's error; correct the sheet and export it again"
    elif (first.isdigit() or first in "+-") and "e" in cell.lower():
        pattern = _SHORTENED_NUMBER if column in NUMBERS else _SHORTENED
        if pattern.fullmatch(cell):
            return "is a number that a spreadsheet shortened; store the column as text and export it again"
    return None


def _without_invisible(cell: str, column: str) -> str:
    cell = _REMOVED.sub("", cell)
    if column not in FREE_TEXT:
        cell = _JOINERS.sub("", cell)
    several = column in CONTACTS
    cell = _CONTROL_BUT_LF.sub(" ", _LINE_ENDS.sub("\n", cell)) if several else _CONTROL.sub(" ", cell)
    return _SPACES.sub(" ", cell)


def _unguarded(cell: str, column: str) -> str:
    """Without `'` and `="..."`, also one inside the other. A name may begin with an apostrophe and a small letter."""
    for _ in range(3):
        if cell[:1] in ("'", "’"):
            if column in FREE_TEXT and cell[1:2].islower():
                break
            cell = cell[1:].strip()
        elif found := _FORMULA_TEXT.fullmatch(cell):
            cell = found[1].replace('""', '"').strip()
        elif column not in FREE_TEXT and (_FORMULA_NUMBER.match(cell) or _QUOTED.fullmatch(cell)):
            cell = cell.strip('="').strip()
        else:
            break
    return cell


def _without_zeros(cell: str, column: str) -> str:
    if column in NUMBERS:
        return _FLOAT_IN_NUMBER.sub("", cell)
    # `1.000` may be a thousand.
    if (found := _FLOAT.fullmatch(cell)) and not _THOUSANDS.fullmatch(cell):
        return found[1]
    return cell
