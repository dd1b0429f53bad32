"""docs/playbooks.md is the reference of playbook files: it fails when a field or a shipped playbook is missing."""

from __future__ import annotations

import re

import pytest

from app.playbooks.json_schema import json_schema
from tests.conftest import ROOT

SECTIONS = {
    "Playbook": "Of the playbook",
    "When": "`when`",
    "Fact": "A fact",
    "Department": "A department",
    "Commitment": "A department",
    "SeverityLevel": "A severity",
    "Approval": "A severity",
    "Step": "A step of the ladder",
    "QuietHours": "Quiet hours",
    "Audience": "An audience",
    "Script": "A script",
    "Email": "A script",
    "Translation": "A script",
    "Waterline": "A waterline",
}
"""The heading under which each part of a playbook is explained; a holding statement has the script's keys."""


def fields() -> list[tuple[str, str]]:
    schema = json_schema()
    parts = {"Playbook": schema, **schema["$defs"]}
    return [(part, key) for part, model in parts.items() if part != "Holding" for key in model["properties"]]


def rows(heading: str) -> set[str]:
    """The keys that the tables under a heading explain, each with words beside it."""
    reference = (ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    section = reference.split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    return set(re.findall(r"^\| `(\w+)` \|.*\w.*\|$", section, re.MULTILINE))


@pytest.mark.parametrize(("part", "key"), fields())
def test_every_field_of_a_playbook_is_explained_in_its_section(part: str, key: str) -> None:
    assert key in rows(SECTIONS[part])


def test_no_field_is_explained_that_does_not_exist() -> None:
    for heading in set(SECTIONS.values()):
        known = {key for part, key in fields() if SECTIONS[part] == heading}
        assert rows(heading) <= known, heading


def test_a_holding_statement_is_explained_by_its_keys() -> None:
    reference = (ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    section = reference.split("\n### A holding statement\n", 1)[1].split("\n#", 1)[0]
    for key in json_schema()["$defs"]["Holding"]["properties"]:
        assert f"`{key}`" in section


def test_every_playbook_that_ships_is_described() -> None:
    reference = (ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| \[`([a-z0-9-]+)`\]", reference, re.MULTILINE))
    assert described == {path.stem for path in (ROOT / "playbooks").glob("*.yaml")}
