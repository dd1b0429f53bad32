"""How a text is read before its words are compared: width, case, accents and scripts of digits folded. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

HELP_SIGNS: Final = "🆘🚨🚑🚒🔥🔫🩸"
SIGN: Final = "sos"
"""Emoji that may be a cry for help; they are read as this word."""

_BEFORE: Final = str.maketrans(
    {
        "№": "#",
        "ı": "i",
        **dict.fromkeys("\u2018\u2019\u02bc\u00b4\u0060\uff07", "'"),
        **dict.fromkeys(HELP_SIGNS, f" {SIGN} "),
    }
)


def words_of(text: str) -> list[str]:
    """The words of a text in small ASCII digits and letters without accents; the apostrophe stays inside a word.

    Other signs, emoji and white space divide words and are left out, but for signs of money and per cent: `£2` is not
    `2`.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_BEFORE)).casefold()
    kept = "".join(_kept(character) for character in unicodedata.normalize("NFKD", folded))
    return [word for piece in kept.split() if (word := piece.strip("'"))]


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "N":
        return str(digit) if (digit := unicodedata.digit(character, None)) is not None else character
    if category[0] == "L" or category == "Sc" or character in "'%":
        return character
    # Accents, joiners and marks of direction belong to the sign before them; the rest divides words.
    return "" if category[0] == "M" or category == "Cf" else " "


def phrase(text: str) -> tuple[str, ...]:
    """A row of a table as words. Raises AssertionError for one that is not written as `words_of` reads it."""
    words = words_of(text)
    if " ".join(words) != text:
        raise AssertionError(f"{text!r} would never be found; write it {' '.join(words)!r}")
    return tuple(words)
