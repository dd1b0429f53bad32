"""The words that people answer with. One row a word; pure. A new keyword is one more row."""

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
"""What is typed -> the response. Only these, alone or with a reply code; nothing inside a sentence counts."""

OPT_OUT = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
OPT_IN = frozenset({"start", "unstop"})
ASK_BACK = frozenset({"help", "yes"})
"""Carriers take these words for their own; a person who types one is asked which answer they meant."""

INFORMATION = frozenset({"info"})

if {word.casefold() for word in RESERVED_WORDS} != OPT_OUT | OPT_IN | ASK_BACK | INFORMATION:
    raise AssertionError("every reserved word has a meaning here")
