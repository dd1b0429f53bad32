"""The people CSV as bytes -> rows with the line each begins on. Pure: knows columns and cells, not what they mean."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

from app.kernel.errors import FieldError, Invalid

REQUIRED = ("id", "name", "department")
COLUMNS = (
    *REQUIRED, "title", "site", "manager_id", "mobile", "email", "phone", "language", "time_zone", "shift", "active",
)  # fmt: skip
"""Every column that is read, in the order in which problems of one row are told."""

MAX_LINE = 100_000
MAX_COLUMNS = 200
MAX_QUOTED_LINES = 50
"""A row goes over more lines than this only when somebody forgot a closing quote."""

_ENDS = re.compile(r"\r\n|\r|\n")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_REMOVED = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One record. `cells` holds the known columns of the file, trimmed; `width` how many cells it had at least.

    `width` does not count blank cells at the end, which spreadsheets like to add.
    """

    line: int
    cells: dict[str, str]
    width: int


@dataclass(frozen=True)
class Table:
    """A file whose header is right. `ignored` are its other columns; `width` is the header's number of cells."""

    columns: tuple[str, ...]
    ignored: tuple[str, ...]
    width: int
    rows: Iterator[Row]


def read_table(stream: Iterable[bytes]) -> Table:
    """Reads the header now and each row when asked for; memory stays that of one row.

    Raises Invalid, now or while the rows are read, when the file as a whole cannot be trusted: not UTF-8, binary,
    empty, a required column missing or one twice, a quote never closed. `line` is physical: a line ends with LF, CR
    or CRLF, the first is 1, and a quoted cell may hold several.
    """
    lines = _Lines(stream)
    header = lines.first()
    if header is None:
        refuse("it is empty; it begins with a header row that has at least the columns " + _listed(REQUIRED))
    delimiter = _delimiter(header)
    records = _records(lines, header, delimiter)
    _, names = next(records)
    if len(names) > MAX_COLUMNS:
        refuse(f"its header has {len(names):,} columns; at most {MAX_COLUMNS} are read")
    places, ignored = _columns(names, header)
    return Table(
        columns=tuple(places),
        ignored=ignored,
        width=len(names),
        rows=_rows(records, places),
    )


def refuse(*problems: str) -> NoReturn:
    """Refuses the file as a whole, with each problem as one error of `file`."""
    raise Invalid("The file cannot be imported.", [FieldError("file", problem) for problem in problems])


def _listed(names: Iterable[str]) -> str:
    *most, last = (f'"{name}"' for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def _delimiter(header: str) -> str:
    """Whichever makes more known columns of the header; a comma when both do equally well."""

    def known(delimiter: str) -> int:
        names = next(csv.reader([header], delimiter=delimiter), [])
        return len({_column_name(name) for name in names} & set(COLUMNS))

    return ";" if known(";") > known(",") else ","


def _column_name(cell: str) -> str:
    return clean(cell).lower()


def _columns(names: list[str], header: str) -> tuple[dict[str, int], tuple[str, ...]]:
    places: dict[str, int] = {}
    ignored: dict[str, None] = {}
    problems: list[str] = []
    for place, cell in enumerate(names):
        name = _column_name(cell)
        if name not in COLUMNS:
            if name:
                ignored[clean(cell)[:100]] = None
        elif name in places:
            problems.append(f'the column "{name}" is there twice; keep one')
        else:
            places[name] = place
    missing = [name for name in REQUIRED if name not in places]
    if missing:
        kind = "columns" if len(missing) > 1 else "column"
        hint = "; its cells are separated by tabs, and should be by , or ;" if "\t" in header else ""
        problems.insert(
            0,
            f"its header lacks the {kind} {_listed(missing)}; the first row names the columns, "
            f"and {_listed(REQUIRED)} are required{hint}",
        )
    if problems:
        refuse(*dict.fromkeys(problems))
    return places, tuple(ignored)


def _rows(records: Iterator[tuple[int, list[str]]], places: dict[str, int]) -> Iterator[Row]:
    for line, record in records:
        width = len(record)
        while width and not record[width - 1].strip():
            width -= 1
        if width:  # else blank, or nothing but separators
            cells = {name: clean(record[place]) if place < width else "" for name, place in places.items()}
            yield Row(line, cells, width)


def clean(cell: str) -> str:
    """Trimmed; line breaks and control characters inside become one space, invisible direction marks go."""
    if not cell.isprintable():
        cell = _REMOVED.sub("", _CONTROL.sub(" ", cell))
    return cell.strip()


def _records(lines: _Lines, header: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record with the physical line that it begins on; refuses a file in which a quote stays open.

    An open quote swallows the rows after it until another quote, which then stands in the wrong place: so a wrong
    quote after a line break means that rows are being lost. On a single line it is only untidy, and read as it is.
    """
    begin = lines.number
    current = header
    ended = False

    def guarded() -> Iterator[str]:
        nonlocal current, ended
        for current in chain([header], lines):
            if lines.number - begin >= MAX_QUOTED_LINES:
                refuse(_never_closed(begin))
            yield current
        ended = True

    reader = csv.reader(guarded(), delimiter=delimiter, strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error:
            if ended or lines.number != begin:
                refuse(_never_closed(begin))
            record = next(csv.reader([current], delimiter=delimiter))
        yield begin, record
        begin = lines.number + 1


def _never_closed(line: int) -> str:
    return f'a quotation mark (") in the row that begins on line {line} is never closed; close or remove it'


class _Lines:
    """Decoded physical lines with their ends. `number` is that of the line given last."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self.number = 0
        # Bytes that are no UTF-8 come through as lone surrogates, so that the error can name their line.
        self._text = io.TextIOWrapper(
            io.BufferedReader(_Chunks(stream), 65536), encoding="utf-8-sig", errors="surrogateescape", newline=""
        )

    def first(self) -> str | None:
        """The first line that is not blank."""
        return next((line for line in self if line.strip()), None)

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_LINE + 1):
            self.number += 1
            if self.number == 1:
                _refuse_by_signature(line)
            if not line.isascii() and (bad := _ESCAPED_BYTE.search(line)):
                _refuse_encoding(line, self.number, bad.start())
            if "\0" in line:
                refuse(f"line {self.number} holds bytes that are no text; save the sheet as CSV UTF-8")
            if len(line) > MAX_LINE:
                refuse(f"line {self.number} is longer than {MAX_LINE:,} characters; save the sheet as CSV UTF-8")
            yield line


_SIGNATURES = (
    (b"PK\x03\x04", "it is an Excel workbook or another zip file"),
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook"),
    (b"%PDF", "it is a PDF"),
    (b"\xff\xfe\x00\x00", "it is UTF-32 text"),
    (b"\xff\xfe", "it is UTF-16 text"),
    (b"\xfe\xff", "it is UTF-16 text"),
)


def _refuse_by_signature(line: str) -> None:
    beginning = line[:8].encode("utf-8", "surrogateescape")
    for signature, what in _SIGNATURES:
        if beginning.startswith(signature):
            refuse(f"{what}; save it as CSV UTF-8")


def _refuse_encoding(line: str, number: int, place: int) -> NoReturn:
    raw = line.encode("utf-8", "surrogateescape")
    try:
        guess = raw.decode("cp1252")
    except UnicodeDecodeError:
        guess = ""
    if guess and not _CONTROL.search(_ENDS.sub("", guess).replace("\t", "")):
        near = " ".join(guess[max(0, place - 12) : place + 12].split())
        refuse(
            f"line {number} is not UTF-8; it looks like Windows-1252 (Western European), "
            f'where it would read "{near}". Save the file as CSV UTF-8'
        )
    refuse(f"line {number} is not UTF-8 text; save the file as CSV UTF-8")


class _Chunks(io.RawIOBase):
    """An iterable of bytes as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = bytes(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
