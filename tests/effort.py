"""How hard to try made-up input: few examples and always the same in the suite, many and new ones in `make fuzz`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

WANTED = int(os.environ.get("FUZZ_EXAMPLES") or 0)
"""Examples for each test; 0 leaves it to the test and makes the same ones every time."""


def tries(few: int) -> int:
    """How many examples a test tries that needs so few to be worth its time in the suite."""
    return WANTED or few


def profile() -> None:
    """Makes this the default of every Hypothesis test. Without a deadline: on a busy machine it fails by chance."""
    settings.register_profile("muster", derandomize=not WANTED, max_examples=tries(100), deadline=None, print_blob=True)
    settings.load_profile("muster")


def each(strategy: st.SearchStrategy[Any], few: int, tried: Callable[[Any], None]) -> None:
    """Calls `tried` with so many examples.

    For a thread beside the loop on which a running installation lives: a Hypothesis test of its own cannot wait for
    one. The first that fails is told as it is: what it did there is not undone for simpler ones to be tried.
    """

    @settings(max_examples=tries(few), database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def try_one(example: Any) -> None:
        tried(example)

    try_one()


def some(strategy: st.SearchStrategy[Any], few: int) -> list[Any]:
    """So many examples, for a test that needs them all at hand."""
    found: list[Any] = []
    each(strategy, few, found.append)
    return found
