"""The words that people answer with: one row in a table for each, and the same in docs/reference.md. Pure.

Every row is written as `words_of` in folding.py reads it: small letters, no accents, no signs but the apostrophe.
"""

from __future__ import annotations

from typing import Final

from app.channels.sms_text import RESERVED_WORDS

DIGITS: Final[dict[str, str]] = {"1": "ok", "2": "need_help", "3": "cannot"}
"""What is typed -> the response, in the digits of any script."""

LABELS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "ok": "ok",
        "okay": "ok",
        "o k": "ok",
        "ack": "ok",
        "need help": "need_help",
        "needhelp": "need_help",
        "cannot": "cannot",
        "can not": "cannot",
        "can't": "cannot",
        "cant": "cannot",
    },
}
"""For each language that our own words are written in: what we call each response, as people type it."""

ANSWERS: Final[dict[str, str]] = DIGITS | {
    label: response for labels in LABELS.values() for label, response in labels.items()
}
"""What is typed -> the response: a digit, a label, or both when they mean the same; never inside a sentence."""

RESPONSES: Final = frozenset(DIGITS.values())

_LEADS: Final = ("answer", "my answer", "my answer is", "reply", "text", "send", "press", "option", "choice", "number")
LEADS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(_LEADS, RESPONSES),
    # "No. 2" and "No, 2" mean the same. "No 1" means nothing that is certain.
    "no": frozenset({"need_help", "cannot"}),
}
"""What may stand before an answer -> the responses that it may stand before."""

COUNTED: Final = frozenset(
    {"second", "seconds", "sec", "minute", "minutes", "min", "mins", "hour", "hours", "hr", "hrs", "h", "day", "days"}
    | {"week", "weeks", "month", "months", "am", "pm", "o'clock", "oclock", "more", "times", "percent", "%", "of", "or"}
)
"""What a digit at the beginning of a text may count; then it is no answer."""

CODE_WORDS: Final = (
    "code", "my code", "my code is", "the code", "the code is", "code is", "with code", "with my code", "reply code"
)  # fmt: skip
"""What may stand before a reply code."""

TAILS: Final = (
    "thanks", "thanks a lot", "thanks so much", "many thanks", "thank you", "thank you very much", "thank you so much",
    "thankyou", "thank u", "thx", "ty", "cheers", "please", "pls", "plz",
)  # fmt: skip
"""The polite words that may stand around an answer. Emoji and punctuation may, too; any other word makes it words."""

OPT_OUT: Final = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
NO_MORE: Final = (
    "opt out", "opt me out", "opted out", "remove me", "remove my number", "remove this number", "take me off",
    "no more texts", "no more messages", "don't text", "dont text", "do not text", "don't message", "dont message",
    "do not message", "don't contact", "dont contact", "do not contact", "wrong number", "leave me alone",
)  # fmt: skip
"""What else may mean that somebody wants no more texts, anywhere in a text; so may the words of OPT_OUT."""

OPT_IN: Final = frozenset({"start", "unstop"})
ASK_BACK: Final = frozenset({"help", "yes"})
"""Carriers take these words for their own; a person who types one is asked which answer they meant."""

INFORMATION: Final = frozenset({"info"})

if {word.casefold() for word in RESERVED_WORDS} != OPT_OUT | OPT_IN | ASK_BACK | INFORMATION:
    raise AssertionError("every reserved word has a meaning here")
if taken := (ANSWERS.keys() | set(TAILS)) & (OPT_OUT | OPT_IN | ASK_BACK | INFORMATION):
    raise AssertionError(f"carriers act on these words themselves, so they can be no answers: {sorted(taken)}")
