"""Tells open boards that something changed: one LISTEN connection a web process, fanned out to its streams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import psycopg
from psycopg import sql

log = logging.getLogger("muster.stream")

CHANNELS = ("muster_board", "muster_timeline")
RECONNECT_SECONDS = 1.0
POLL_SECONDS = 2.0
"""How often streams look by themselves while the database's notices cannot be heard."""


class Hub:
    """Runs for the life of a web process. Subscribers get an event that is set whenever anything may have changed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._subscribers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.stopping = asyncio.Event()
        self.hearing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="board-hub")

    async def stop(self) -> None:
        self.close_streams()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def close_streams(self) -> None:
        """Ends every open stream, so that a shutdown need not wait for them."""
        self.stopping.set()
        self._wake()

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        event.set()
        self._subscribers.add(event)
        try:
            yield event
        finally:
            self._subscribers.discard(event)

    async def wait(self, event: asyncio.Event, *, seconds: float) -> bool:
        """Waits for a change, at most so long (shorter while notices cannot be heard). False: nothing changed."""
        limit = seconds if self.hearing else min(seconds, POLL_SECONDS)
        try:
            async with asyncio.timeout(limit):
                await event.wait()
        except TimeoutError:
            return not self.hearing
        event.clear()
        return True

    def _wake(self) -> None:
        for event in self._subscribers:
            event.set()

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=5, application_name="muster-board"
                ) as connection:
                    for channel in CHANNELS:
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    self.hearing = True
                    self._wake()
                    async for _notice in connection.notifies():
                        self._wake()
            except (psycopg.Error, OSError) as error:
                log.warning("board notices cannot be heard (%s); looking every two seconds", type(error).__name__)
            finally:
                self.hearing = False
            await asyncio.sleep(RECONNECT_SECONDS)
