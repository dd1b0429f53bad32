"""Where time comes from: injected, always aware, UTC inside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from app.kernel.db import Database


LONGEST_MEASURE = timedelta(seconds=0.5)


class Clock(Protocol):
    """Anything that tells the time as an aware datetime in UTC."""

    def now(self) -> datetime: ...


class DatabaseClock:
    """This process's clock, corrected to the database's.

    Many machines write into one database; one of them with a wrong clock must not send early, late or
    twice. `calibrate` measures the difference once at start and then with each heartbeat, so that asking
    for the time costs no statement.
    """

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    async def calibrate(self, db: Database) -> timedelta:
        """Measures database time minus ours; returns the correction now in force.

        An answer that took long says little about when it was true: then the correction in force stays.
        """
        before = datetime.now(UTC)
        began = monotonic()
        there = await db.time()
        took = timedelta(seconds=monotonic() - began)
        if took <= LONGEST_MEASURE:
            self._offset = there - (before + took / 2)
        return self._offset


class ManualClock:
    """A clock that moves only when told to. For tests and for replaying a record."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock starts at an aware time")
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, *, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        return self._now
