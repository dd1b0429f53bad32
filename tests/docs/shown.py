"""Commands as the documents show them, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.cli import cli
from tests.conftest import ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

AROUND = ("docker compose exec web ", "ExecStart=")
"""What may stand before a command; the command itself is taken without it."""

_NAMES: list[str] = sorted(getattr(typer.main.get_command(cli), "commands", {}))
_SETTING = r"[A-Z_]+=\S*"
_COMMAND = re.compile(
    rf"(?:{_SETTING} +)*(?:(?:\S*/)?muster +\S|make(?: |$)|(?:\S*/)?python3? +-|docker +\S|systemctl +\S)"
)
_HIDDEN = re.compile(rf"(?<![\w.@-])muster +(?:{'|'.join(_NAMES)})\b")
_ONLY_SETTINGS = re.compile(rf"{_SETTING}( +{_SETTING})*( +#.*)?")
_HERE_DOCUMENT = re.compile(r"<<-?'?(\w+)'?")


@dataclass(frozen=True)
class Shown:
    """`block` numbers the code that it stands in: one for each block, one for each piece within a sentence."""

    document: str
    line: int
    text: str
    block: int

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}: `{self.text}`"


def code(document: Path) -> Iterator[tuple[Token, int, bool]]:
    """(block or piece of code, its line, whether it names a row of a table of commands), in order."""
    line, row, of_commands = 0, 0, False
    for token in MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else line
        if token.type == "tr_open":
            row = 0
        elif token.type == "table_close":
            of_commands = False
        elif token.type in ("fence", "code_block"):
            yield token, line + (token.type == "fence"), False
        elif token.type == "inline":
            of_commands = of_commands or token.content == "command"
            for child in token.children or ():
                if child.type == "code_inline":
                    yield child, line, of_commands and row == 0
                line += child.type == "softbreak"
            row += 1


def commands(document: Path) -> Iterator[Shown]:
    """Everything in it that is there to be typed; each row of a table of commands is one of Muster's."""
    name = str(document.relative_to(ROOT))
    for number, (token, line, in_table) in enumerate(code(document)):
        if in_table:
            yield Shown(name, line, f"muster {token.content}", number)
        elif token.type == "code_inline":
            if (text := _bare(token.content)) is not None:
                yield Shown(name, line, text, number)
        else:
            for offset, whole in _lines(token.content):
                text = _bare(whole)
                if text is None and token.info == "sh" and not _ONLY_SETTINGS.fullmatch(whole):
                    text = whole  # a shell's block holds nothing but what is typed
                if text is not None:
                    yield Shown(name, line + offset, text, number)


def _bare(text: str) -> str | None:
    """The command without what stands around it; None when there is none."""
    for before in AROUND:
        text = text.removeprefix(before)
    return text if _COMMAND.match(text) or _HIDDEN.search(text) else None


def _lines(block: str) -> Iterator[tuple[int, str]]:
    """(offset, line), continued lines joined, without empty ones, comments and what is fed into a command."""
    lines = enumerate(block.splitlines())
    for offset, line in lines:
        whole = line.strip()
        while whole.endswith("\\"):
            whole = whole[:-1] + next(lines, (0, ""))[1].strip()
        if fed := _HERE_DOCUMENT.search(whole):
            while next(lines, (0, fed[1]))[1].strip() != fed[1]:
                pass
        if whole and not whole.startswith("#"):
            yield offset, whole
