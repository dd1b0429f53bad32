"""A mail's headers, its parts and their text, read so that nothing in them can stop the reading. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

MOST_CHARACTERS = 200_000
"""Of one part's text; what a person writes is far shorter."""

MOST_PARTS = 200


def values(mail: Message, *names: str) -> list[str]:
    """Every value of these headers, decoded and on one line each, in the order of the names."""
    found = [(name.lower(), raw) for name, raw in mail.raw_items()]
    return [_plain(raw) for name in names for known, raw in found if known == name.lower()]


def value(mail: Message, name: str) -> str:
    """The first value of a header; '' when there is none."""
    return next(iter(values(mail, name)), "")


def _plain(raw: object) -> str:
    text = str(raw)
    try:
        text = str(make_header(decode_header(text)))
    except Exception:  # whatever somebody wrote there, as it came
        text = text.encode("ascii", "replace").decode("ascii")
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())[:4000]


def addresses(texts: list[str]) -> list[str]:
    """Every address in these values, in small letters."""
    return [address.strip().lower() for _, address in getaddresses(texts) if "@" in address]


def parts(mail: Message) -> Iterator[Message]:
    """The mail and everything in it, as far as anybody would look."""
    for place, part in enumerate(mail.walk()):
        if place >= MOST_PARTS:
            return
        yield part


def text_of(part: Message) -> str:
    """A part's text, whatever charset it claims; '' for what holds none."""
    if part.is_multipart():
        return ""
    payload = part.get_payload(decode=True)
    content = payload[: MOST_CHARACTERS * 4] if isinstance(payload, bytes) else b""
    charset = part.get_content_charset("utf-8") or "utf-8"
    try:
        text = content.decode(charset, "replace")
    except (LookupError, ValueError, UnicodeError):
        text = content.decode("utf-8", "replace")
    text = re.sub(r"\r\n?", "\n", text).replace("\0", "")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:MOST_CHARACTERS]


def is_attached(part: Message) -> bool:
    """Whether it is a file of its own and not the mail's words."""
    try:
        disposition = part.get_content_disposition()
    except Exception:  # a header that nobody can read
        disposition = None
    return disposition == "attachment" or (disposition == "inline" and bool(filename(part)))


def filename(part: Message) -> str:
    try:
        return str(part.get_filename() or "")
    except Exception:  # a header that nobody can read
        return ""


def leaves(part: Message) -> Iterator[Message]:
    """What a mail is made of. A mail inside it is one thing, and nothing in it is this mail's."""
    if part.is_multipart() and part.get_content_maintype() != "message":
        for inner in part.get_payload():
            if isinstance(inner, Message):
                yield from leaves(inner)
    else:
        yield part


def words_parts(mail: Message, kind: str) -> list[Message]:
    """The parts of a mail that are its words in this kind (`text/plain`, `text/html`)."""
    return [part for part in leaves(mail) if part.get_content_type() == kind and not is_attached(part)]
