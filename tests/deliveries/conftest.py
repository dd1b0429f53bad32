from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.crew import shared_loop
from tests.journeys.fixtures import at_the_desk, crew, module_database, muster, the_desk

__all__ = ["at_the_desk", "crew", "module_database", "muster", "the_desk"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    shared_loop(items, Path(__file__).parent)
