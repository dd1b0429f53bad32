"""The scripts' only magic: `${name}` becomes a text, `$$` a dollar sign. Nothing else, and nothing twice. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from string import Template
from typing import Final

BUILT_INS: Final[Mapping[str, str]] = {
    "severity": "the incident's severity, such as SEV1",
    "incident": "the incident's key, such as INC-2026-0001",
}
"""Names that every script may use without declaring them; no fact may have one of these names."""

BUILT_IN_LONGEST: Final[Mapping[str, str]] = {"severity": "SEV1", "incident": "INC-2026-99999"}

NAME_PATTERN: Final = r"[a-z][a-z0-9_]*"

# Line and paragraph separators, surrogate halves, and marks that reorder what is read: a value could use any of them
# to begin a line of its own or to disguise one. Control characters go by their category.
_DISGUISES: Final = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class UnknownNameError(LookupError):
    """A script names something that has no value; `args[0]` is the name."""


class ScriptTemplate(Template):
    """`string.Template`, but a bare `$name` is a mistake: `$5` and `$vendors` are too easily meant otherwise."""

    idpattern = r"(?!)"
    braceidpattern = NAME_PATTERN
    flags = re.NOFLAG


def names(script: str) -> list[str]:
    """The names a script uses, in order, each as often as it is used."""
    return [m["braced"] for m in ScriptTemplate.pattern.finditer(script) if m["braced"] is not None]


def mistakes(script: str) -> Iterator[tuple[str, int, str]]:
    """Each `$` that is neither `${name}` nor `$$`: the piece of script, how many like it stand before it, and what is
    wrong and would be right."""
    for match in ScriptTemplate.pattern.finditer(script):
        if match["invalid"] is None:
            continue
        rest = script[match.start() :]
        bare = re.match(rf"\$({NAME_PATTERN})", rest)
        braced = re.match(r"\$\{[^{}\n]{0,60}\}", rest)
        piece = bare[0] if bare else braced[0] if braced else "$"
        place = script[: match.start()].count(piece)
        if bare:
            yield piece, place, f"{piece} has no braces; write ${{{bare[1]}}}, or $$ for a dollar sign"
        elif braced:
            yield piece, place, f"{piece} is no fact's name; names are of a-z, 0-9 and _, such as ${{next_update}}"
        else:
            yield piece, place, "a single $ means nothing here; write $$ for a dollar sign, or ${name} for a fact"


def neutral(value: str) -> str:
    """The value with control characters and marks that reorder text turned into spaces."""
    return "".join(" " if is_control(c) else c for c in value)


def is_control(character: str) -> bool:
    """True for what has no place inside one line of text: controls, surrogates, separators, reordering marks."""
    return character in _DISGUISES or unicodedata.category(character) in ("Cc", "Cs")


def render(template: str, values: Mapping[str, str]) -> str:
    """The script with each `${name}` replaced once; what a value holds is never replaced again.

    Raises UnknownNameError for a name without a value, ValueError for a `$` that `check` would have refused.
    """
    try:
        return ScriptTemplate(template).substitute({name: neutral(value) for name, value in values.items()})
    except KeyError as error:
        raise UnknownNameError(error.args[0]) from None
