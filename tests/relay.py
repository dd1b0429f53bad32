"""The way from workers to the carrier, with places to stop at: a message is held there, passed on later, or cut off."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Literal
from urllib.parse import parse_qs

Point = Literal["request", "answer"]
"""`request`: all of it has been written, and the carrier has nothing of it. `answer`: the carrier has it and has
answered, and the worker has not heard."""

Then = Literal["pass", "cut"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Cut(Exception):
    pass


class Relay:
    """Passes HTTP on to a port of this machine, in a thread of its own; only messages being sent are ever stopped."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.port = 0
        self.point: Callable[[str], Point | None] = lambda number: None
        """Where a message to this number is stopped, if anywhere."""
        self.held: dict[str, Point] = {}
        """What is stopped now, by number."""
        self.written: list[str] = []
        """The number of each message of which all was written, in order."""
        self.halves = 0
        """Requests that ended before all of them was written."""
        self._then: Callable[[str], Then] = lambda number: "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self._fillers: list[socket.socket] = []
        self._loop = asyncio.new_event_loop()
        self._go = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._do(self._listen(0))
        assert self._server
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=512)

    def hold(self, point: Point | Callable[[str], Point | None]) -> None:
        """From now on messages are stopped there."""
        self._go.clear()
        self.point = point if callable(point) else lambda number: point

    def let_go(self, then: Then | Callable[[str], Then] = "pass") -> None:
        """Nothing is stopped any more; what was goes on, or is cut off."""
        self.point = lambda number: None
        self._then = then if callable(then) else lambda number: then
        self._loop.call_soon_threadsafe(self._go.set)

    def deafen(self) -> None:
        """Open connections end, and new ones are neither taken nor refused: whoever calls waits."""

        async def close() -> None:
            assert self._server
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()

        self._do(close())
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(0)
        self._fillers = [listening]
        for _ in range(2):  # nobody takes these off the queue, and there is room for no more
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def hear(self) -> None:
        """Takes connections again."""
        for filler in reversed(self._fillers):
            filler.close()
        self._fillers = []
        self._do(self._listen(self.port))

    def close(self) -> None:
        async def close() -> None:
            if self._server:
                self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        for filler in self._fillers:
            filler.close()
        self._do(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            back, beyond = await asyncio.open_connection("127.0.0.1", self.to)
            while True:
                await self._one(reader, writer, back, beyond)
        except (OSError, asyncio.IncompleteReadError, _Cut):
            pass
        finally:
            self._writers.discard(writer)
            for one in (writer, beyond):
                if one is not None:
                    one.transport.abort()

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        back: asyncio.StreamReader, beyond: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        head, body = await self._whole(reader, asking=True)
        first = head.split(b"\r\n", 1)[0]
        number = ""
        if first.startswith(b"POST ") and b"/Messages.json" in first:
            number = parse_qs(body.decode())["To"][0]
            self.written.append(number)
            await self._stop(number, "request")
        beyond.write(head + body)
        head, body = await self._whole(back)
        if number:
            await self._stop(number, "answer")
        writer.write(head + body)
        await writer.drain()

    async def _whole(self, reader: asyncio.StreamReader, *, asking: bool = False) -> tuple[bytes, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        try:
            return head, await reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError:
            self.halves += asking
            raise

    async def _stop(self, number: str, point: Point) -> None:
        if self.point(number) != point:
            return
        self.held[number] = point
        await self._go.wait()
        self.held.pop(number, None)
        if self._then(number) == "cut":
            raise _Cut
