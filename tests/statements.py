"""Which statements go to the database: how many there are must not depend on how many people there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from app.kernel.db import Database


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """Every statement that goes to the database meanwhile."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(db.engine.sync_engine, "before_cursor_execute", see)
