"""The words that people answer with: one row in ANSWERS for each, and the same in docs/reference.md. Pure."""

from __future__ import annotations

from app.channels.sms_text import RESERVED_WORDS

ANSWERS: dict[str, str] = {
    "1": "ok",
    "ok": "ok",
    "okay": "ok",
    "ack": "ok",
    "2": "need_help",
    "need help": "need_help",
    "3": "cannot",
    "cannot": "cannot",
    "can't": "cannot",
}
"""What is typed -> the response. Only these, alone or with a reply code; nothing inside a sentence counts.

A row is written as `normal` in parse.py folds it: small letters, no signs but the apostrophe.
"""

OPT_OUT = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
OPT_IN = frozenset({"start", "unstop"})
ASK_BACK = frozenset({"help", "yes"})
"""Carriers take these words for their own; a person who types one is asked which answer they meant."""

INFORMATION = frozenset({"info"})

if {word.casefold() for word in RESERVED_WORDS} != OPT_OUT | OPT_IN | ASK_BACK | INFORMATION:
    raise AssertionError("every reserved word has a meaning here")
if taken := ANSWERS.keys() & (OPT_OUT | OPT_IN | ASK_BACK | INFORMATION):
    raise AssertionError(f"carriers act on these words themselves, so they can be no answers: {sorted(taken)}")
