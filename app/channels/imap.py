"""Reads a mailbox over IMAP (RFC 3501): opened for reading only, so nothing in it is ever changed, marked or removed.

The client is a blocking one, so each round has a thread of its own; a round that is cancelled has its connection cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import imaplib
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from imap_tools import BaseMailBox, MailBox, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from app.channels.port import Health, ImapConfig, Letter, MailboxDown, Place, Post

TIMEOUT_SECONDS = 15.0

SETTING = "MUSTER_IMAP_URL"

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""As IMAP spells them, whatever this machine's language is."""

_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'\bINTERNALDATE "([ \d]\d)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
_FAULTS = (imaplib.IMAP4.error, ImapToolsError, OSError, ValueError)

T = TypeVar("T")


class ImapMailbox:
    def __init__(self, config: ImapConfig) -> None:
        self._config = config
        self._box: BaseMailBox | None = None

    @property
    def name(self) -> str:
        config = self._config
        whole = f"{config.host.lower()}\0{config.port}\0{config.username}\0{config.folder}"
        return hashlib.sha256(whole.encode()).hexdigest()[:32]

    async def new(self, after: Place | None, *, since: datetime, limit: int, most_bytes: int) -> Post:
        return await self._beside(lambda: self._new(after, since=since, limit=limit, most_bytes=most_bytes))

    async def check(self) -> Health:
        """Really logs in and opens the folder, in a connection of its own."""
        try:
            await self._beside(lambda: _leave(_connect(self._config)))
        except MailboxDown as error:
            return Health(False, str(error), misconfigured=error.misconfigured)
        return Health(True, "the mailbox can be read: mail answers and returned mails are heard")

    async def close(self) -> None:
        box, self._box = self._box, None
        if box is not None:
            with contextlib.suppress(MailboxDown):
                await self._beside(lambda: _leave(box))

    async def _beside(self, work: Callable[[], T]) -> T:
        """Runs `work` beside the loop. Raises MailboxDown for every fault; the connection is then made anew."""
        try:
            return await asyncio.wrap_future(_in_a_thread(work))
        except _FAULTS as error:
            self._cut()
            where = f"{self._config.host}:{self._config.port}"
            raise MailboxDown(
                f"the mailbox at {where} cannot be read ({type(error).__name__}); check {SETTING}"
            ) from error
        except BaseException:
            self._cut()
            raise

    def _cut(self) -> None:
        box, self._box = self._box, None
        if box is not None:
            with contextlib.suppress(*_FAULTS, AttributeError):
                box.client.shutdown()

    def _new(self, after: Place | None, *, since: datetime, limit: int, most_bytes: int) -> Post:
        if self._box is None:
            self._box = _connect(self._config)
        client = self._box.client
        _examine(self._box, self._config)
        validity = int(_only(client.response("UIDVALIDITY")[1]))
        first = after.uid + 1 if after is not None and after.validity == validity else 1
        day = since.astimezone(UTC) - timedelta(days=1)  # a server counts days in a zone of its own
        asked = f"UID {first}:* SINCE {day.day}-{MONTHS[day.month - 1]}-{day.year}"
        known = sorted(int(uid) for uid in _ok(client.uid("SEARCH", asked))[0].split() if int(uid) >= first)
        heads = _heads(client, known[:limit])
        letters = tuple(
            Letter(uid, size, at, _body(client, uid, size, most_bytes)) for uid, (size, at) in sorted(heads.items())
        )
        return Post(validity, letters, more=len(known) > limit)


def _in_a_thread(work: Callable[[], T]) -> Future[T]:
    """Not in a pool: its threads are waited for when the process ends, however long a silent server takes."""
    done: Future[T] = Future()

    def run() -> None:
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

    threading.Thread(target=run, name="mailbox", daemon=True).start()
    return done


def _connect(config: ImapConfig) -> BaseMailBox:
    """Logged in, with the folder open for reading."""
    if config.tls:
        context = ssl.create_default_context()
        box: BaseMailBox = MailBox(config.host, config.port, timeout=TIMEOUT_SECONDS, ssl_context=context)
    else:
        box = MailBoxUnencrypted(config.host, config.port, timeout=TIMEOUT_SECONDS)
    try:
        try:
            if "AUTH=PLAIN" in box.client.capabilities:
                box.login_utf8(config.username, config.password, initial_folder=None)
            else:
                box.login(config.username, config.password, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, ImapToolsError) as error:
            wrong = f"the mailbox refuses the user name or password in {SETTING}"
            raise MailboxDown(wrong, misconfigured=True) from error
        _examine(box, config)
    except BaseException:
        with contextlib.suppress(*_FAULTS):
            box.client.shutdown()
        raise
    return box


def _examine(box: BaseMailBox, config: ImapConfig) -> None:
    try:
        box.folder.set(config.folder, readonly=True)
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, ImapToolsError) as error:
        wrong = f"the mailbox has no folder {config.folder!r}; name another one in {SETTING}"
        raise MailboxDown(wrong, misconfigured=True) from error


def _leave(box: BaseMailBox) -> None:
    box.logout()


def _ok(answer: tuple[str, Any]) -> Sequence[Any]:
    said, data = answer
    if said != "OK":
        raise imaplib.IMAP4.error("the server refused a command")
    return [part if part is not None else b"" for part in data]


def _only(data: Sequence[Any]) -> bytes:
    if not data or data[0] is None:
        raise ValueError("the server gave no UIDVALIDITY")
    return bytes(data[0])


def _heads(client: imaplib.IMAP4, uids: Sequence[int]) -> dict[int, tuple[int, datetime]]:
    """For each that is still there: its size, and when the server had it. Asked for before any of it is fetched."""
    if not uids:
        return {}
    found: dict[int, tuple[int, datetime]] = {}
    for line in _ok(client.uid("FETCH", ",".join(map(str, uids)), "(UID RFC822.SIZE INTERNALDATE)")):
        if isinstance(line, bytes) and (uid := _UID.search(line)) and int(uid[1]) in uids:
            size, date = _SIZE.search(line), _DATE.search(line)
            found[int(uid[1])] = (int(size[1]) if size else 0, _moment(date) if date else datetime.now(UTC))
    return found


def _moment(found: re.Match[bytes]) -> datetime:
    day, month, year, hour, minute, second, sign, hours, minutes = (part.decode() for part in found.groups())
    ahead = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    local = datetime(
        int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
    )
    return local - ahead


def _body(client: imaplib.IMAP4, uid: int, size: int, most_bytes: int) -> bytes:
    """The first bytes of a mail, without marking it as seen; none when it has gone meanwhile."""
    part_of_it = f"<0.{most_bytes}>" if size > most_bytes or not size else ""
    for part in _ok(client.uid("FETCH", str(uid), f"(UID BODY.PEEK[]{part_of_it})")):
        if isinstance(part, tuple) and len(part) == 2:
            found = _UID.search(part[0])
            if found is None or int(found[1]) == uid:
                return bytes(part[1])[:most_bytes]
    return b""
