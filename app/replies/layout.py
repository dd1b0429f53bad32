"""What of a text somebody wrote, and what stands below or around it: a signature, a name, quoted text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.channels.sms_text import HOW_TO_ANSWER
from app.replies.folding import words_of
from app.replies.help_words import possible_help
from app.replies.keywords import ANSWERS, ASK_BACK, OPT_OUT

_OURS: Final = " ".join(words_of(HOW_TO_ANSWER))

_QUOTED_BELOW: Final = re.compile(
    r"^[ \t]*(?:on\b.{0,200}\bwrote ?:|le\b.{0,200}\ba écrit ?:|el\b.{0,200}\bescribió ?:|am\b.{0,200}\bschrieb.{0,80}:"
    r"|-+ ?(?:original|forwarded) message ?-+|(?:from|de|von): .*)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""The line with which mail programs and phones begin what they quote."""

_SIGNATURE: Final = re.compile(
    r"^[ \t]*(?P<mark>--+|—+|–+|_{2,}|~+)"
    r"|^[ \t]*(?:(?:(?:best|kind|warm) )?(?:regards|wishes)|sincerely|rgds)\b"
    r"|(?:^|(?<=\s))(?:sent (?:from|via|with|using) |get outlook for |envoyé (?:de|depuis|à partir) "
    r"|enviado (?:desde|do|de) |von meinem \w+ gesendet|gesendet (?:von|mit) |inviato da |verzonden vanaf )",
    re.IGNORECASE | re.MULTILINE,
)
"""What a signature begins with; the phones' own are those of English and of the languages of staff."""

_NAME: Final = re.compile(r"[^\W\d_a-z][^\W\d_]*(?:['’-][^\W\d_]+)*\.?")
_MOST_NAME_LINES: Final = 2
_MOST_NAME_WORDS: Final = 4
_NO_NAMES: Final = frozenset({*ANSWERS, *ASK_BACK, *OPT_OUT, "no", "not", "never", "nobody", "nothing", "none", "now"})


@dataclass(frozen=True)
class Layout:
    """`above`: what was written; `below`: a signature or what may be one. `signed`: it is no more than that."""

    above: str
    below: str = ""
    signed: bool = True


def unquoted(body: str) -> str:
    """The text without what is quoted in it; whole when there is nothing else."""
    lines = [line for line in body.splitlines() if not line.lstrip().startswith(">")]
    if len(lines) > 1:  # our own text, copied without a mark
        lines = [line for line in lines if _OURS not in " ".join(words_of(line))]
    text = "\n".join(lines)
    if intro := _QUOTED_BELOW.search(text):
        text = text[: intro.start()] if text[: intro.start()].strip() else text[intro.end() :]
    return text if text.strip() else body


def known_words(names: Sequence[str]) -> frozenset[str]:
    """The words of names that nothing else can be meant by."""
    words = {word for name in names for word in words_of(name)} - _NO_NAMES
    return frozenset(word for word in words if possible_help([word]) is None)


def layouts(body: str, known: frozenset[str] = frozenset()) -> Iterator[Layout]:
    """The ways to read a text, the plainest first. `known` are the words of the names of people who may have signed."""
    text = unquoted(body).strip()
    yield Layout(text)
    if (signature := _SIGNATURE.search(text)) and (above := text[: signature.start()].strip()):
        below = text[signature.end() :]
        beside = below.partition("\n")[0].strip() if signature["mark"] else ""
        plain = not beside or _names(beside, known) or _like_a_name(f"- {beside}")
        yield Layout(above, below, signed=plain and possible_help(words_of(below)) is None)
    pieces = text.split(" ")
    for many in range(1, min(_MOST_NAME_WORDS, len(pieces) - 1) + 1):  # "1 - Gus Hay"
        if _names(name := " ".join(pieces[-many:]), known):
            yield Layout(" ".join(pieces[:-many]), name)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for many in range(1, min(_MOST_NAME_LINES, len(lines) - 1) + 1):
        below_lines = lines[-many:]
        if all(_names(line, known) for line in below_lines):
            yield Layout("\n".join(lines[:-many]), "\n".join(below_lines))
        elif all(_like_a_name(line) for line in below_lines):
            yield Layout("\n".join(lines[:-many]), "\n".join(below_lines), signed=False)


def _names(line: str, known: frozenset[str]) -> bool:
    words = words_of(line)
    return bool(words) and known.issuperset(words)


def _like_a_name(line: str) -> bool:
    """Two or three words, each with a capital, or one behind a dash: `Gus Hay`, `- Gus`. Nobody's for certain."""
    pieces = line.lstrip("-* ").split()
    least = 1 if line.startswith("-") else 2
    return (
        least <= len(pieces) <= 3
        and all(_NAME.fullmatch(piece) for piece in pieces)
        and not line.isupper()
        and not _NO_NAMES.intersection(words_of(line))
        and possible_help(words_of(line)) is None
    )
