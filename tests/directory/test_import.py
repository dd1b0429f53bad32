"""What an import changes, keeps, refuses and reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.directory import service
from app.directory.importing import Report
from app.kernel import audit
from app.kernel.clock import ManualClock
from app.kernel.db import MANY_ROWS, Database, row, rows
from app.kernel.errors import Conflict, Invalid
from tests.effort import tries

Load = Callable[..., Awaitable[Report]]
Look = Callable[[str], Awaitable[dict[str, Any]]]

HEADER = "id,name,department,title,site,manager_id,mobile,email,phone,language,time_zone,shift,active\n"
ANN = "E1,Ann,IT,Engineer,Boston,,206 555 0101,ann@example.com,206 555 0102,en,America/New_York,early,true\n"


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.created, report.updated, report.unchanged, report.deactivated


def told(report: Report) -> list[tuple[int, str, str]]:
    return [(issue.line, issue.id, issue.column) for issue in [*report.rejected, *report.warnings]]


def company(people: int, *, first: int = 1) -> str:
    rows_ = (f"E{n:04},Person {n},IT,p{n}@example.com\n" for n in range(first, first + people))
    return "id,name,department,email\n" + "".join(rows_)


REJECTED: list[tuple[str, list[tuple[str, str]]]] = [
    (",Bo,IT", [("id", "the id is blank; every person needs one")]),
    (" \t ,Bo,IT", [("id", "the id is blank; every person needs one")]),
    ("E2,,IT", [("name", "the name is blank; every person needs one")]),
    ("E2,Bo,", [("department", "the department is blank; every person needs one")]),
    ("E2", [("name", "the name is blank; every person needs one"),
            ("department", "the department is blank; every person needs one")]),
    ("E1,Bo,IT", [("id", "the id E1 is already on line 2")]),
    ("E1,Bo,", [("id", "the id E1 is already on line 2"),
                ("department", "the department is blank; every person needs one")]),
    ("E2,Bo,IT,,,,,,,,,,maybe", [("active", '"maybe" is not readable; write true, false, yes, no, 1 or 0')]),
    ("E2,Bo,IT,,,,,,,,,,TRUE,more", [("", "the row has 14 cells and the header 13; put quotation marks around a "
                                        "cell that holds the separator")]),
    ("E" * 101 + ",Bo,IT", [("id", "the id is longer than 100 characters")]),
    ("E2," + "o" * 201 + ",IT", [("name", "the name is longer than 200 characters")]),
    ("E2,Bo," + "ﷺ" * 200, [("department", "the department is longer than 200 characters")]),
]  # fmt: skip


async def test_a_rejected_row_is_named_and_never_loses_the_rest(load: Load) -> None:
    for line, expected in REJECTED:
        report = await load(HEADER + ANN + line + "\nE9,Cy,IT\n", dry_run=True)
        assert counts(report) == (2, 0, 0, 0), line
        assert [(issue.line, issue.column, issue.reason) for issue in report.rejected] == [
            (3, column, reason) for column, reason in expected
        ]
        assert report.warnings == [], line


async def test_a_row_after_a_rejected_one_with_the_same_id_is_rejected_too(load: Load) -> None:
    report = await load("id,name,department\nE1,,IT\nE1,Ann,IT\n")

    assert counts(report) == (0, 0, 0, 0)
    assert told(report) == [(2, "E1", "name"), (3, "E1", "id")]


FLAWS: list[tuple[str, str, str]] = [
    ("E2,Bo,IT,,,,n/a", "mobile", '"n/a" is not a phone number; it was left out'),
    ("E2,Bo,IT,,,,,,(206) 555-0100 x12", "phone",
     '"(206) 555-0100 x12" has an extension, which cannot be dialled for a message; give the direct number; '
     "it was left out"),
    ("E2,Bo,IT,,,,,a@b", "email",
     '"a@b" is not an email address: the part after the @ needs a dot, as in example.com; it was left out'),
    ("E2,Bo,IT,,,,(999) 999-9999", "mobile",
     '"(999) 999-9999" is outside the numbering plan of US; it is used all the same'),
    ("E2,Bo,IT,,,E404", "manager_id", "nobody has the id E404; the manager was left out"),
    ("E2,Bo,IT,,,E2", "manager_id", "names the person as their own manager; the manager was left out"),
    ("E2,Bo,IT," + "x" * 201, "title", "the title is longer than 200 characters and was left out"),
]  # fmt: skip


async def test_a_flaw_that_can_be_left_out_keeps_the_person(load: Load) -> None:
    for line, column, reason in FLAWS:
        report = await load(HEADER + line + "\n", dry_run=True)
        assert counts(report) == (1, 0, 0, 0), line
        assert report.rejected == [], line
        assert [(issue.line, issue.id, issue.column, issue.reason) for issue in report.warnings] == [
            (2, "E2", column, reason)
        ]


async def test_unknown_columns_are_ignored_and_said_once(load: Load, look: Look) -> None:
    report = await load("id,name,department,Salary\nE1,Ann,IT,100\nE2,Bo,IT,200\n")

    assert counts(report) == (2, 0, 0, 0)
    assert told(report) == [(1, "", "Salary")]
    assert "Salary" in report.warnings[0].reason


async def test_words_for_being_here_and_for_having_left(load: Load, look: Look) -> None:
    words = {
        **dict.fromkeys(["true", "TRUE", "1", "yes", "Yes", ""], True),
        **dict.fromkeys(["false", "FALSE", "0", "no", " No "], False),
    }
    lines = (f"E{n},Ann,IT,{word}\n" for n, word in enumerate(words))
    assert counts(await load("id,name,department,active\n" + "".join(lines))) == (11, 0, 0, 0)
    for n, (word, here) in enumerate(words.items()):
        assert (await look(f"E{n}"))["active"] is here, word


async def test_the_same_file_with_a_byte_order_mark_and_semicolons_changes_nothing(load: Load) -> None:
    await load(HEADER + ANN)
    dressed = b"\xef\xbb\xbf" + (HEADER + ANN).replace(",", ";").replace("\n", "\r\n").encode()
    assert counts(await load(dressed)) == (0, 0, 1, 0)


async def test_a_header_alone_is_a_file_with_nobody(load: Load) -> None:
    assert counts(await load(HEADER)) == (0, 0, 0, 0)


async def test_a_refused_file_changes_nothing(load: Load, db: Database) -> None:
    with pytest.raises(Invalid, match="cannot be imported"):
        await load(HEADER + ANN + 'E2,"Bo,IT\n')
    with pytest.raises(Invalid):
        await load(b"")
    with pytest.raises(Invalid) as country:
        await load(HEADER + ANN, country="UK")
    assert country.value.errors[0].field == "country"
    with pytest.raises(Invalid, match="cannot be read"):
        await load(Path("no-such-file.csv"))
    async with db.begin() as session:
        assert await rows(session, "SELECT id FROM person") == []
        assert await audit.entries(session, audit.SYSTEM) == []


async def test_blank_cells_keep_what_is_known(load: Load, look: Look) -> None:
    await load(HEADER + "E0,Meg,IT\n" + ANN.replace("Boston,,", "Boston,E0,"))
    before = await look("E1")

    assert counts(await load(HEADER + "E1,Ann,IT,,,,,,,,,,\n")) == (0, 0, 1, 0)
    assert counts(await load("id,name,department\nE1,Ann,IT\n")) == (0, 0, 1, 0)
    assert await look("E1") == before


async def test_an_unusable_cell_keeps_what_is_known_and_says_so(load: Load, look: Look) -> None:
    await load(HEADER + "E0,Meg,IT\n" + ANN.replace("Boston,,", "Boston,E0,"))
    before = await look("E1")

    report = await load(HEADER + "E1,Ann,IT,,,E404,TBD,ann@,+1 206 555\n")

    assert counts(report) == (0, 0, 1, 0)
    assert [issue.reason.rsplit("; ", 1)[1] for issue in report.warnings] == [
        "the known manager stays",
        "the known number stays",
        "the known address stays",
        "the known number stays",
    ]
    assert await look("E1") == before


async def test_a_changed_cell_changes_only_itself(load: Load, look: Look, db: Database, clock: ManualClock) -> None:
    await load(HEADER + ANN + "E2,Bo,IT\n")
    async with db.begin() as session:
        points = "SELECT kind, id FROM contact_point ORDER BY kind"
        ids = {entry["kind"]: entry["id"] for entry in await rows(session, points)}
    clock.advance(seconds=60)

    report = await load("id,name,department,mobile\nE1,Ann,Security,206 555 0199\nE2,Bo,IT,\n")

    assert counts(report) == (0, 1, 1, 0)
    ann = await look("E1")
    assert (ann["department"], ann["title"], ann["site"]) == ("Security", "Engineer", "Boston")
    assert [point["address"] for point in ann["contact_points"]] == ["+12065550199", "+12065550102", "ann@example.com"]
    async with db.begin() as session:
        assert {entry["kind"]: entry["id"] for entry in await rows(session, points)} == ids
        stamps = await rows(session, "SELECT employee_id, updated_at, created_at FROM person ORDER BY employee_id")
    assert [entry["updated_at"] == clock.now() for entry in stamps] == [True, False]
    assert all(entry["created_at"] < clock.now() for entry in stamps)


async def test_a_change_of_number_alone_counts_and_is_stamped(load: Load, db: Database, clock: ManualClock) -> None:
    await load(HEADER + ANN)
    clock.advance(seconds=60)
    assert counts(await load(HEADER + ANN.replace("0101", "0111"))) == (0, 1, 0, 0)
    async with db.begin() as session:
        stamp = await row(session, "SELECT updated_at FROM person")
    assert stamp
    assert stamp["updated_at"] == clock.now()


async def test_a_new_number_is_free_of_the_old_ones_opt_out(
    load: Load, look: Look, db: Database, clock: ManualClock
) -> None:
    await load(HEADER + ANN)
    async with db.begin() as session:
        await service.suppress(session, "+12065550101", "sms", "opted_out", clock.now())
    assert (await look("E1"))["contact_points"][0]["suppressed"] == ["opted_out"]

    await load(HEADER + ANN.replace("0101", "0111"))
    assert (await look("E1"))["contact_points"][0]["suppressed"] == []

    await load(HEADER + ANN)
    assert (await look("E1"))["contact_points"][0]["suppressed"] == ["opted_out"]


async def test_numbers_are_tried_in_the_order_mobile_phone_email(load: Load, look: Look) -> None:
    await load("email,phone,mobile,id,name,department\na@example.com,206 555 0102,206 555 0101,E1,Ann,IT\n")
    assert [point["kind"] for point in (await look("E1"))["contact_points"]] == ["mobile", "phone", "email"]


async def test_departments_are_one_in_any_spelling_and_the_first_wins(load: Load, db: Database) -> None:
    await load("id,name,department\nE1,Ann,Store Operations\nE2,Bo,  STORE\N{NO-BREAK SPACE} operations\n")
    await load("id,name,department\nE3,Cy,store OPERATIONS\nE4,Di,Ｓtore Operations\n")
    async with db.begin() as session:
        assert await service.departments(session) == {"Store Operations": 4}


async def test_a_manager_may_come_later_in_the_file(load: Load, look: Look) -> None:
    report = await load("id,name,department,manager_id\nE1,Ann,IT,E2\nE2,Bo,IT,\nE4,Di,IT,E5\nE5,,IT,\n")
    assert [(await look(f"E{n}"))["manager_id"] for n in (1, 2, 4)] == ["E2", None, None]
    # E5's own row is rejected and nobody knows E5, so nobody can report to E5.
    assert told(report) == [(5, "E5", "name"), (4, "E4", "manager_id")]


async def test_a_known_manager_need_not_be_in_the_file(load: Load, look: Look) -> None:
    await load("id,name,department\nE1,Ann,IT\n")
    report = await load("id,name,department,manager_id\nE2,Bo,IT,E1\nE1,,IT,\n")
    assert (await look("E2"))["manager_id"] == "E1"
    assert report.warnings == []


async def test_whoever_leaves_is_counted_once_and_stamped(load: Load, db: Database, clock: ManualClock) -> None:
    left = "SELECT left_at FROM person WHERE employee_id = 'E1'"
    file = "id,name,department,active\nE1,Ann,IT,{}\nE2,Bo,IT,\n"

    async def left_at() -> Any:
        async with db.begin() as session:
            found = await row(session, left)
            assert found
            return found["left_at"]

    await load(file.format("true"))
    assert await left_at() is None
    gone = clock.advance(seconds=60)
    assert counts(await load(file.format("false"))) == (0, 0, 1, 1)
    clock.advance(seconds=60)
    assert counts(await load(file.format("no"))) == (0, 0, 2, 0)
    assert counts(await load(file.format(""))) == (0, 0, 2, 0)  # blank: still gone
    assert await left_at() == gone
    assert counts(await load(file.format("yes"))) == (0, 1, 1, 0)
    assert await left_at() is None


async def test_a_complete_file_deactivates_who_is_missing(load: Load, look: Look) -> None:
    await load(company(10))
    assert counts(await load(company(8))) == (0, 0, 8, 0)
    assert (await look("E0010"))["active"] is True

    assert counts(await load(company(8), complete=True)) == (0, 0, 8, 2)
    assert (await look("E0010"))["active"] is False
    assert counts(await load(company(8), complete=True)) == (0, 0, 8, 0)


async def test_a_rejected_row_never_deactivates_anybody(load: Load, look: Look) -> None:
    await load(HEADER + ANN + "E2,Bo Lee,IT\nE3,Cy,IT,,,,206 555 0177\nE4,Di,IT\nE5,Ed,IT\n")
    report = await load(
        HEADER
        + "E1,,IT\n"  # known by the id
        + ",BO LEE,IT\n"  # blank id: the name says who
        + ",Cyril,IT,,,,+1 206 555 0177\n"  # or the number
        + "E4,Di,IT,,,,,,,,,,true,too,many\n",
        complete=True,
    )
    assert len(report.rejected) == 4
    assert report.deactivated == 1
    assert [(await look(f"E{n}"))["active"] for n in range(1, 6)] == [True, True, True, True, False]


async def test_a_complete_file_that_forgets_too_many_is_refused_without_force(load: Load, look: Look) -> None:
    await load(company(100))
    assert (await load(company(80, first=21), complete=True, dry_run=True)).deactivated == 20

    with pytest.raises(Conflict) as caught:
        await load(company(79, first=22) + "E9999,New,IT,\n", complete=True)
    assert caught.value.detail == (
        "21 of 100 active people are missing from the file and would be deactivated. "
        "If the file really is everybody, import it again with force."
    )
    assert (await look("E0001"))["active"] is True
    with pytest.raises(Conflict):
        await load(company(79, first=22), complete=True, dry_run=True)

    assert counts(await load(company(79, first=22), complete=True, force=True)) == (0, 0, 79, 21)


async def test_more_than_twenty_of_very_many_is_no_reason_to_refuse(load: Load) -> None:
    await load(company(200))
    assert counts(await load(company(165), complete=True)) == (0, 0, 165, 35)


async def test_a_dry_run_reports_the_same_and_keeps_nothing(load: Load, look: Look, db: Database) -> None:
    await load(HEADER + ANN)
    file = HEADER + ANN.replace("Ann", "Anne") + "E2,Bo,New Department,,,E404\n,Cy,IT\n"

    rehearsal = await load(file, dry_run=True)

    assert rehearsal.dry_run
    assert (await look("E1"))["name"] == "Ann"
    async with db.begin() as session:
        assert list(await service.departments(session)) == ["IT"]
        assert len(await audit.entries(session, audit.SYSTEM)) == 1
    real = await load(file)
    assert real.as_dict() == rehearsal.as_dict() | {"dry_run": False}


async def test_an_import_is_on_the_record_with_counts_and_no_names(load: Load, db: Database) -> None:
    await load(HEADER + ANN + "E2,,IT\nE3,Cy,IT,,,,TBD\n", complete=True)
    async with db.begin() as session:
        (entry,) = await audit.entries(session, audit.SYSTEM)
        assert await audit.verify(session) is None
    assert (entry["kind"], entry["actor"]) == ("people.imported", "account:1")
    assert entry["data"] == {
        "created": 2, "updated": 0, "unchanged": 0, "deactivated": 0, "rejected": 1, "warnings": 1,
        "complete": True, "force": False,
    }  # fmt: skip


async def test_imports_at_the_same_moment_take_turns(load: Load, db: Database) -> None:
    files = [company(300), company(300, first=151), company(300), HEADER + ANN]
    reports = await asyncio.gather(*(load(file) for file in files))

    assert sum(report.created for report in reports) == 451
    assert sum(report.created + report.updated + report.unchanged for report in reports) == 901
    async with db.begin() as session:
        found = await row(session, "SELECT count(*) AS n, count(DISTINCT employee_id) AS people FROM person")
    assert found
    assert (found["n"], found["people"]) == (451, 451)


async def test_one_connection_imports_again_and_again(load: Load) -> None:
    for turn in range(8):  # the driver prepares a statement the sixth time; its tables are new each time
        assert counts(await load(company(3))) == ((3, 0, 0, 0) if turn == 0 else (0, 0, 3, 0))


async def test_after_a_large_import_the_planner_knows_how_many_there_are(load: Load, db: Database) -> None:
    """Autovacuum may have counted while they were not committed yet: none of them, in tables that grew."""
    async with db.begin() as session:
        before = await row(session, "SELECT current_user AS name")
    await load(company(MANY_ROWS))
    async with db.begin() as session:
        found = await row(session, "SELECT reltuples AS n, current_user AS name FROM pg_class WHERE relname = 'person'")
    assert found
    assert before
    assert found["n"] == MANY_ROWS
    assert found["name"] == before["name"] == "muster_app"


async def test_progress_is_told_and_the_program_goes_on_meanwhile(load: Load) -> None:
    told_: list[int] = []
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await load(company(5000), progress=told_.append)
    ticking.cancel()

    assert told_ == [2000, 4000, 5000]
    assert ticks > 20


async def test_text_that_a_database_or_shell_would_read_comes_back_as_written(load: Load, look: Look) -> None:
    name = "Robert'); DROP TABLE person;-- \\N \\t %s :id {x}"
    await load(f'id,name,department,title\nE1,"{name}",IT,\\N\n')
    person = await look("E1")
    assert (person["name"], person["title"]) == (name, "\\N")


_CELLS = st.text(alphabet=st.sampled_from('aZ019é ,;"\n\t+@=.\\%:ﷺ\u202e\u2028\U0001f600'), max_size=15)
_ACTIVE = st.sampled_from(["", "true", "no", "perhaps"])
_ROWS = st.lists(st.tuples(st.sampled_from(["", "E1", "E2", "E3"]), *[_CELLS] * 7, _ACTIVE), max_size=6)


@settings(max_examples=tries(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=_ROWS, junk=st.binary(max_size=20), quoted=st.booleans(), complete=st.booleans(), dry_run=st.booleans())
async def test_whatever_a_file_holds_it_is_a_report_or_a_refusal(
    load: Load, found: list[tuple[str, ...]], junk: bytes, quoted: bool, complete: bool, dry_run: bool
) -> None:
    def line(cells: tuple[str, ...]) -> str:
        return ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' if quoted else cell for cell in cells)

    header = "id,name,department,title,site,manager_id,mobile,email,active"
    file = "\n".join([header, *map(line, found)]).encode() + b"\n" + junk
    try:
        report = await load(file, complete=complete, dry_run=dry_run)
    except (Invalid, Conflict):
        return
    if quoted and not junk.strip():
        handled = report.created + report.updated + report.unchanged + len({issue.line for issue in report.rejected})
        blank = sum(not "".join(cells).strip("\u202e \n\t\u2028") for cells in found)
        assert handled + report.deactivated >= len(found) - blank


async def test_somebody_who_had_left_comes_back_only_when_that_is_said(load: Load, look: Look) -> None:
    await load("id,name,department,active\nP1,Ann,IT,false\nP2,Bo,IT,true\n")
    silent = await load("id,name,department\nP1,Ann,IT\n")
    assert not (await look("P1"))["active"]
    (warning,) = silent.warnings
    assert (warning.line, warning.id, warning.column) == (2, "P1", "active")
    assert "write true here" in warning.reason
    everybody = await load("id,name,department\nP1,Ann,IT\nP2,Bo,IT\n", complete=True)
    assert (await look("P1"))["active"]
    assert (everybody.updated, everybody.warnings) == (1, [])


async def test_a_file_without_anybody_is_never_everybody(load: Load, look: Look) -> None:
    await load("id,name,department\nP1,Ann,IT\n")
    with pytest.raises(Conflict, match="holds nobody"):
        await load("id,name,department\n", complete=True)
    assert (await look("P1"))["active"]
