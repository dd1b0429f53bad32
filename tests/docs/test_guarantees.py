"""`docs/guarantees.md` says what is tried, and what each code means; here it is held to both."""

from __future__ import annotations

import ast
import re

import pytest

from app.deliveries import retry
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
FAULTS = ROOT / "tests" / "faults"
TRIED = re.findall(r"`(test_\w+\.py)::(test_\w+)` \|$", TEXT, re.MULTILINE)


def _tests(file: str) -> set[str]:
    tree = ast.parse((FAULTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_of_the_matrix_names_a_test_that_exists() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("|") and "::" in line]
    assert len(rows) == len(TRIED) >= 35
    for file, name in TRIED:
        assert name in _tests(file), f"{file} has no {name}"


@pytest.mark.parametrize(
    "file", ["test_workers.py", "test_carrier.py", "test_database.py", "test_disk.py", "test_records.py"]
)
def test_every_fault_that_is_tried_is_in_the_matrix(file: str) -> None:
    named = {name for tried, name in TRIED if tried == file}
    others = {
        "test_a_lease_is_as_long_as_the_promise_takes_it_to_be",
        "test_a_callback_that_nobody_signed_changes_nothing",
    }
    assert {name for name in _tests(file) if name.startswith("test_")} - others == named


def _row(code: str, found: retry.Treatment) -> str:
    return (
        f"| {code} | {found.reason} | {found.retries or ''} | {'yes' if found.next_channel else ''} "
        f"| {(found.flag or '').replace('_', ' ')} | {'yes' if found.alarm else ''} |"
    )


def test_the_codes_are_those_that_are_gone_by() -> None:
    wanted = [_row(str(code), found) for code, found in sorted(retry.TREATMENTS.items())]
    wanted.append(_row("any other", retry.UNKNOWN_CODE))
    table = TEXT.split("<!-- codes")[1].split("\n\n")[0].strip().splitlines()[3:]
    assert table == wanted, "\n".join(["it should be:", *wanted])
