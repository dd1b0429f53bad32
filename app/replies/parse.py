"""Reads what a person texted: an answer, a carrier's word, or words for us to pass on. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from app.replies.keywords import ANSWERS, ASK_BACK, OPT_IN, OPT_OUT

_CODE = re.compile(r"[acdefhjklmnprtuvwxy][2-9]{1,3}", re.ASCII)


@dataclass(frozen=True)
class Answer:
    """A deliberate answer; `code` in capitals when the person gave one."""

    response: str
    code: str | None = None


@dataclass(frozen=True)
class CarrierWord:
    """`kind` is opt_out, opt_in or ask_back; `word` in lower case."""

    kind: str
    word: str


@dataclass(frozen=True)
class Words:
    """Anything else, to be passed on whole."""

    text: str


def normal(text: str) -> str:
    """Folded for comparing: width and case folded; punctuation, emoji and invisible marks read as spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return " ".join("".join(" " if _mark(c) else c for c in folded).split()).strip("' ")


def _mark(character: str) -> bool:
    """Signs that carry no answer: all but letters, digits and the apostrophe."""
    return character != "'" and unicodedata.category(character)[0] in "PSMCZ"


for _word in ANSWERS:
    if _word != normal(_word):
        raise AssertionError(f"{_word!r} in keywords.py would never be found; write it {normal(_word)!r}")


def parse(body: str) -> Answer | CarrierWord | Words:
    """What a text means. Never raises, whatever it holds.

    `1`, `ok`, `need help` answer; with a code in front or behind (`1 K7`, `K7 ok`, `1K7`) they name their question.
    Only an exact single word is a carrier's word; anything longer is words.
    """
    plain = normal(body)
    if plain in ANSWERS:
        return Answer(ANSWERS[plain])
    if plain in OPT_OUT:
        return CarrierWord("opt_out", plain)
    if plain in OPT_IN:
        return CarrierWord("opt_in", plain)
    if plain in ASK_BACK:
        return CarrierWord("ask_back", plain)
    return _with_code(plain) or Words(body)


def _with_code(plain: str) -> Answer | None:
    for answer, response in ANSWERS.items():
        for pattern in (rf"{re.escape(answer)} ?(\S+)", rf"(\S+) {re.escape(answer)}"):
            found = re.fullmatch(pattern, plain)
            if found and _CODE.fullmatch(found[1]):
                return Answer(response, found[1].upper())
    return None
