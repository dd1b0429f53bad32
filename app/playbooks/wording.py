"""Words that must not stand in what we say: reply words that carriers act on, and promises nobody can keep. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from app.channels.sms_text import RESERVED_WORDS

_WORDS: Final = "|".join(RESERVED_WORDS)
_ASK: Final = r"\b(?i:reply(?:ing)?|respond|answer|text|type|write|send)\b"
_FILLER: Final = r"(?:\s+(?i:back|us|me|in|with|the|a|word|message))*\s+"
_ASKED: Final = (
    # "reply YES", "Answer us with 1, 2 or STOP": in capitals anywhere in the sentence that asks
    re.compile(rf"{_ASK}[^.!?\n]{{1,60}}?\b(?P<word>{_WORDS})\b"),
    # 'reply "stop"', "text 'help'": in quotes, in any case
    re.compile(rf"{_ASK}{_FILLER}[\"'“‘«](?P<word>(?i:{_WORDS}))[\"'”’»]"),
    # "reply stop to leave", "answer yes if you are safe", "text help." in any case, where only the word itself is meant
    re.compile(
        rf"\b(?i:reply(?:ing)?|respond|answer|text|type)\b{_FILLER}(?P<word>(?i:{_WORDS}))"
        r"(?=\s*(?:$|[.,;:!?)]|\s(?i:to|if|or|and|when|once|for)\b))"
    ),
)

_DONE: Final = r"(?:fixed|solved|repaired|restored|resolved|working|running|online|up|over|back)"
_PROMISES: Final = (
    re.compile(
        rf"\b(?:will|should|shall|'ll|going to|expected to|expect it to|due to) be {_DONE}\b[^.!?\n]{{0,30}}?"
        r"\b(?:by|at|in|within|before|until|soon|shortly|today|tonight|tomorrow)\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b{_DONE}(?: up| online| again)* (?:by|within|before) (?:\d|\$\{{|noon|midnight|tomorrow|tonight|lunch)",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?:fixed|solved|repaired|restored|resolved) (?:very )?(?:soon|shortly)\b", re.IGNORECASE),
    re.compile(r"\bETA\b"),
)


def reserved_words_asked(text: str) -> Iterator[tuple[str, int, str]]:
    """Each request to answer with a reserved word: the piece of text that asks, how many like it stand before it, and
    the word in capitals."""
    asked = {match.start("word"): match for pattern in _ASKED for match in pattern.finditer(text)}
    for _, match in sorted(asked.items()):
        yield match[0], text[: match.start()].count(match[0]), match["word"].upper()


def promises_of_a_fix_time(text: str) -> Iterator[tuple[str, int]]:
    """The words of each promise when it will be over, and how many like it stand before it."""
    promised: dict[int, re.Match[str]] = {}
    for pattern in _PROMISES:
        for match in pattern.finditer(text):
            if not any(other.start() < match.end() and match.start() < other.end() for other in promised.values()):
                promised[match.start()] = match
    for _, match in sorted(promised.items()):
        yield match[0], text[: match.start()].count(match[0])


def plain_spelling(character: str) -> str | None:
    """What to write instead of a character that turns an SMS into UCS-2, when something plain says the same."""
    return _PLAIN.get(character)


_PLAIN: Final = {
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-", "‑": "-",
    "…": "...", "•": "-", "·": "-", "→": "->", "\u00a0": "a plain space", "\u202f": "a plain space", "\t": "a space",
    "`": "'", "´": "'", "á": "a", "â": "a", "ã": "a", "ç": "c", "ê": "e", "ë": "e", "í": "i", "î": "i", "ï": "i",
    "ó": "o", "ô": "o", "õ": "o", "ú": "u", "û": "u", "œ": "oe", "À": "A", "Á": "A", "Ê": "E", "Ó": "O", "Ú": "U",
}  # fmt: skip
