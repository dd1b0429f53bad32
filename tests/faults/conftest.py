from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet import START_WITHIN, Fleet, fleet


@pytest.fixture(scope="package")
def running() -> Iterator[Fleet]:
    """One for all: each test tells people of its own."""
    with fleet("a", "b") as started:
        yield started


@pytest.fixture
def muster(running: Fleet) -> Iterator[Fleet]:
    """A web, the workers `a` and `b`, and a carrier that works; whatever a test does to them is mended after it."""
    yield running
    running.relay.let_go()
    running.faults(http=None, receipts=None, list=None, smtp=None, latency_ms=None, lag_seconds=None)
    for name in set(running.running) - {"web", "carrier", "a", "b"}:
        running.kill(name)
    for name in ("a", "b"):
        if name in running.running:
            running.wake(name)
        else:
            running.launch(name, "worker")
    for name in ("a", "b"):
        running.until(lambda name=name: bool(running.name_of(name)), seconds=START_WITHIN)  # type: ignore[misc]
