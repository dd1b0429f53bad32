"""In which order the suite runs: each process begins with what takes long, so that none is left with it at the end."""

from __future__ import annotations

import itertools

import pytest

LONG = (
    ("journeys/test_trouble.py",),
    ("cli/test_commands.py", "journeys/test_ladder.py"),
    ("kernel/test_postgres.py", "journeys/test_main_job.py"),
    ("docs/test_shown_commands.py", "pages/test_browser.py", "faults/test_carrier.py"),
)
"""Files that mostly wait or start processes, in groups that take about as long as each other."""


def in_blocks(items: list[pytest.Item], processes: int) -> None:
    """Reorders the items: `pytest -n 4 --dist worksteal` gives each process one block of equal length to begin with."""
    if processes != len(LONG):
        return
    file_of = {id(item): item.path.as_posix() for item in items}
    groups = [[item for item in items if file_of[id(item)].endswith(files)] for files in LONG]
    held = {id(item) for group in groups for item in group}
    others = iter([item for item in items if id(item) not in held])
    length = -(-len(items) // processes)
    ordered: list[pytest.Item] = []
    for place, group in enumerate(groups):
        ordered += group
        ordered += itertools.islice(others, max(0, (place + 1) * length - len(ordered)))
    items[:] = [*ordered, *others]
