"""Markdown pieces in which nothing that somebody typed can become markup. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_MARKS = frozenset("\\`*_[]{}~$#")
_STARTS = re.compile(r"[+\-=:]|\d+[.)](?=\s|$)")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escape(text: object) -> str:
    """One line of plain text. Line breaks become ` / `; what cannot be seen or turns the reading order, a mark."""
    lines = [part.strip() for part in re.split(r"\r\n|[\r\n\v\f\x85\u2028\u2029]", str(text))]
    return _inline(" / ".join(part for part in lines if part))


def _inline(text: str) -> str:
    said = "".join(_character(sign) for sign in text)
    # Only the beginning of a line can become a heading, a list or a rule.
    found = _STARTS.match(said)
    if not found:
        return said
    at = found.end() - 1
    return f"{said[:at]}\\{said[at:]}"


def _character(sign: str) -> str:
    if sign in _ENTITIES:
        return _ENTITIES[sign]
    if sign in _MARKS:
        return f"\\{sign}"
    if sign == "\t":
        return " "
    if sign in _TURNING or unicodedata.category(sign) == "Cc":
        return "\ufffd"
    return sign


def quote(text: str) -> list[str]:
    """The text as a block quote, its line breaks kept."""
    lines = [_inline(line.strip()) for line in text.splitlines()]
    return [f"> {line}  " if line else ">" for line in lines] or [">"]


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table; every cell is escaped, None shows as a dash. Ends with an empty line."""
    lines = [_row(heads), _row(["---"] * len(heads))]
    lines += [_row(["–" if cell is None or cell == "" else escape(cell) for cell in row]) for row in rows]
    return [*lines, ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
