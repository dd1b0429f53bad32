"""What one mail is, whoever or whatever wrote it, and which mail of ours it is about. Pure.

The names here say what a mail claims. Whether a token is really ours only its signature says (`app.kernel.ids`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from enum import StrEnum

from app.channels.media import Medium
from app.mailbox import own_words, returns
from app.mailbox.automatic import is_automatic, is_list
from app.mailbox.headers import addresses, parts, text_of, value, values
from app.mailbox.returns import Fate, Returned


class Kind(StrEnum):
    PERSON = "person"
    AUTOMATIC = "automatic"
    LIST = "list"
    OWN = "own"
    """A mail of ours that came back round."""
    BOUNCE = "bounce"
    DELAY = "delay"
    RECEIPT = "receipt"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Mail:
    """`key` is the same for every copy. `tokens` are what may be ours, the likeliest first. `text` is what the sender
    wrote themselves."""

    kind: Kind
    key: str
    sender: str = ""
    tokens: tuple[str, ...] = ()
    text: str = ""
    media: tuple[Medium, ...] = ()
    returned: Returned | None = None


_TOKEN = re.compile(r"(?<![a-z0-9])([a-z2-7]{20})(?![a-z0-9])", re.IGNORECASE)
"""A signed token of ours, wherever it stands: in a plus-address, a Message-ID, a link."""

MOST_TOKENS = 40
_FATES = {Fate.FAILED: Kind.BOUNCE, Fate.DELAYED: Kind.DELAY, Fate.PASSED_ON: Kind.RECEIPT}


def read(raw: bytes, ours: Collection[str] = ()) -> Mail:
    """`ours` are the addresses that our own mails come from. May raise for what nobody can read."""
    mail = message_from_bytes(raw, _class=EmailMessage, policy=default)
    sender = next(iter(addresses(values(mail, "From"))), "")
    key = key_of(raw, mail)
    if returned := returns.read(mail):
        return Mail(_FATES[returned.fate], key, sender, _tokens(_everything(mail)), returned=returned)
    tokens = _tokens(
        [
            *values(mail, "In-Reply-To", "To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"),
            *(" ".join(reversed(said.split())) for said in values(mail, "References")),
        ]
    )
    if sender in ours or ".muster@" in value(mail, "Message-ID"):
        return Mail(Kind.OWN, key, sender, tokens)
    if is_list(mail):
        return Mail(Kind.LIST, key, sender, tokens)
    if is_automatic(mail):
        return Mail(Kind.AUTOMATIC, key, sender, tokens)
    return Mail(Kind.PERSON, key, sender, tokens, own_words.written(mail, answers=bool(tokens)), own_words.media(mail))


def key_of(raw: bytes, mail: Message) -> str:
    """The same for a mail that is delivered twice or copied, another for every other: its id, whom it is from and to,
    and what it says. What servers add on the way is left out."""
    head = values(mail, "Message-ID", "From", "To", "Date", "Subject", "In-Reply-To", "References")
    if not value(mail, "Message-ID"):
        return hashlib.sha256(raw).hexdigest()
    _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return hashlib.sha256("\n".join(head).encode() + b"\0" + body).hexdigest()


def _tokens(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        for token in _TOKEN.findall(text):
            found.setdefault(token.lower())
            if len(found) >= MOST_TOKENS:
                return tuple(found)
    return tuple(found)


def _everything(mail: Message) -> Iterable[str]:
    """Where a mail about ours may name it: first what the server was told, then what it sends back."""
    inside = list(parts(mail))
    for part in inside:
        yield from values(part, "Original-Envelope-Id")
    yield from values(mail, "To", "Delivered-To", "X-Original-To", "In-Reply-To", "References")
    for part in inside:
        yield from values(part, "Message-ID", "Reply-To", "References", "Return-Path")
    for part in inside:
        if part.get_content_maintype() in ("text", "message"):
            yield text_of(part)
