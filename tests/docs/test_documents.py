"""Documents that fail when they are untrue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import Settings
from tests.conftest import ROOT

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_as_it_is(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    rows = (ROOT / "docs" / "settings.md").read_text().splitlines()
    row = next((line for line in rows if f"`MUSTER_{name.upper()}`" in line), None)
    assert row, f"docs/settings.md has no row for MUSTER_{name.upper()}; add one with its description"
    assert field.description in row


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"MUSTER_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"MUSTER_[A-Z_]+[A-Z]", "".join(path.read_text() for path in DOCUMENTS)))
    assert named <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_repository_names_no_registry_and_no_folder_of_a_machine() -> None:
    suspicious = re.compile(r"--index-url|--extra-index|pypi\.org/simple|/root/|/home/[a-z]")
    others = [ROOT / "Makefile", ROOT / "Dockerfile", ROOT / ".ci" / "run"]
    for path in [*ROOT.glob("requirements/*"), *DOCUMENTS, *others]:
        if path.is_file():
            assert not suspicious.search(path.read_text()), path
