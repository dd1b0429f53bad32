"""Which moves an incident may make. Pure."""

from __future__ import annotations

OPEN_STATUSES = ("declared", "investigating", "identified", "monitoring", "resolved")
CLOSED = "closed"


def may_move(before: str, after: str) -> bool:
    """Any move among the open ones, and closing; closed is final."""
    return before != CLOSED and after in (*OPEN_STATUSES, CLOSED)
