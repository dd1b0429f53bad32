"""The directory over HTTP: the import's report, and the list with its filters and pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.access.api import get_session
from app.directory.api import router
from app.directory.xlsx_source import MEDIA_TYPE
from tests.api.company import check_problem
from tests.directory import damaged
from tests.directory.sheets import workbook
from tests.spare import Spare
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

HEADER = "id,name,department,title,site,mobile,email,active\n"
PEOPLE = HEADER + "".join(
    f"P{n:02},Person {n},{('IT', 'Finance')[n % 2]},Clerk,{('Dallas', 'Boston')[n % 2]},,p{n}@example.com,true\n"
    for n in range(1, 41)
)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def office(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """An installation of its own: these tests change who is there."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("office"), worker=False) as running:
        yield running


async def post(office: Stack, content: str | bytes, **query: Any) -> httpx2.Response:
    return await office.api.post(
        "/api/v1/people/imports",
        content=content.encode() if isinstance(content, str) else content,
        headers={"Content-Type": "text/csv; charset=utf-8"},
        params={name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()},
    )


async def report(office: Stack, content: str | bytes, **query: Any) -> dict[str, Any]:
    answer = await post(office, content, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[name] for name in ("created", "updated", "unchanged", "deactivated"))


async def ids(office: Stack, **query: Any) -> list[str]:
    return [person["id"] for person in (await office.call("GET", "/people", params={"limit": 1000, **query}))["items"]]


async def test_the_life_of_a_directory(office: Stack) -> None:
    # A dry run says what would be, and keeps nothing.
    would = await report(office, PEOPLE, dry_run=True)
    assert counts(would) == (40, 0, 0, 0)
    assert await ids(office) == []
    assert counts(await report(office, PEOPLE)) == (40, 0, 0, 0)
    assert counts(await report(office, PEOPLE.encode("utf-8-sig"))) == (0, 0, 40, 0)
    assert counts(await report(office, PEOPLE.replace(",", ";"))) == (0, 0, 40, 0)
    # People missing from a file stay, unless it says that it is everybody.
    few = HEADER + "P01,Person One,IT,Clerk,Dallas,,,true\n"
    assert counts(await report(office, few)) == (0, 1, 0, 0)
    assert len(await ids(office, active=True)) == 40
    # The blank cell has emptied nothing.
    one = next(p for p in (await office.call("GET", "/people"))["items"] if p["id"] == "P01")
    assert [point["address"] for point in one["contact_points"]] == ["p1@example.com"]
    refused = await post(office, few, complete=True)
    check_problem(refused, 409, "force")
    assert len(await ids(office, active=True)) == 40
    assert counts(await report(office, few, complete=True, dry_run=True, force=True))[3] == 39
    assert counts(await report(office, few, complete=True, force=True)) == (0, 0, 1, 39)
    assert await ids(office, active=True) == ["P01"]
    assert len(await ids(office, active=False)) == 39
    assert counts(await report(office, PEOPLE)) == (0, 40, 0, 0)


async def test_rejected_rows_and_warnings_name_line_id_column_and_reason(office: Stack) -> None:
    content = (
        HEADER
        + ",No Id,IT,,,,,\n"
        + "Q1,,IT,,,,,\n"
        + "Q2,No Department,,,,,,\n"
        + "Q3,Fine,IT,,,12,not-an-address,yes\n"
        + "Q3,Twice,IT,,,,,\n"
        + "Q4,Unsure,IT,,,,,perhaps\n"
    )
    found = await report(office, content, country="US")
    assert counts(found) == (1, 0, 0, 0)
    assert [(e["line"], e["id"], e["column"]) for e in found["rejected"]] == [
        (2, "", "id"), (3, "Q1", "name"), (4, "Q2", "department"), (6, "Q3", "id"), (7, "Q4", "active"),
    ]  # fmt: skip
    assert [(e["line"], e["id"], e["column"]) for e in found["warnings"]] == [
        (5, "Q3", "mobile"), (5, "Q3", "email"),
    ]  # fmt: skip
    for entry in found["rejected"] + found["warnings"]:
        assert set(entry) == {"line", "id", "column", "reason"}
        assert entry["reason"]


async def test_national_numbers_are_read_with_the_country(office: Stack) -> None:
    row = HEADER + "N1,Nat,IT,,,06 12 34 56 78,,\n"
    assert (await report(office, row, dry_run=True))["warnings"]
    assert (await report(office, row, country="fr"))["warnings"] == []
    [person] = (await office.call("GET", "/people", params={"q": "N1"}))["items"]
    assert [point["address"] for point in person["contact_points"]] == ["+33612345678"]


async def test_the_list_is_filtered_and_paged(office: Stack) -> None:
    await report(office, PEOPLE)
    finance = [f"P{n:02}" for n in range(1, 41) if n % 2]
    assert await ids(office, department="finance") == finance
    assert await ids(office, site="Boston", department="Finance") == finance
    assert await ids(office, site="Boston", department="IT") == []
    assert await ids(office, q="person 17") == ["P17"]
    assert await ids(office, q="%") == []
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 7, "department": "Finance"}
    while True:
        page = await office.call("GET", "/people", params=query)
        assert set(page) == {"items", "next_cursor"}
        seen += [person["id"] for person in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 7
        query["cursor"] = page["next_cursor"]
    assert seen == finance
    for query, field in (({"active": "perhaps"}, "active"), ({"limit": 0}, "limit"), ({"cursor": "?"}, "cursor")):
        check_problem(await office.api.get("/api/v1/people", params=query), 422, field)


async def test_a_formula_stays_text(office: Stack) -> None:
    await report(office, HEADER + '"=1+1","=HYPERLINK(""http://x"")",IT,@SUM(A1),-2+3,,,\n')
    [person] = (await office.call("GET", "/people", params={"q": "=HYPERLINK"}))["items"]
    assert (person["id"], person["name"]) == ("=1+1", '=HYPERLINK("http://x")')


async def test_a_long_import_leaves_no_transaction_of_the_callers_standing_idle() -> None:
    """The database ends one that does nothing for ten seconds, and the answer was 503 though all was taken over."""

    def needed(dependant: Dependant) -> Iterator[object]:
        for dependency in dependant.dependencies:
            yield dependency.call
            yield from needed(dependency)

    (imports,) = [route for route in router.routes if isinstance(route, APIRoute) and route.path.endswith("/imports")]
    assert get_session not in set(needed(imports.dependant))


async def test_the_export_that_a_spreadsheet_damaged_comes_in_over_http(
    spare: Spare, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("damaged"), worker=False) as running:
        assert await report(running, damaged.FILE.read_bytes()) == damaged.REPORT
        people = (await running.call("GET", "/people"))["items"]
        assert {person["id"]: damaged.told(person) for person in people} == damaged.PEOPLE


async def test_a_workbook_is_read_as_a_csv_is_and_its_sheet_may_be_named(office: Stack) -> None:
    content = workbook([HEADER.strip().split(","), ("W1", "Will", "IT")], name="Staff", hidden=["Lists"])

    async def sent(kind: str, **query: Any) -> httpx2.Response:
        return await office.api.post(
            "/api/v1/people/imports", content=content, headers={"Content-Type": kind},
            params={"dry_run": "true", **query},
        )  # fmt: skip

    for kind in (MEDIA_TYPE, "application/octet-stream", "text/csv"):
        answer = await sent(kind)
        assert answer.status_code == 200, answer.text
        assert counts(answer.json()) == (1, 0, 0, 0)
    assert counts((await sent(MEDIA_TYPE, sheet="staff")).json()) == (1, 0, 0, 0)
    check_problem(await sent(MEDIA_TYPE, sheet="Payroll"), 422, "sheet")
    check_problem(await sent(MEDIA_TYPE, sheet="Lists"), 422, "file")
    check_problem(await post(office, HEADER, sheet="Staff"), 422, "sheet")
    assert MEDIA_TYPE in check_problem(await sent("application/pdf"), 415)["detail"]
    broken = await office.api.post(
        "/api/v1/people/imports", content=content[:900], headers={"Content-Type": MEDIA_TYPE}
    )
    check_problem(broken, 422, "file")
