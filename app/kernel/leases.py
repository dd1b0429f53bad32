"""Which worker does a job that one at a time should do. A lease in a table, so that a frozen holder loses it."""

from __future__ import annotations

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
