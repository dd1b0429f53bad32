from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.crew import shared_loop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    shared_loop(items, Path(__file__).parent)
