"""Reads what a person texted: an answer, a carrier's word, a reaction, or words for us to pass on. Pure.

The one place that decides what a text means. What counts, and what may stand around it, are the tables in keywords.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.replies.folding import SIGN, phrase, words_of
from app.replies.help_words import possible_help
from app.replies.keywords import ANSWERS, ASK_BACK, CODE_WORDS, COUNTED, DIGITS, LEADS, NO_MORE, OPT_IN, OPT_OUT, TAILS
from app.replies.layout import known_words, layouts, unquoted
from app.replies.reactions import is_reaction

_CODE: Final = re.compile(r"[a-z][0-9]{1,3}", re.ASCII)
"""What somebody may have meant for a code. Ours have fewer letters and digits, but a mistyped one is still no words."""


@dataclass(frozen=True)
class Answer:
    """A deliberate answer; `code` in capitals when the person gave one.

    `title`: what stands behind its code, or in brackets (`bracketed`). Where it is not the title of the question that
    is meant, as our question back prints it, it is somebody's words. `below`: what stands under it may be more than
    a name, and is kept besides. `signature`: the words of a name that is known at this number.
    """

    response: str
    code: str | None = None
    title: str | None = None
    bracketed: bool = False
    below: Words | None = None
    signature: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CarrierWord:
    """`kind` is opt_out, opt_in or ask_back; `word` in lower case."""

    kind: str
    word: str


@dataclass(frozen=True)
class Reaction:
    """A phone's own text about a message of ours ("Liked ..."), or emoji alone."""


@dataclass(frozen=True)
class Words:
    """Anything else, to be passed on whole. `maybe_help`: it may be a cry for help; `maybe_stop`: an opt-out."""

    text: str
    maybe_help: bool = False
    maybe_stop: bool = False


Meaning = Answer | CarrierWord | Reaction | Words


def parse(body: str, names: Sequence[str] = ()) -> Meaning:
    """What a text means. Never raises, whatever it holds.

    An answer is a digit, a label of the same response, or both, in either order, with the code anywhere; only what the
    tables name may stand around it. `names` are those of the people at this number: one below an answer signs it.
    Only a word that is the whole text is a carrier's.
    """
    if is_reaction(body):
        return Reaction()
    whole = " ".join(words_of(body))
    for kind, known in (("opt_out", OPT_OUT), ("opt_in", OPT_IN), ("ask_back", ASK_BACK)):
        if whole in known:
            return CarrierWord(kind, whole)
    known = known_words(names)
    ways = list(layouts(body, known))
    for read in (_answer, _before_title):
        for layout in ways:
            if (answer := read(layout.above)) and not _answer(layout.below):
                signed = replace(answer, signature=known.intersection(words_of(layout.below)))
                return signed if layout.signed else replace(signed, below=as_words(body))
    return as_words(body)


def as_words(body: str) -> Words:
    """The text as words, with what they may mean. What is quoted from us means nothing."""
    own = words_of(unquoted(body))
    stops = not OPT_OUT.isdisjoint(own) or any(f" {words} " in f" {' '.join(own)} " for words in NO_MORE)
    return Words(body, maybe_help=possible_help(own) is not None or _asks(unquoted(body)), maybe_stop=stops)


def _asks(text: str) -> bool:
    """Whether words hold an answer that asks for help: `2 we have no cash`, `No cash. 2`, `2 K7, 1 M4`, `ok 2`.

    A `2` that begins a text counts, unless it counts something: `2 hours`, `2 more`.
    """
    if any((found := _answer(piece)) and found.response == "need_help" for piece in _SENTENCES.split(text)):
        return True
    said = words_of(text)
    if items := _items(said):
        return any(item.kind in ("digit", "label") and item.value == "need_help" for item in items)
    for place, word in enumerate(said[:_MOST_LEADS]):
        if DIGITS.get(word) == "need_help":
            return said[place + 1] not in COUNTED
        if _items([word]) is None or word in DIGITS:
            return False
    return False


def _answer(text: str) -> Answer | None:
    """The answer that this is from end to end, a title in brackets aside."""
    if plain := _plain(words_of(text)):
        return plain
    text = text.translate(_BRACKETS)
    for place in [found.start() for found in re.finditer(r"\(", text)][:_MOST_BRACKETS]:
        title, _, behind = text[place + 1 :].rpartition(")")
        if not title:
            title, behind = text[place + 1 :], ""
        if _may_be_title(words_of(title)) and (core := _plain(words_of(text[:place]) + words_of(behind))):
            return replace(core, title=title.strip(), bracketed=True)
    return None


def _before_title(text: str) -> Answer | None:
    """An answer with its code, and the title of its question behind it without brackets."""
    said = words_of(text)
    for place in range(min(len(said), _MOST_WORDS), 1, -1):
        if (core := _plain(said[:place])) and core.code and _may_be_title(said[place:]):
            return replace(core, title=" ".join(said[place:]))
    return None


def _may_be_title(words: Sequence[str]) -> bool:
    """Not what could be part of an answer, or another one."""
    return bool(words) and _items(words) is None


_SENTENCES: Final = re.compile(r"[.!?;]\s+|\n")
_MOST_LEADS: Final = 4
"""So many words may stand before a digit that begins a text: `My answer is`, `Code K7`."""

_MOST_BRACKETS: Final = 3
_BRACKETS: Final = str.maketrans({"\uff08": "(", "\uff09": ")", "[": "(", "]": ")"})


@dataclass(frozen=True)
class _Item:
    """`kind` is digit, label, code, lead, codeword, tail or sign; `value` the response, the code or the words."""

    kind: str
    value: str


_PHRASES: Final[dict[tuple[str, ...], _Item]] = {
    **{phrase(tail): _Item("tail", tail) for tail in TAILS},
    **{phrase(lead): _Item("lead", lead) for lead in LEADS},
    **{phrase(words): _Item("codeword", words) for words in CODE_WORDS},
    **{phrase(words): _Item("label", response) for words, response in ANSWERS.items()},
    **{(digit,): _Item("digit", response) for digit, response in DIGITS.items()},
    (SIGN,): _Item("sign", SIGN),
}
_LONGEST: Final = max(len(key) for key in _PHRASES)
_GLUED: Final = re.compile(r"([123])(\D.*)|(\D+)([123])")
_MOST_WORDS: Final = 24
"""No answer has more: what is longer need not be looked at word by word."""


def _items(words: Sequence[str]) -> list[_Item] | None:
    """The words as what they are in an answer; None when one is anything else."""
    if len(words) > _MOST_WORDS:
        return None
    items: list[_Item] = []
    place = 0
    while place < len(words):
        for length in range(_LONGEST, 0, -1):
            if item := _PHRASES.get(tuple(words[place : place + length])):
                items.append(item)
                place += length
                break
        else:
            found = _word(words[place])
            if found is None:
                return None
            items += found
            place += 1
    return items


def _word(word: str) -> list[_Item] | None:
    """A code, or a digit that is written together with what stands beside it: `1K7`, `1ok`, `option2`."""
    if code := _code(word):
        return [code]
    if not (glued := _GLUED.fullmatch(word)):
        return None
    first, second = (piece for piece in glued.groups() if piece)
    found = [_PHRASES.get((piece,)) or _code(piece) for piece in (first, second)]
    return [item for item in found if item] if all(found) else None


def _code(word: str) -> _Item | None:
    return _Item("code", word.upper()) if _CODE.fullmatch(word) else None


def _plain(words: Sequence[str]) -> Answer | None:
    items = _items(words)
    if not items:
        return None
    of = {kind: [item.value for item in items if item.kind == kind] for kind in ("digit", "label", "code", "codeword")}
    responses = {*of["digit"], *of["label"]}
    if len(responses) != 1 or any(len(values) > 1 for values in of.values()):
        return None
    response = responses.pop()
    following = [*items[1:], None]
    for item, after in zip(items, following, strict=True):
        kind = after.kind if after else ""
        if item.kind == "codeword" and kind != "code":
            return None
        if item.kind == "lead" and (kind not in ("digit", "label") or response not in LEADS[item.value]):
            return None
        if item.kind == "sign" and response != "need_help":
            return None
    return Answer(response, of["code"][0] if of["code"] else None)
