"""Managers that a file names in another shape, as themselves, or in a circle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.directory.importing import Report
from app.directory.managers import Link, cuts

Load = Callable[..., Awaitable[Report]]
Look = Callable[[str], Awaitable[dict[str, Any]]]

HEADER = "id,name,department,manager_id\n"


async def managers(look: Look, *ids: str) -> list[str | None]:
    return [(await look(employee_id))["manager_id"] for employee_id in ids]


def warned(report: Report) -> list[tuple[int, str, str]]:
    assert {issue.column for issue in report.warnings} <= {"manager_id"}
    return [(issue.line, issue.id, issue.reason) for issue in report.warnings]


async def test_the_link_that_closes_a_circle_is_left_out_and_the_circle_named(load: Load, look: Look) -> None:
    report = await load(HEADER + "E1,Ann,IT,E2\nE2,Bo,IT,E3\nE3,Cy,IT,E1\nE4,Di,IT,E1\n")
    assert await managers(look, "E1", "E2", "E3", "E4") == ["E2", "E3", None, "E1"]
    assert warned(report) == [(4, "E3", "closes a circle of managers (E3 -> E1 -> E2 -> E3); the manager was left out")]
    assert (report.created, report.unchanged) == (4, 0)


async def test_a_circle_closes_over_whom_the_directory_knows_already(load: Load, look: Look) -> None:
    await load(HEADER + "E0,Meg,IT,\nE1,Ann,IT,E2\nE2,Bo,IT,E3\nE3,Cy,IT,E0\n")
    dry = await load(HEADER + "E3,Cy,IT,E1\n", dry_run=True)
    report = await load(HEADER + "E3,Cy,IT,E1\n")
    assert await managers(look, "E1", "E2", "E3") == ["E2", "E3", "E0"]
    assert warned(report) == [(2, "E3", "closes a circle of managers (E3 -> E1 -> E2 -> E3); the known manager stays")]
    assert dry.as_dict() == report.as_dict() | {"dry_run": True}


async def test_nobody_is_their_own_manager_in_whatever_shape(load: Load, look: Look) -> None:
    report = await load(HEADER + "00123,Ann,IT,123\n1002,Bo,IT,1002.0\n")
    assert await managers(look, "00123", "1002") == [None, None]
    assert {reason.split(";")[0] for _, _, reason in warned(report)} >= {"names the person as their own manager"}


async def test_two_who_manage_each_other_keep_the_first(load: Load, look: Look) -> None:
    await load(HEADER + "E1,Ann,IT,E2\nE2,Bo,IT,E1\n")
    assert await managers(look, "E1", "E2") == ["E2", None]


async def test_a_manager_without_the_leading_zeros_is_found_when_only_one_is_like_it(load: Load, look: Look) -> None:
    report = await load(
        HEADER
        + "00123,Ann,IT,\n00777,Cy,IT,\n0777,Di,IT,\nE1,Bo,IT,123\nE2,Ed,IT,123.0\nE3,Fay,IT,777\nE4,Gus,IT,00123\n"
    )
    assert await managers(look, "E1", "E2", "E3", "E4") == ["00123", "00123", None, "00123"]
    found = {issue.id: issue.reason for issue in report.warnings if issue.column == "manager_id"}
    assert found == {
        "E1": "nobody has the id 123; 00123, the only one like it, is used",
        "E2": "nobody has the id 123; 00123, the only one like it, is used",
        "E3": "nobody has the id 777; the manager was left out",
    }


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.none() | st.integers(0, 7)), max_size=8))
def test_whatever_a_file_says_no_link_of_it_is_in_a_circle(drawn: list[tuple[int, bool, int | None]]) -> None:
    links = [
        Link(person, manager, person + 2 if of_file else None, known)
        for person, (manager, of_file, known) in enumerate(drawn)
    ]
    found = {cut.person: cut for cut in cuts(links)}
    manager_of = {
        link.person: link.manager if link.person not in found else link.known
        for link in links
        if link.person not in found or (found[link.person].kept and link.known is not None)
    }
    for link in links:
        if link.line is None or link.person in found:
            continue
        seen, person = {link.person}, manager_of.get(link.person)
        while person is not None and person not in seen:
            seen.add(person)
            person = manager_of.get(person)
        assert person != link.person
