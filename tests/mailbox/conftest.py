from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.crew import shared_loop
from tests.journeys.fixtures import at_the_desk, module_database, the_desk
from tests.mailbox.postbox import Postbox, imap_server

__all__ = ["at_the_desk", "module_database", "the_desk"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    shared_loop(items, Path(__file__).parent)


@pytest.fixture(scope="session")
def imap_port() -> Iterator[int]:
    if outside := os.environ.get("OUTSIDE_IMAP_PORT"):  # `make test-outside`
        yield int(outside)
        return
    with imap_server() as port:
        yield port


@pytest.fixture
def postbox(imap_port: int) -> Postbox:
    """A folder of its own on the server that all share."""
    return Postbox.new(imap_port)
