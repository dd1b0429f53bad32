"""One thing wrong with a playbook, said where it is. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Path = tuple[str | int, ...]
"""Where a value sits: keys and 0-based list positions, such as `("ladder", 1, "after")`."""

_SHOWN_LENGTH = 40


@dataclass(frozen=True)
class Problem:
    """`line` and `column` are 1-based and count characters; `what` says what is wrong and what would be right."""

    file: str
    line: int
    column: int
    what: str
    path: Path = ()
    severity: Literal["error", "warning"] = "error"

    @property
    def field(self) -> str:
        """The path as `stages.investigating.front_line.sms` or `ladder[1].after`; empty for the whole file."""
        return dotted(self.path)

    def __str__(self) -> str:
        mark = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {mark}{self.what}"


def dotted(path: Path) -> str:
    """A path as people write it: `ladder[1].after`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}" if text else shown(step)
    return text


def shown(value: object) -> str:
    """A piece of somebody's input, fit for one line of a terminal: printable and short."""
    text = "".join(c if c.isprintable() else "?" for c in str(value)[: _SHOWN_LENGTH + 1])
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "vendor"?` when one of the known words is close, otherwise nothing."""
    if len(word) > _SHOWN_LENGTH:
        return ""
    by_folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f'; did you mean "{shown(by_folded[close[0]])}"?' if close else ""


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """`a, b and c`, cut after `most` names."""
    known = [shown(name) for name in names]
    if len(known) > most:
        return f"{', '.join(known[:most])} and {len(known) - most} more"
    return joined(known)


def joined(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
