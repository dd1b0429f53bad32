"""The people workbook (.xlsx) as bytes -> the same rows as a CSV gives, each with its number in the sheet. Pure.

A workbook is a zip of XML, so a small file may ask for any amount of memory. Everything is measured before the reader
sees it: every part is unpacked once, counted and checked against its checksum, and the area of the sheet must be one
that a people file can have.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import cache
from html import unescape
from itertools import chain, islice
from typing import Any, NoReturn

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from app.directory.cells import UNCALCULATED
from app.directory.table import REQUIRED, Table, column_name, listed, make_table, refuse
from app.kernel.errors import FieldError, Invalid

SIGNATURE = b"PK\x03\x04"
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

MAX_UNPACKED = 300_000_000
"""Bytes. A sheet of 100,000 people with every column has about a fifth of it."""
MAX_CELLS = 5_000_000
"""Rows times columns of the sheet's area; the reader keeps room for each, filled or not."""
HEADER_WITHIN = 20
"""Rows that may stand above the header, such as a title."""

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, LookupError, ValueError, OSError,
)  # fmt: skip
"""What `zipfile` raises, depending on where a file is damaged."""

_PIECE = 1 << 20
_EXACT = 1e15
"""A spreadsheet keeps 15 digits of a number; what is larger has lost its end."""

_TAG = re.compile(r"([\w:]+)\s*=\s*\"([^\"]*)\"")
_SHEET = re.compile(r"<(?:\w+:)?sheet\s[^>]*>")
_RELATION = re.compile(r"<(?:\w+:)?Relationship\s[^>]*>")
_FORMAT = re.compile(r"<(?:\w+:)?numFmt\s[^>]*>")
_STYLES = re.compile(r"<(?:\w+:)?cellXfs\b.*?</(?:\w+:)?cellXfs>", re.DOTALL)
_STYLE = re.compile(r"<(?:\w+:)?xf\s[^>]*>")
_ZEROS = re.compile(r"0{2,30}")
_CELL = re.compile(
    rb"<(?:\w+:)?c\s(?:[^>]*?\s)?r=[\"']([A-Z]{1,3})(\d{1,7})[\"']([^>]*)>"
    rb"(?:<(?:\w+:)?f\b([^>]*)>(?:([^<]*)</(?:\w+:)?f>)?)?(?:<(?:\w+:)?v(?:/>|>([^<]*)))?"
)
"""Column, row, attributes; a formula's attributes and text; the stored value."""
_FORMULA_TEXT = re.compile(r'\s*"((?:[^"]|"")*)"\s*')
_ERROR = re.compile(rb"\bt=[\"']e[\"']")
_STYLED = re.compile(rb"\bs=[\"'](\d+)[\"']")

_OTHERS = (
    ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"), ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a presentation"), ("content.xml", "an OpenDocument sheet (.ods)"),
    ("Index/Document.iwa", "a Numbers sheet"),
)  # fmt: skip
"""A part that other files packed as a zip have, and what they are."""


def read_workbook(content: bytes, sheet: str | None) -> Table:
    """The first sheet that is not hidden, or the one named (in any case). Raises Invalid as `read_table` does, and for
    a sheet that is not there (field `sheet`). The header is the first row with every required column."""
    parts = _Parts(content)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        name = _chosen(workbook, sheet)
        marks = parts.look(name)
        records = _records(workbook.get_sheet_by_name(name), marks)
        above = [(line, cells) for line, cells in islice(records, HEADER_WITHIN) if any(map(str.strip, cells))]
    except CalamineError as error:
        _refuse_damaged(str(error))
    if not above:
        refuse(f'the sheet "{name}" is empty; a header row names at least the columns {listed(REQUIRED)}')
    place = next((place for place, (_, cells) in enumerate(above) if _is_header(cells)), 0)
    line, names = above[place]
    width = max(place for place, cell in enumerate(names, 1) if cell.strip())
    # Beside a sheet's columns people keep notes; each cell knows its column, so nothing is shifted by them.
    rows = ((number, cells[:width]) for number, cells in chain(above[place + 1 :], records))
    return make_table(names[:width], rows, line=line, hint=f' (sheet "{name}")')


def _is_header(cells: Sequence[str]) -> bool:
    return set(REQUIRED) <= {column_name(cell) for cell in cells}


def _chosen(workbook: CalamineWorkbook, wanted: str | None) -> str:
    sheets = [entry for entry in workbook.sheets_metadata if entry.typ == SheetTypeEnum.WorkSheet]
    if wanted is None or not wanted.strip():
        shown = [entry.name for entry in sheets if entry.visible == SheetVisibleEnum.Visible]
        if not shown:
            refuse("the workbook has no sheet with cells")
        return shown[0]
    named = [entry.name for entry in sheets if entry.name.casefold() == wanted.strip().casefold()]
    if not named:
        there = ", ".join(f'"{entry.name}"' for entry in sheets[:20])
        wrong = FieldError("sheet", f"there is no such sheet; use one of {there}")
        raise Invalid("The file cannot be imported.", [wrong])
    return next((name for name in named if name == wanted.strip()), named[0])


def _records(sheet: CalamineSheet, marks: _Marks) -> Iterator[tuple[int, Sequence[str]]]:
    """Every row with its number in the sheet. A cell merged over several rows stands in each of them."""
    begins: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
        if bottom > top:
            begins[top].append((left, bottom))
    merged: dict[int, tuple[int, str]] = {}
    for number, values in enumerate(sheet.iter_rows()):
        zeros, told = marks.digits.get(number, {}), marks.texts.get(number, {})
        cells = [told.get(place) or _text(value, zeros.get(place, 0)) for place, value in enumerate(values)]
        # The reader leaves out what it takes for blank at the end.
        cells.extend(told.get(place, "") for place in range(len(cells), max(told, default=-1) + 1))
        for place, (bottom, text) in list(merged.items()):
            if number > bottom:
                del merged[place]
            elif not cells[place]:
                cells[place] = text
        for place, bottom in begins.get(number, ()):
            if place < len(cells):
                merged[place] = (bottom, cells[place])
        yield number + 1, cells


def _text(value: Any, zeros: int) -> str:
    """A cell's value as a CSV of the same sheet would have it. `zeros` is how many digits its number format shows."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if abs(value) >= _EXACT:
            return f"{value:.14E}"
        return str(int(value)).zfill(zeros) if value.is_integer() else repr(value)
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    return str(value) if isinstance(value, (int, timedelta)) else ""


@dataclass(frozen=True)
class _Marks:
    """What the reader does not tell of a sheet's cells, by row and column (both from 0)."""

    digits: dict[int, dict[int, int]] = field(default_factory=dict)
    """How many digits a number format of nothing but zeros shows."""
    texts: dict[int, dict[int, str]] = field(default_factory=dict)
    """Errors, and formulas that are a text (`="00124"`) or have no stored result, which only Excel could work out."""


class _Parts:
    """The parts of the zip, each unpacked once and found whole. Raises Invalid for what is no workbook or too large."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except _DAMAGE:
            _refuse_damaged("it ends too early, or is no zip file")
        names = set(self._zip.namelist())
        if "xl/workbook.xml" not in names:
            what = next((what for part, what in _OTHERS if part in names), "a zip file")
            refuse(f"it is {what}; save it as an Excel workbook (.xlsx) or as CSV UTF-8")
        self._left = MAX_UNPACKED
        self._small = {
            name: b"".join(self._pieces(name)).decode("utf-8", "replace")
            for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml")
            if name in names
        }
        for name in names - set(self._small):
            if not name.startswith(("xl/worksheets/", "xl/media/")):
                for _ in self._pieces(name):
                    pass

    def look(self, sheet: str) -> _Marks:
        """Checks one sheet's area before it is read."""
        path = self._path(sheet)
        if path is None:
            _refuse_damaged("a sheet is missing")
        digits = self._padding()
        marks = _Marks()
        least, most = [1 << 30, 1 << 30], [-1, -1]
        for letters, row, attributes, *held in _cells(self._pieces(path)):
            at = (int(row) - 1, _column(letters))
            least = [min(least[0], at[0]), min(least[1], at[1])]
            most = [max(most[0], at[0]), max(most[1], at[1])]
            if digits and (style := _STYLED.search(attributes)) and (zeros := digits.get(int(style[1]))):
                marks.digits.setdefault(at[0], {})[at[1]] = zeros
            if text := _told(attributes, *held):
                marks.texts.setdefault(at[0], {})[at[1]] = text
        if most >= least and (most[0] - least[0] + 1) * (most[1] - least[1] + 1) > MAX_CELLS:
            refuse(
                f'the sheet "{sheet}" goes down to row {most[0] + 1:,}, over {most[1] + 1:,} columns: too large for '
                "a people file; delete what stands far below and beside the people"
            )
        return marks

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(name) as part:
                while piece := part.read(_PIECE):
                    self._left -= len(piece)
                    if self._left < 0:
                        refuse(
                            f"it unpacks to more than {MAX_UNPACKED // 1_000_000} MB: too large for a people file; "
                            "delete other sheets, or save it as CSV UTF-8"
                        )
                    yield piece
        except _DAMAGE:
            _refuse_damaged("a part of it cannot be unpacked")

    def _path(self, sheet: str) -> str | None:
        relation = next(
            (value for tag in _SHEET.findall(self._small["xl/workbook.xml"])
             if unescape((given := _attributes(tag)).get("name", "")) == sheet
             for key, value in given.items() if key.endswith(":id")),
            None,
        )  # fmt: skip
        for tag in _RELATION.findall(self._small.get("xl/_rels/workbook.xml.rels", "")):
            if (given := _attributes(tag)).get("Id") == relation:
                target = unescape(given.get("Target", ""))
                return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
        return None

    def _padding(self) -> dict[int, int]:
        """A cell style's number -> how many digits it shows, for formats that are nothing but zeros (`00000`)."""
        styles = self._small.get("xl/styles.xml", "")
        tags = [_attributes(tag) for tag in _FORMAT.findall(styles)]
        formats = {given.get("numFmtId"): given.get("formatCode", "") for given in tags}
        within = _STYLES.search(styles)
        return {
            number: len(code)
            for number, tag in enumerate(_STYLE.findall(within[0]) if within else ())
            if _ZEROS.fullmatch(code := formats.get(_attributes(tag).get("numFmtId"), ""))
        }


def _told(attributes: bytes, shared: bytes, formula: bytes, value: bytes) -> str:
    """What to read instead of a cell's stored value; empty where that is right."""
    if _ERROR.search(attributes):
        return unescape(value.decode("utf-8", "replace"))
    text = unescape(formula.decode("utf-8", "replace"))
    if found := _FORMULA_TEXT.fullmatch(text):
        return found[1].replace('""', '"')
    return UNCALCULATED if (text or shared) and not value else ""


def _cells(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
    """What `_CELL` says of every cell that holds something."""
    rest = b""
    for piece in pieces:
        rest += piece
        end = max(rest.rfind(b"</row>"), rest.rfind(b":row>")) + 1
        for found in _CELL.findall(rest[:end]):
            if not found[2].endswith(b"/"):
                yield found
        rest = rest[end:]
        if len(rest) > 8 * _PIECE:
            _refuse_damaged("a sheet is no XML")


def _attributes(tag: str) -> dict[str, str]:
    return dict(_TAG.findall(tag))


@cache
def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _refuse_damaged(why: str) -> NoReturn:
    refuse(
        f"it begins like an Excel workbook but cannot be read: {why}. Open it and save it again as .xlsx or CSV UTF-8"
    )
