"""The outside monitor hears from us about every minute, and only while a send would go out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from app.kernel.db import run
from app.readiness import heartbeat, service
from app.readiness.alarms import Ways
from app.readiness.watch import Watch
from tests.readiness.conftest import Shift


@dataclass
class Monitor:
    """An outside monitor that keeps the request lines it gets."""

    url: str = ""
    answer: str = "200 OK"
    heard: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append((await reader.readline()).decode().strip())
        writer.write(f"HTTP/1.1 {self.answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def monitor() -> AsyncIterator[Monitor]:
    found = Monitor()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ping/s3cret?a=1"
    async with server:
        yield found


async def a_minute_later(shift: Shift) -> None:
    async with shift.house.db.begin() as session:
        await run(session, "UPDATE heartbeat_ping SET tried_at = tried_at - interval '1 minute'")


async def test_it_is_asked_for_each_minute_while_a_send_would_go_out(shift: Shift, monitor: Monitor) -> None:
    await shift.look()
    watch = Watch(shift.house, shift.providers, Ways(heartbeat_url=monitor.url), "one")
    await watch.ping()
    await watch.ping()
    assert monitor.heard == ["GET /ping/s3cret?a=1 HTTP/1.1"]
    await a_minute_later(shift)
    await watch.ping()
    assert len(monitor.heard) == 2


async def test_it_is_silent_while_a_send_would_not_go_out(shift: Shift, monitor: Monitor) -> None:
    assert await heartbeat.ping(shift.house, monitor.url) is None  # no worker
    await service.beat(shift.house, "a worker")
    assert await heartbeat.ping(shift.house, monitor.url) is None  # nobody asked the providers
    await shift.trouble(http="down", smtp="refuse")
    await service.probe(shift.house, shift.providers)
    assert await heartbeat.ping(shift.house, monitor.url) is None
    assert monitor.heard == []
    await shift.trouble(http=None)  # one channel that works is enough, as for /readyz
    await service.probe(shift.house, shift.providers)
    assert await heartbeat.ping(shift.house, monitor.url) is True


async def test_a_monitor_that_refuses_or_is_away_does_no_harm_and_its_secret_is_not_logged(
    shift: Shift, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    await shift.look()
    monitor.answer = "500 Oops"
    assert await heartbeat.ping(shift.house, monitor.url) is False
    await a_minute_later(shift)
    assert await heartbeat.ping(shift.house, "http://127.0.0.1:9/s3cret") is False
    said = [record.getMessage() for record in caplog.records if record.name.startswith("muster")]
    assert len(said) == 2
    assert "s3cret" not in " ".join(said)
