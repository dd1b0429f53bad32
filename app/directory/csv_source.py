"""The people CSV as bytes -> rows with the line each begins on. Pure: knows columns and cells, not what they mean."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NoReturn

from app.directory.table import COLUMNS, REQUIRED, Table, column_name, listed, make_table, refuse

MAX_LINE = 100_000
MAX_QUOTED_LINES = 50
"""A row goes over more lines than this only when somebody forgot a closing quote."""

_ENDS = re.compile(r"\r\n|\r|\n")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_SEPARATOR = re.compile(r'"?sep\s*=[ \u00a0]*(?P<sign>[,;|\t])"?[\s,;]*', re.IGNORECASE)
"""The first line with which a spreadsheet tells another what separates the cells."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def read_table(stream: Iterable[bytes]) -> Table:
    """Reads the header now and each row when asked for; memory stays that of one row.

    Raises Invalid, now or while the rows are read, when the file as a whole cannot be trusted: not UTF-8, binary,
    empty, a required column missing or one twice, a quote never closed. `line` is physical: a line ends with LF, CR
    or CRLF, the first is 1, and a quoted cell may hold several.
    """
    lines = _Lines(stream)
    header = lines.first()
    named = _SEPARATOR.fullmatch(header) if header is not None else None
    if named:
        header = lines.first()
    if header is None:
        refuse("it is empty; it begins with a header row that has at least the columns " + listed(REQUIRED))
    line = lines.number
    records = _records(lines, header, _delimiter(header, named["sign"] if named else ""))
    _, names = next(records)
    hint = "; its cells are separated by tabs, and should be by , or ;" if "\t" in header else ""
    return make_table(names, records, line=line, hint=hint)


def _delimiter(header: str, named: str) -> str:
    """Whichever makes the most known columns of the header: the one that the file names, else a comma, else `;`."""

    def known(delimiter: str) -> int:
        names = next(csv.reader([header], delimiter=delimiter), [])
        return len({column_name(name) for name in names} & set(COLUMNS))

    return max(dict.fromkeys([named or ",", ",", ";"]), key=known)


def _records(lines: _Lines, header: str, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
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
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook (.xls), or one with a password"),
    (b"%PDF", "it is a PDF"),
    (b"\xff\xfe\x00\x00", "it is UTF-32 text"),
    (b"\xff\xfe", "it is UTF-16 text"),
    (b"\xfe\xff", "it is UTF-16 text"),
)


def _refuse_by_signature(line: str) -> None:
    beginning = line[:8].encode("utf-8", "surrogateescape")
    for signature, what in _SIGNATURES:
        if beginning.startswith(signature):
            refuse(f"{what}; save it as .xlsx or as CSV UTF-8")


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
