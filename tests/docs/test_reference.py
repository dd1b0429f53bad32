"""Every command, role, reply word and error type is in the documents as it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import typer

from app.access.matrix import MATRIX
from app.cli import cli
from app.kernel import errors
from app.replies import keywords
from app.replies.help_words import HELP_WORDS
from app.review.formats import FORMATS
from tests.conftest import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def commands(group: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(words to type, command) of every command there is."""
    whole: Any = group or typer.main.get_command(cli)
    for name, command in whole.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_documented_with_its_options(name: str) -> None:
    line = next((line for line in COMMANDS.splitlines() if re.match(rf"\| `{name}[` ]", line)), None)
    assert line, f"docs/commands.md has no row for {name}; add one with its help and options"
    for parameter in ALL[name].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert f"`{parameter.opts[0]}`" in line
        elif parameter.param_type_name == "argument":
            assert parameter.name.upper() in line


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = re.findall(r"^\| `([a-z][a-z ]*[a-z])[` ]", COMMANDS, re.MULTILINE)
    assert {words.strip() for words in documented} == set(ALL)


def test_every_role_is_documented() -> None:
    roles = {role for allowed in MATRIX.values() for role in allowed}
    assert set(re.findall(r"^\| `([a-z_]+)` \| ", REFERENCE.split("## What people")[0], re.MULTILINE)) == roles


def documented(section: str, number: int) -> list[list[str]]:
    """The rows of a section's table, each as its cells."""
    text = REFERENCE.split(f"{section}\n")[1].split("\n## ")[0].split("\n### ")[0]
    table = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[number]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def words(cells: Iterable[str]) -> set[str]:
    return {word for cell in cells for word in re.findall("`(.+?)`", cell)}


def test_every_reply_word_is_documented() -> None:
    # Where this fails: docs/reference.md, "What people answer by SMS".
    section = "## What people answer by SMS"
    assert words(cells[0] for cells in documented(section, 0)) == {
        *keywords.ANSWERS, *keywords.OPT_OUT, *keywords.OPT_IN, *keywords.ASK_BACK, *keywords.INFORMATION,
    }  # fmt: skip
    around = words(cells[0] for cells in documented(section, 1))
    assert around == {*keywords.TAILS, *keywords.LEADS, *keywords.CODE_WORDS}


def test_every_word_that_may_be_help_is_documented_with_its_reason() -> None:
    # Where this fails: docs/reference.md, "Possible help".
    rows = {why: words([found]) for why, found in documented("### Possible help", 0)}
    reasons = set(HELP_WORDS.values())
    assert rows == {why: {word for word, reason in HELP_WORDS.items() if reason == why} for why in reasons}


def test_every_export_format_is_documented() -> None:
    named = set(re.findall(r"(?m)^\| `(\w+)` \|", REFERENCE.split("## Formats of the review")[1].split("##")[0]))
    assert named == set(FORMATS), "docs/reference.md lists the formats of the review; put the new one there"


def test_every_error_type_is_documented() -> None:
    documented = set(re.findall(r"^\| (\d{3}) \| `(.+?)` \| (.+?) \|$", REFERENCE, re.MULTILINE))
    kinds = {
        (str(kind.status), kind.kind, kind.title)
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.MusterError)
    }
    assert documented == kinds
