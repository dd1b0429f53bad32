"""What a value of each kind of setting must look like; an error says what is wrong with it and what would be right."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

LEAST_SECRET = 16

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def port(value: int) -> int:
    if not 1 <= value <= 65535:
        raise ValueError(f"{value} is not a port; use a number from 1 to 65535")
    return value


def zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except Exception as error:  # ZoneInfo raises several kinds, by platform
        raise ValueError(f"{value!r} is not a time zone; use a name such as Europe/Paris or UTC") from error
    return value


def body_size(value: int) -> int:
    if value < 10_000:
        raise ValueError(f"{value} is too small for a declaration; use at least 10000")
    return value


def database(value: str) -> str:
    if value.startswith(("postgresql://", "postgres://")):
        from sqlalchemy import make_url  # heavy, and only needed here
        from sqlalchemy.exc import ArgumentError

        try:
            make_url(value)
        except (ArgumentError, ValueError):
            pass
        else:
            return value
    raise ValueError("it is not a PostgreSQL address; use postgresql://user:password@host/name")


def monitor(value: str) -> str:
    # Never repeated in the line: the path or the query is the monitor's secret.
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.fragment or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError("it is not a web address; use the https://... address that your monitor gave you")
    return value


def web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an address that is none
        usable = False
    if not usable or parts.query or parts.fragment or re.search(r"\s", value):
        raise ValueError(f"{value!r} is not a web address; use https://host without query or fragment")
    return value.rstrip("/")


def secret(value: str) -> str:
    if len(value.strip()) < LEAST_SECRET:
        raise ValueError(f"it is too short; use at least {LEAST_SECRET} random characters")
    return value


def account_sid(value: str) -> str:
    if not re.fullmatch(r"AC[0-9a-zA-Z]{32}", value):
        raise ValueError("it is not an account SID; use AC followed by 32 characters")
    return value


def sender(value: str) -> str:
    if not (_E164.fullmatch(value) or re.fullmatch(r"MG[0-9a-zA-Z]{32}", value)):
        raise ValueError("use an E.164 number such as +15551230000, or a Messaging Service SID (MG...)")
    return value


def number(value: str) -> str:
    if not _E164.fullmatch(value):
        raise ValueError("use an E.164 number such as +15551230000")
    return value


def email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError(f"{value!r} is not an email address; use name@example.com")
    return value


def mail_server(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("smtp", "smtps") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it is not a mail server's address; use smtp://user:pass@host:587 or smtps://host:465")
    return value


def mailbox(value: str) -> str:
    # Never repeated in the line: it holds a password.
    right = "use imaps://user:pass@host/INBOX, with every special sign of user and password percent-encoded"
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("imap", "imaps") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError(f"it is not a mailbox's address; {right}")
    if not parts.username or not parts.password:
        raise ValueError(f"it names no user or no password; {right}")
    if parts.query or parts.fragment:
        raise ValueError(f"a ? or # cannot stand there as it is; {right}")
    if parts.scheme == "imap" and not is_loopback(parts.hostname or ""):
        raise ValueError("it would send the password in the clear; use imaps://")
    return value


def rate(value: float) -> float:
    if not 0 < value <= 10_000:
        raise ValueError("use a number of parts a second above 0, such as 1 for one long number; unset for no limit")
    return value


def count(value: int) -> int:
    if not 1 <= value <= 100_000_000:
        raise ValueError(f"{value} is not a count; use a whole number above 0")
    return value


def scale(value: float) -> float:
    if not 0 < value <= 100_000:
        raise ValueError("use a number above 0; 1 is real time")
    return value


def settle(value: float) -> float:
    if not 0 < value <= 3600:
        raise ValueError("use a number of seconds above 0, up to 3600")
    return value


Port = Annotated[int, AfterValidator(port)]
Zone = Annotated[str, AfterValidator(zone)]
BodySize = Annotated[int, AfterValidator(body_size)]
Database = Annotated[str, AfterValidator(database)]
Monitor = Annotated[str, AfterValidator(monitor)]
WebAddress = Annotated[str, AfterValidator(web_address)]
Secret = Annotated[str, AfterValidator(secret)]
AccountSid = Annotated[str, AfterValidator(account_sid)]
Sender = Annotated[str, AfterValidator(sender)]
PhoneNumber = Annotated[str, AfterValidator(number)]
EmailAddress = Annotated[str, AfterValidator(email)]
MailboxAddress = Annotated[str, AfterValidator(mailbox)]
MailServer = Annotated[str, AfterValidator(mail_server)]
Rate = Annotated[float, AfterValidator(rate)]
Count = Annotated[int, AfterValidator(count)]
TimeScale = Annotated[float, AfterValidator(scale)]
SettleSeconds = Annotated[float, AfterValidator(settle)]
