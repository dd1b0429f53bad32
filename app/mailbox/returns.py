"""What a mail server says of a mail of ours: returned, delayed, passed on. Pure.

RFC 3464 where it is kept; otherwise what flufl.bounce knows of servers that write in their own way.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum

from flufl.bounce import all_failures

from app.mailbox.automatic import nobody_to_answer
from app.mailbox.headers import addresses, parts, text_of, value, values


class Fate(StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    PASSED_ON = "passed on"
    """Delivered, relayed or expanded: nothing more than that a server took it."""


@dataclass(frozen=True)
class Returned:
    """`status` is the enhanced status code (RFC 3463) such as `5.1.1`, '' when none was given; `diagnostic` the
    server's own words; `recipients` whom it is about, in small letters."""

    fate: Fate
    status: str = ""
    diagnostic: str = ""
    recipients: tuple[str, ...] = ()


_ACTIONS = {
    "failed": Fate.FAILED, "error": Fate.FAILED, "delayed": Fate.DELAYED, "delivered": Fate.PASSED_ON,
    "relayed": Fate.PASSED_ON, "expanded": Fate.PASSED_ON,
}  # fmt: skip
_ORDER = (Fate.FAILED, Fate.DELAYED, Fate.PASSED_ON)

STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d)(?=[ -])")
_DAEMONS = re.compile(r"^(?:mailer[-_.]?daemon|mail[-_.]?daemon|postmaster|mailerdaemon|daemon|mdaemon|bounces?)\b")
_RETURNED_SUBJECTS = (
    "undeliverable", "undelivered mail", "delivery status notification", "mail delivery failed", "failure notice",
    "delivery failure", "returned mail", "mail delivery failure", "message undeliverable", "unzustellbar",
    "non remis", "non distribuable", "no se puede entregar", "no entregado", "recapito non riuscito",
    "onbestelbaar", "kunne ikke leveres", "não é possível entregar", "не удается доставить",
)  # fmt: skip
_ORIGINAL = re.compile(
    r"^(?:-+ ?(?:below this line|original message|this is a copy|the original|forwarded)|return-path:|received:)",
    re.IGNORECASE | re.MULTILINE,
)
MOST_DIAGNOSTIC = 200


def read(mail: Message) -> Returned | None:
    """What a mail about a mail says; None for every other mail. May raise for what nobody can read."""
    return _standard(mail) or _own_way(mail)


def _standard(mail: Message) -> Returned | None:
    """RFC 3464: one block for each recipient; ours have one."""
    found: list[Returned] = []
    for part in parts(mail):
        if part.get_content_type() != "message/delivery-status" or not part.is_multipart():
            continue
        for block in part.get_payload():
            if not isinstance(block, Message):
                continue
            action = re.split(r"[\s(;]", value(block, "Action").lower())[0]
            if (fate := _ACTIONS.get(action)) is None:
                continue
            diagnostic = _after(value(block, "Diagnostic-Code"))
            named = [_after(said).strip("<> ") for said in values(block, "Original-Recipient", "Final-Recipient")]
            recipients = tuple(dict.fromkeys(name.lower() for name in named if "@" in name))
            found.append(Returned(fate, _status(value(block, "Status"), diagnostic), _short(diagnostic), recipients))
    return min(found, key=lambda one: _ORDER.index(one.fate)) if found else None


def _own_way(mail: Message) -> Returned | None:
    """Servers that write to people: only mail that no person can have written is looked at."""
    sender = next(iter(addresses(values(mail, "From"))), "")
    named = addresses(values(mail, "X-Failed-Recipients"))
    if not (nobody_to_answer(mail) or _DAEMONS.match(sender) or named):
        return None
    said = "\n".join(text_of(part) for part in parts(mail) if part.get_content_type() == "text/plain")
    said = _ORIGINAL.split(said, maxsplit=1)[0]
    delayed, failed = _found_by_flufl(mail)
    recipients = tuple(sorted(address.decode("ascii", "replace").lower() for address in failed)) or tuple(named)
    subject = value(mail, "Subject").lower()
    status = _status("", said)
    if delayed and not failed:
        return Returned(Fate.DELAYED, status)
    if recipients or (subject.startswith(_RETURNED_SUBJECTS) and status.startswith("5")):
        return Returned(Fate.FAILED, status, _short(_line_with(status, said)), recipients)
    return None


def _found_by_flufl(mail: Message) -> tuple[Collection[bytes], Collection[bytes]]:
    """(addresses that wait, addresses that failed); none where a detector stumbles, as one does without a From."""
    try:
        delayed, failed = all_failures(mail)
    except Exception:  # what else the mail says still counts
        return (), ()
    return delayed, failed


def _after(said: str) -> str:
    """`rfc822; ann@example.org` -> `ann@example.org`."""
    kind, semicolon, rest = said.partition(";")
    return rest.strip() if semicolon and " " not in kind.strip() else said.strip()


def _status(given: str, said: str) -> str:
    """The most telling code: `x.0.0` says less than what the server's words name."""
    codes = [*STATUS.findall(given), *STATUS.findall(said)]
    telling = next((code for code in codes if not code.endswith(".0.0")), "")
    if telling or codes:
        return telling or codes[0]
    reply = _REPLY.search(said)
    return f"{reply[1][0]}.0.0" if reply else ""


def _line_with(status: str, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if status and (status in line or _REPLY.search(line))), "")


def _short(said: str) -> str:
    return " ".join(said.split())[:MOST_DIAGNOSTIC]
