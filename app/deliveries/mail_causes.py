"""Why a mail did not arrive, by what mail servers say of it: one table. Pure.

Sources: RFC 3463 and its registry of enhanced status codes, and the codes that Exchange adds (5.1.10, 5.4.310). Only
what says that the address itself is wrong flags it: a full mailbox empties, and what one filter refuses another takes.
5.1.7 and 5.1.8 are about our own address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """`status` is the fact's word, as a provider's status word. `codes` and `words` are what tells it; `flag` is why
    the address is not used any more."""

    status: str
    reason: str
    codes: tuple[str, ...] = ()
    words: str = ""
    flag: str | None = None


CAUSES: tuple[Cause, ...] = (
    Cause(
        "returned_no_mailbox", "the mailbox does not exist",
        ("5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.4.1"),
        r"user unknown|unknown user|no such (?:user|mailbox|recipient|address|person)|does not exist|doesn't exist|"
        r"recipient ?not ?found|mailbox (?:unavailable|not found|unknown)|(?<!sender )address not found|"
        r"recipient address rejected|"
        r"no mailbox (?:here )?by that name|invalid (?:recipient|mailbox|address)|account .{0,40}(?:inactive|disabled)",
        "invalid",
    ),
    Cause(
        "returned_no_domain", "the mail domain does not exist or takes no mail",
        ("5.1.2", "5.4.4", "5.4.310"),
        r"host (?:or domain name )?not found|domain (?:not found|does not exist)|null ?mx|unrouteable",
        "invalid",
    ),
    Cause("returned_disabled", "the mailbox takes no mail any more", ("5.2.1",), "", "invalid"),
    Cause(
        "returned_full", "the mailbox is full", ("5.2.2", "4.2.2", "5.2.3"),
        r"mailbox (?:is )?full|over ?quota|quota exceeded",
    ),
    Cause(
        "returned_refused", "the recipient's mail server refused the message", ("5.7.", "5.6.", "5.3.4"),
        r"spam|blocked|blacklist|policy|rejected by content",
    ),
    Cause(
        "returned_unreached", "the recipient's mail server could not be reached in time",
        ("4.4.", "5.4.7", "4.3.", "4."),
        r"timed out|retry (?:time|timeout)|connection refused",
    ),
)  # fmt: skip

ANY = Cause("returned", "the mail came back")

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")


def cause(status: str, said: str) -> Cause:
    """What an enhanced status code (`5.1.1`, or '') and a server's own words come to. The code is believed first."""
    told = status or next(iter(_STATUS.findall(said)), "")
    for known in CAUSES:
        if any(told.startswith(code) if code.endswith(".") else told == code for code in known.codes):
            return known
    if told.startswith("4"):
        return next(known for known in CAUSES if known.status == "returned_unreached")
    for known in CAUSES:
        if known.words and re.search(known.words, said, re.IGNORECASE):
            return known
    return ANY
