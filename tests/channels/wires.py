"""Small raw servers that answer exactly what a test says, and break off where it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from app.channels.port import Outgoing

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def a_message(to: str = "+15002000006", text: str = "Tills are down.", attempt: int = 7) -> Outgoing:
    return Outgoing(
        attempt, f"token{attempt}", to, text, subject="Tills: what to do", html="<p>Tills are down.</p>",
        callback_url="http://127.0.0.1:9/webhooks/twilio/status/token",
    )  # fmt: skip


def ours() -> bool:
    """The lease is still ours, always."""
    return True


def lost_after(times: int) -> Callable[[], bool]:
    """A lease that ends after it was looked at so many times."""
    left = times

    def still_ours() -> bool:
        nonlocal left
        left -= 1
        return left >= 0

    return still_ours


@dataclass
class Wire:
    """A listening server. `heard` is every byte that reached it, `calls` how many connections came."""

    port: int = 0
    heard: bytearray = field(default_factory=bytearray)
    calls: int = 0


@contextlib.asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[Wire]:
    """A server whose side of each conversation is `talk`; the connection is cut when it returns."""
    wire = Wire()
    under_way: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.calls += 1
        under_way.add(writer)
        listening = asyncio.StreamReader()

        async def listen() -> None:
            while chunk := await reader.read(65536):
                wire.heard += chunk
                listening.feed_data(chunk)
            listening.feed_eof()

        copying = asyncio.create_task(listen())
        try:
            await talk(listening, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            copying.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await copying
            writer.transport.abort()
            under_way.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for writer in under_way:
            writer.transport.abort()
        while under_way:  # noqa: ASYNC110 - a conversation ends when it notices that its connection is gone
            await asyncio.sleep(0.01)


async def a_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Reads one HTTP request: headers, body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
    return head, await reader.readexactly(length)


def answers(status: int, body: str, kind: str = "application/json") -> Talk:
    """Answers every request like this."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await a_request(reader)
            head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n\r\n"
            writer.write(head.encode() + body.encode())
            await writer.drain()

    return talk


async def cut_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cuts before anything is read."""


async def cut_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the whole request and cuts without an answer."""
    await a_request(reader)


async def cut_in_the_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cuts in the middle of saying that it was accepted."""
    await a_request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 300\r\n\r\n{"sid": "SM')
    await writer.drain()


async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await a_request(reader)
    await reader.read()  # until the client gives up
