"""A real IMAP server, a folder in it for each test, and the mails that real programs send."""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.channels.imap import ImapMailbox
from app.channels.port import ImapConfig
from tests.patience import patience
from tests.stack import free_port

USER, PASSWORD = "muster@example.org", "p@ss wörd/1"
MAILS = Path(__file__).parent / "mails"

_folders = itertools.count(1)


@contextlib.contextmanager
def imap_server(port: int | None = None) -> Iterator[int]:
    """pymap with its data in memory; yields its port."""
    port = port or free_port()
    command = [
        str(Path(sys.executable).with_name("pymap")), "--host", "127.0.0.1", "--port", str(port), "--no-tls",
        "--no-service", "admin", "dict", "--demo-data", "--demo-user", USER, "--demo-password", PASSWORD,
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        listening(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def listening(port: int, server: subprocess.Popen[bytes]) -> None:
    """Returns when the server takes connections."""
    for _ in range(int(patience(20.0) * 10)):
        assert server.poll() is None, "the IMAP server ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise AssertionError("the IMAP server does not listen")


def sample(name: str, token: str = "", **other: str) -> bytes:
    """A mail of `mails/`, with this token of ours in it, and other words in place of those named."""
    text = (MAILS / f"{name}.eml").read_bytes().replace(b"{token}", token.encode())
    for old, new in other.items():
        text = text.replace(old.encode(), new.encode())
    return text


@dataclass
class Postbox:
    """One folder of the server. `deliver` puts a mail in, as a mail server would."""

    port: int
    folder: str
    user: str = USER
    password: str = PASSWORD

    @classmethod
    def new(cls, port: int, user: str = USER, password: str = PASSWORD) -> Postbox:
        made = cls(port, f"T{next(_folders)}x{os.getpid()}", user, password)
        with made._client() as client:
            assert client.create(made.folder)[0] == "OK"
        return made

    @property
    def mailbox(self) -> ImapMailbox:
        return ImapMailbox(ImapConfig("127.0.0.1", self.port, False, self.user, self.password, self.folder))

    @contextlib.contextmanager
    def _client(self) -> Iterator[imaplib.IMAP4]:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        client.authenticate("PLAIN", lambda _: f"\0{self.user}\0{self.password}".encode())
        try:
            yield client
        finally:
            client.logout()

    def deliver(self, mail: bytes, at: datetime) -> None:
        with self._client() as client:
            said = client.append(self.folder, "", f'"{at:%d-%b-%Y %H:%M:%S} +0000"', mail)
            assert said[0] == "OK", said

    def begin_anew(self) -> None:
        """The folder is another one with the same mails: its UIDVALIDITY changes, as after a restored backup."""
        with self._client() as client:
            mails = self._mails(client)
            client.select("INBOX")
            client.delete(self.folder)
            client.create(self.folder)
            for at, mail in mails:
                client.append(self.folder, "", at, mail)

    def flags(self) -> list[bytes]:
        with self._client() as client:
            client.select(self.folder, readonly=True)
            return [line for line in client.uid("FETCH", "1:*", "(FLAGS)")[1] if line]

    def _mails(self, client: imaplib.IMAP4) -> list[tuple[str, bytes]]:
        client.select(self.folder, readonly=True)
        found = client.uid("FETCH", "1:*", "(INTERNALDATE BODY.PEEK[])")[1]
        parts = [part for part in found if isinstance(part, tuple)]
        return [(_date(head), body) for head, body in parts]


def _date(head: bytes) -> str:
    found = re.search(rb'INTERNALDATE ("[^"]+")', head)
    assert found
    return found[1].decode()
