"""Reactions: what a phone texts when somebody taps "like" on a message of ours. Never an answer, never a report. Pure.

Apple's phones write `Liked “...”` with the text that was liked, Google's `👍 to “...”`, each in the phone's language.
The forms are those that public message readers and their tests know (KDE Spacebar, QUIK, BlueBubbles, pearmsg).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from app.channels.sms_text import HOW_TO_ANSWER
from app.replies.folding import HELP_SIGNS, words_of
from app.replies.help_words import possible_help

VERBS: Final[dict[str, tuple[str, ...]]] = {
    "en": (
        "liked", "loved", "disliked", "laughed at", "emphasized", "emphasised", "questioned", "removed a like from",
        "removed a heart from", "removed a dislike from", "removed a laugh from", "removed an exclamation from",
        "removed an exclamation mark from", "removed a question mark from", "removed a reaction from",
        "reacted with a sticker to", "reacted to", "reacted with", "removed from", "removed a sticker from", "to",
    ),
    "es": (
        "le gusta", "le gusto", "me gusta", "no le gusta", "no le gusto", "le encanta", "le encanto", "se rio de",
        "le dio risa", "le da risa", "enfatizo", "destaco", "pregunto por", "reacciono a", "reacciono con a", "a",
        "ha reaccionado con a",
    ),
    "fr": (
        "a aime", "aime", "a adore", "adore", "n'a pas aime", "a ri de", "a ri a", "a mis en evidence", "a souligne",
        "a pose une question sur", "s'est interroge e sur", "a reagi avec a", "a reagi a", "a",
        "a attribue la mention j'aime a", "a attribue la mention adore a", "a attribue la mention je n'aime pas a",
    ),
}  # fmt: skip
"""What stands before the quoted text, as `words_of` reads it, emoji left out: `Reacted 👍 to` is `reacted to`.

A row that is only `to` or `a` needs an emoji before it.
"""

_NEED_AN_EMOJI: Final = frozenset({("to",), ("a",)})
_VERBS: Final = frozenset(tuple(verb.split()) for verbs in VERBS.values() for verb in verbs)
_THING: Final = re.compile(
    r"(?:an?|\d+) (?:image|photo|picture|video|movie|attachment|message|link|sticker|gif|contact|location|"
    r"audio message|voice message)s?"
)
_OPENING: Final = re.compile(r"[“„«‹”\"「]|(?<=\s)['‘’]")
"""What begins a quotation; an apostrophe inside a word does not."""

_CLOSING: Final = "”“»›\"'’」"
_MOST_QUOTATIONS: Final = 3
_OURS: Final = " ".join(words_of(HOW_TO_ANSWER))
_MOST_WORDS: Final = 4


def is_reaction(text: str) -> bool:
    """Whether a phone wrote this about a message of ours, or nothing stands there but emoji.

    Signs that may call for help (🆘, 🔥) are no reaction, in front of a quotation or alone.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if _only_emoji(text):
        return not any(sign in text for sign in HELP_SIGNS)
    if _about_a_picture(words_of(text)):
        return True
    places = [found.start() for found in _OPENING.finditer(text)][:_MOST_QUOTATIONS]
    return any(_reacts(text[:place], text[place:]) for place in places)


def _reacts(head: str, quoted: str) -> bool:
    if any(sign in head for sign in HELP_SIGNS) or not _one_quotation(quoted):
        return False
    words = tuple(words_of(head))
    if words in _VERBS:
        return words not in _NEED_AN_EMOJI or any(_is_emoji(c) for c in head)
    # In a language that is not in the table: a few words, then our own text.
    few = 0 < len(words) <= _MOST_WORDS and not any(word.isdigit() for word in words)
    return few and possible_help(words) is None and _OURS in " ".join(words_of(quoted))


def _about_a_picture(words: Sequence[str]) -> bool:
    """`Liked an image`."""
    return any(
        tuple(words[:place]) in _VERBS - _NEED_AN_EMOJI and _THING.fullmatch(" ".join(words[place:]))
        for place in range(1, min(len(words), _MOST_WORDS + 1))
    )


def _one_quotation(text: str) -> bool:
    """Whether this is one quotation from end to end, and not two with somebody's words between them."""
    if len(text) < 2 or text[-1] not in _CLOSING:
        return False
    depth = 0
    for place, character in enumerate(text):
        opens = character in "“„«‹「" or (character in '"' and (place == 0 or text[place - 1] in " \n(“"))
        closes = character in "”»›」" or (character == '"' and not opens)
        depth += opens - closes
        if depth <= 0 and closes and place < len(text) - 1:
            return False
    return True


def _only_emoji(text: str) -> bool:
    return any(_is_emoji(c) for c in text) and all(
        _is_emoji(c) or unicodedata.category(c) in ("Cf", "Mn", "Me", "Sk", "Zs", "Cc") or c in ".!,…" for c in text
    )


def _is_emoji(character: str) -> bool:
    return unicodedata.category(character) == "So" or character in "‼⁉"
