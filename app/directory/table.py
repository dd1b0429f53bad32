"""What every people file comes to, CSV or workbook: rows of known columns, each with its line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from app.directory.cells import clean
from app.kernel.errors import FieldError, Invalid

REQUIRED = ("id", "name", "department")
COLUMNS = (
    *REQUIRED, "title", "site", "manager_id", "mobile", "email", "phone", "language", "time_zone", "shift", "active",
)  # fmt: skip
"""Every column that is read, in the order in which problems of one row are told."""

ALSO = {"person_id": "id"}
"""Names under which our own exports and API give a column."""

MAX_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One record. `cells` holds the known columns of the file, cleaned; `width` how many cells it had at least.

    `width` does not count blank cells at the end, which spreadsheets like to add.
    """

    line: int
    cells: dict[str, str]
    width: int


@dataclass(frozen=True)
class Table:
    """A file whose header is right. `ignored` are its other columns; `width` is the header's number of cells, `line`
    where it stands."""

    columns: tuple[str, ...]
    ignored: tuple[str, ...]
    width: int
    line: int
    rows: Iterator[Row]


def make_table(
    names: Sequence[str], records: Iterator[tuple[int, Sequence[str]]], *, line: int, hint: str = ""
) -> Table:
    """The table of a header and the records below it, each with its line. Raises Invalid for a header that lacks a
    required column or has one twice; `hint` is then added."""
    if len(names) > MAX_COLUMNS:
        refuse(f"its header has {len(names):,} columns; at most {MAX_COLUMNS} are read")
    places, ignored = _columns(names, hint)
    return Table(tuple(places), ignored, len(names), line, _rows(records, places))


def refuse(*problems: str) -> NoReturn:
    """Refuses the file as a whole, with each problem as one error of `file`."""
    raise Invalid("The file cannot be imported.", [FieldError("file", problem) for problem in problems])


def column_name(cell: str) -> str:
    """The column that a header's cell names, as far as it is one of ours."""
    name = clean(cell, "").lower()
    return ALSO.get(name, name)


def listed(names: Iterable[str]) -> str:
    """`"id", "name" and "department"`."""
    *most, last = (f'"{name}"' for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def _columns(names: Sequence[str], hint: str) -> tuple[dict[str, int], tuple[str, ...]]:
    places: dict[str, int] = {}
    ignored: dict[str, None] = {}
    problems: list[str] = []
    plain = {clean(cell, "").lower() for cell in names}
    for place, cell in enumerate(names):
        name = column_name(cell)
        shown = clean(cell, "")
        if name not in COLUMNS or (name != shown.lower() and name in plain):
            if shown:
                ignored[shown[:100]] = None
        elif name in places:
            problems.append(f'the column "{name}" is there twice; keep one')
        else:
            places[name] = place
    missing = [name for name in REQUIRED if name not in places]
    if missing:
        kind = "columns" if len(missing) > 1 else "column"
        problems.insert(
            0,
            f"its header lacks the {kind} {listed(missing)}; the first row names the columns, "
            f"and {listed(REQUIRED)} are required{hint}",
        )
    if problems:
        refuse(*dict.fromkeys(problems))
    return places, tuple(ignored)


def _rows(records: Iterator[tuple[int, Sequence[str]]], places: Mapping[str, int]) -> Iterator[Row]:
    for line, record in records:
        width = len(record)
        while width and not record[width - 1].strip():
            width -= 1
        if width:  # else blank, or nothing but separators
            cells = {name: clean(record[place], name) if place < width else "" for name, place in places.items()}
            yield Row(line, cells, width)
