"""The damaged export, row by row, as CSV and as the workbook it came from."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable
from typing import Any

from app.directory.importing import Report
from app.review.formats.csv_format import guarded
from tests.directory.damaged import FILE, PEOPLE, REPORT, told
from tests.directory.sheets import workbook

Load = Callable[..., Awaitable[Report]]
Look = Callable[[str], Awaitable[dict[str, Any]]]


async def test_every_row_of_the_damaged_export_comes_to_what_was_meant(load: Load, look: Look) -> None:
    dry = await load(FILE, country=None, dry_run=True)
    report = await load(FILE, country=None)
    assert report.as_dict() == REPORT
    assert dry.as_dict() == REPORT | {"dry_run": True}
    for employee_id, wanted in PEOPLE.items():
        person = await look(employee_id)
        assert told(person) == wanted
        assert person["contact_points"][-1]["kind"] == "email"
    again = await load(FILE, country=None)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 6)
    assert [issue["line"] for issue in again.as_dict()["rejected"]] == [5]


async def test_the_same_rows_in_a_workbook_give_the_same_report(load: Load, look: Look) -> None:
    def typed(cell: str) -> str | float | None:
        try:
            return float(cell) if cell and cell[0] in "123456789" else cell or None
        except ValueError:
            return cell

    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))[1:]
    rows[4][6] = "'4.477E+11"  # as a number it would be whole
    report = await load(workbook([[typed(cell) for cell in row] for row in rows]), country=None)
    expected = {
        kind: [issue | {"line": issue["line"] - 1} for issue in REPORT[kind]] for kind in ("rejected", "warnings")
    }
    expected["rejected"][0]["reason"] = REPORT["rejected"][0]["reason"].replace("line 3", "line 2")
    assert report.as_dict() == REPORT | expected
    for employee_id, wanted in PEOPLE.items():
        assert told(await look(employee_id)) == wanted


async def test_what_muster_exports_is_imported_again_unchanged(load: Load) -> None:
    """The columns of people in the review's CSV, guarded as there."""
    people = "id,name,department,site\n=1+1,=Ann,+IT,@Boston\n00123,-Bo,IT,\n"
    assert (await load(people)).created == 2
    rows = [[guarded(cell) for cell in row.split(",")] for row in people.splitlines()[1:]]
    exported = "\n".join(["person_id,name,department,site,status", *(",".join([*row, "waiting"]) for row in rows)])
    again = await load("\ufeff" + exported.replace("\n", "\r\n"))
    assert (again.created, again.updated, again.unchanged, again.rejected) == (0, 0, 2, [])
    assert [issue.column for issue in again.warnings] == ["status"]
