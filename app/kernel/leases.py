"""Which worker does a job that one at a time should do. A lease in a table, so that a frozen holder loses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from sqlmodel import Field, SQLModel

from app.kernel.columns import moment
from app.kernel.db import Database, row


class Lease(SQLModel, table=True):
    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(sa_column=moment())


async def hold(db: Database, name: str, holder: str, *, seconds: float) -> bool:
    """Takes or keeps the lease for `seconds`; False while somebody else has it."""
    async with db.begin() as session:
        found = await row(
            session,
            """INSERT INTO lease (name, holder, until)
               VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :seconds))
               ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
               WHERE lease.holder = excluded.holder OR lease.until < clock_timestamp()
               RETURNING holder""",
            {"name": name, "holder": holder, "seconds": seconds},
        )
    return found is not None


class Turn:
    """One process's turn at a job that one at a time does: `ours` takes it, and keeps it by asking again.

    Only the second half of a lease is renewed: a job that looks every second would else ask as often whether it may.
    """

    def __init__(
        self, db: Database, name: str, holder: str, *, seconds: float, watch: Callable[[], float] = time.monotonic
    ) -> None:
        self._db, self._name, self._holder, self._seconds, self._watch = db, name, holder, seconds, watch
        self._sure_until = float("-inf")

    async def ours(self) -> bool:
        asked = self._watch()  # goes on while the process is stopped, so who wakes up late asks
        if asked < self._sure_until:
            return True
        held = await hold(self._db, self._name, self._holder, seconds=self._seconds)
        self._sure_until = asked + self._seconds / 2 if held else float("-inf")
        return held
