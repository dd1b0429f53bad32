"""What each row of a people CSV comes to: staged for the database, kept with a warning, or rejected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from app.directory.cells import BEGINS_SPOILED, spoiled
from app.directory.contact_cells import Contacts, quoted, read_contacts, read_emails, read_numbers
from app.directory.folding import fold, id_key
from app.directory.languages import read_language
from app.directory.numbers import ContactProblem, known_country
from app.directory.source import Source, read_source
from app.directory.table import COLUMNS, REQUIRED, Row
from app.directory.time_zones import read_zone
from app.kernel.errors import FieldError, Invalid

BATCH_ROWS = 2000
MAX_ID = 100
MAX_TEXT = 200
MAX_KEY = 600
"""Folding may lengthen a text; an index entry has to stay below PostgreSQL's 2.7 KB."""

TRUE = frozenset({"true", "1", "yes"})
FALSE = frozenset({"false", "0", "no"})

TEXTS = ("title", "site", "language", "time_zone", "shift")
NUMBERS = ("mobile", "phone")

STAGED = (
    ("line", "integer"), ("employee_id", "text"), ("name", "text"), ("department", "text"), ("department_key", "text"),
    ("manager", "text"), ("active", "boolean"), *((name, "text") for name in TEXTS),
    ("mobile", "text"), ("mobile_country", "text"), ("mobile_can_text", "boolean"),
    ("phone", "text"), ("phone_country", "text"), ("phone_can_text", "boolean"), ("email", "text"),
)  # fmt: skip
"""Columns of the staging table. NULL means: keep what is known."""

_ORDER = {name: place for place, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to know about the file. `line` is physical; `column` is empty when a whole row is meant."""

    line: int
    id: str
    column: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {"line": self.line, "id": self.id, "column": self.column, "reason": self.reason}

    def place(self) -> tuple[int, int]:
        return self.line, _ORDER.get(self.column, -1)


@dataclass(frozen=True)
class Report:
    """What an import did, or on a dry run would do. Each person counts once, in the first that fits:
    created, deactivated (was active, now is not), updated (a stored value changed), unchanged."""

    created: int
    updated: int
    unchanged: int
    deactivated: int
    rejected: list[Issue]
    warnings: list[Issue]
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "deactivated": self.deactivated,
            "rejected": [issue.as_dict() for issue in self.rejected],
            "warnings": [issue.as_dict() for issue in self.warnings],
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows ready for COPY in its text format, and how many rows of the file have been read so far."""

    copy: bytes
    rows_read: int


@dataclass
class Nameless:
    """What rows without an id say about whom they mean, so that `complete` deactivates none of them."""

    names: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


class Reading:
    """One pass over one file. Its lists are complete once `batches` is used up."""

    def __init__(self, source: Source, country: str | None, sheet: str | None = None) -> None:
        self.country = read_country(country)
        self.source = source
        self.sheet = sheet
        self.accepted = 0
        self.rejected: list[Issue] = []
        self.warnings: list[Issue] = []
        self.dropped: list[Issue] = []
        """Warnings about a number or address that cannot be used; whether another is known, only the database knows."""
        self.rejected_ids: set[str] = set()
        self.nameless = Nameless()
        self._line_of: dict[str, int] = {}
        self._first_of: dict[str, str] = {}
        self.alike: set[str] = set()
        """Ids of the file that differ from each other only in leading zeros, case or spaces."""

    def batches(self) -> Iterator[Batch]:
        """Raises Invalid when the file as a whole cannot be trusted. CPU-bound: run it off the event loop."""
        table = read_source(self.source, self.sheet)
        known = ", ".join(COLUMNS)
        self.warnings += [
            Issue(table.line, "", name, f'the column "{name}" is not known and was ignored; known are {known}')
            for name in table.ignored
        ]
        rows_read = 0
        rows = iter(table.rows)
        while batch := list(islice(rows, BATCH_ROWS)):
            rows_read += len(batch)
            staged = [values for row in batch if (values := self._stage(row, table.width)) is not None]
            self.accepted += len(staged)
            yield Batch(_copy_text(staged), rows_read)

    def _stage(self, row: Row, width: int) -> list[str | None] | None:
        spoilt = {
            column: why
            for column, text in row.cells.items()
            if text and text[0] in BEGINS_SPOILED and (why := spoiled(text, column))
        }
        faults = self._faults(row, width, spoilt)
        cells = row.cells
        employee_id = cells["id"]
        if employee_id and "id" not in spoilt:
            self._line_of.setdefault(employee_id, row.line)
        if faults:
            shown = _shown(employee_id, MAX_ID)
            self.rejected += [Issue(row.line, shown, column, reason) for column, reason in faults]
            self._protect(cells if "id" not in spoilt else {**cells, "id": ""})
            return None
        for column, why in spoilt.items():
            self._drop(row, column, f"{quoted(cells[column])} {why}")
            cells[column] = ""
        if (first := self._first_of.setdefault(id_key(employee_id), employee_id)) != employee_id:
            self.alike |= {first, employee_id}
        active = cells.get("active", "").lower()
        values: list[str | None] = [
            str(row.line), employee_id, cells["name"], cells["department"], fold(cells["department"]),
            self._manager(row), None if not active else "t" if active in TRUE else "f",
        ]  # fmt: skip
        values += [self._text(row, column) for column in TEXTS]
        return values + _contact_values(self._contacts(row))

    def reject(self, issues: Sequence[Issue], protected: Iterable[str]) -> None:
        """Rejects rows that were accepted, for what only the database knows. Nobody `protected` counts as missing."""
        lines = {issue.line for issue in issues}
        self.accepted -= len(lines)
        self.warnings = [issue for issue in self.warnings if issue.line not in lines]
        self.dropped = [issue for issue in self.dropped if issue.line not in lines]
        self.rejected += issues
        self.rejected_ids.update(protected)

    def _manager(self, row: Row) -> str | None:
        manager = row.cells.get("manager_id") or None
        if manager == row.cells["id"]:
            self._warn(row, "manager_id", "names the person as their own manager; the manager was left out")
            return None
        return manager

    def _contacts(self, row: Row) -> Contacts:
        return read_contacts(
            row.cells, self.country, warn=lambda column, reason: self._warn(row, column, reason),
            drop=lambda column, reason: self._drop(row, column, reason),
        )  # fmt: skip

    def _faults(self, row: Row, width: int, spoilt: Mapping[str, str]) -> list[tuple[str, str]]:
        cells = row.cells
        faults: list[tuple[str, str]] = []
        employee_id = cells["id"]
        if not employee_id:
            faults.append(("id", "the id is blank; every person needs one"))
        elif "id" in spoilt:
            faults.append(("id", f"{quoted(employee_id)} {spoilt['id']}"))
        elif employee_id in self._line_of:
            faults.append(("id", f"the id {_shown(employee_id)} is already on line {self._line_of[employee_id]}"))
        elif len(employee_id) > MAX_ID:
            faults.append(("id", f"the id is longer than {MAX_ID} characters"))
        if row.width > width:
            # Every cell after the extra one stands in the wrong column: nothing else of this row can be judged.
            faults.append((
                "", f"the row has {row.width} cells and the header {width}; "
                "put quotation marks around a cell that holds the separator",
            ))  # fmt: skip
            return faults
        faults += [(column, f"{quoted(cells[column])} {spoilt[column]}") for column in REQUIRED[1:] if column in spoilt]
        for column in REQUIRED[1:]:
            if not fold(cells[column]):
                faults.append((column, f"the {column} is blank; every person needs one"))
            elif len(cells[column]) > MAX_TEXT or (column == "department" and len(fold(cells[column])) > MAX_KEY):
                faults.append((column, f"the {column} is longer than {MAX_TEXT} characters"))
        active = cells.get("active", "")
        if active and active.lower() not in TRUE | FALSE:
            faults.append(("active", f"{quoted(active)} is not readable; write true, false, yes, no, 1 or 0"))
        return faults

    def _protect(self, cells: dict[str, str]) -> None:
        """A rejected row never deactivates anybody: remembers whom it means, by id or else by what it says."""
        if cells["id"]:
            self.rejected_ids.add(cells["id"])
            return
        if cells["name"]:
            self.nameless.names.append(cells["name"])
        for column in NUMBERS:
            with suppress(ContactProblem):
                found = read_numbers(cells.get(column, ""), self.country)
                self.nameless.addresses += [number.e164 for number in found.usable]
        with suppress(ContactProblem):
            self.nameless.addresses += read_emails(cells.get("email", "")).usable

    def _warn(self, row: Row, column: str, reason: str) -> None:
        self.warnings.append(Issue(row.line, row.cells["id"], column, reason))

    def _text(self, row: Row, column: str) -> str | None:
        value = row.cells.get(column)
        if value and len(value) > MAX_TEXT:
            self._warn(row, column, f"the {column} is longer than {MAX_TEXT} characters and was left out")
            return None
        if value and column in ("time_zone", "language"):
            return self._known_name(row, column, value)
        return value or None

    def _known_name(self, row: Row, column: str, value: str) -> str | None:
        """What Muster goes by is kept under its one name; what means nothing to it is left out."""
        if column == "time_zone":
            zone = read_zone(value)
            name, remark = zone.name, zone.remark
        else:
            spoken = read_language(value)
            name, remark = spoken.tag, spoken.remark
        if remark:
            tell = self._warn if name else self._drop
            tell(row, column, f"{quoted(value)} {remark}")
        return name

    def _drop(self, row: Row, column: str, reason: str) -> None:
        self.dropped.append(Issue(row.line, row.cells["id"], column, reason))


def _contact_values(contacts: Contacts) -> list[str | None]:
    values: list[str | None] = []
    for number in (contacts.mobile, contacts.phone):
        values += [number.e164, number.country, "t" if number.can_text else "f"] if number else [None, None, None]
    return [*values, contacts.email]


def read_country(country: str | None) -> str | None:
    """The ISO code in upper case. Raises Invalid for one whose national numbers cannot be read."""
    if country is None or not country.strip():
        return None
    code = country.strip().upper()
    if known_country(code):
        return code
    hint = "the United Kingdom is GB" if code == "UK" else "such as US, GB, DE or FR"
    raise Invalid(
        "The country is not known.", [FieldError("country", f"give its two-letter ISO code, {hint}")]
    )  # fmt: skip


def _shown(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[:most] + "..."


_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copy_text(rows: Iterable[list[str | None]]) -> bytes:
    return "".join(
        "\t".join("\\N" if value is None else value.translate(_COPY_ESCAPES) for value in row) + "\n" for row in rows
    ).encode()
