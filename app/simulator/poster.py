"""Posts forms over kept-open connections, for the thousands of receipts of one bulletin.

A client of our own for this one job: 1,000 texts a second make over 2,000 receipts, and httpx2 posts about 1,100 a
second with a whole core to itself (600 with 24 in flight), which the machine under test then lacks. Incoming texts and
pages, which are few, go through httpx2.
"""

import asyncio
import re
import ssl
from collections import defaultdict
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

BLANK = re.compile(r"[\x00-\x20\x7f]")


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.status: asyncio.Future[int] | None = None
        self.used = 0
        self.parser: HttpResponseParser | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, but act like them.
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._fail("the connection was closed before the answer")

    def _fail(self, why: str) -> None:
        if self.status is not None and not self.status.done():
            self.status.set_exception(ConnectionResetError(why))

    async def send(self, request: bytes) -> int:
        """Write one request; the status of its answer. Raises ConnectionResetError."""
        if self.transport is None:
            raise ConnectionResetError("the connection is closed")
        self.used += 1
        self.parser = HttpResponseParser(self)
        self.status = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.status

    def data_received(self, data: bytes) -> None:
        if self.parser is None:
            self.close()
            return
        try:
            self.parser.feed_data(data)
        except HttpParserError as error:
            self._fail(f"not an HTTP answer: {error}")
            self.close()

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        assert self.parser is not None
        status = self.parser.get_status_code()
        if status < 200:  # an interim answer; the real one follows
            return
        keep = self.parser.should_keep_alive()
        if self.status is not None and not self.status.done():
            self.status.set_result(status)
        if not keep:
            self.close()

    def close(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


class Poster:
    """Keeps connections open per host and posts forms over them."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._idle: defaultdict[tuple[str, str, int], list[_Connection]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Post a form; the status of the answer.

        Raises OSError when nobody answers, TimeoutError when it takes too long, ValueError for an impossible address.
        A kept connection that the other side has closed meanwhile is replaced once, as every HTTP client does.
        """
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host or BLANK.search(url):
            raise ValueError(f"{url!r} is no http or https address")
        where = (parts.scheme, host, parts.port or (443 if parts.scheme == "https" else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body
        async with asyncio.timeout(self.timeout):
            while True:
                connection = await self._connection(where)
                fresh = not connection.used
                try:
                    status = await connection.send(request)
                except ConnectionResetError:
                    if fresh:
                        raise
                    continue
                except asyncio.CancelledError:
                    connection.close()
                    raise
                if connection.transport is not None:
                    self._idle[where].append(connection)
                return status

    async def _connection(self, where: tuple[str, str, int]) -> _Connection:
        idle = self._idle[where]
        while idle:
            kept = idle.pop()
            if kept.transport is not None:
                return kept
        scheme, host, port = where
        if scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        tls = self._tls if scheme == "https" else None
        _, connection = await loop.create_connection(_Connection, host, port, ssl=tls)
        return connection

    def close(self) -> None:
        """Close every kept connection."""
        for kept in self._idle.values():
            for connection in kept:
                connection.close()
        self._idle.clear()
