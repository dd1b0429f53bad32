"""How long a test waits for what must come to hold, before it says that it does not."""

from __future__ import annotations

SLOWER = 6.0
"""Limits are written for a quiet machine. They are there for what would hang, so a busy one may be so much slower."""


def patience(seconds: float) -> float:
    """So many seconds of a quiet machine."""
    return seconds * SLOWER
