"""SQL of the mailbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Place
from app.kernel.db import row, run


async def place(session: AsyncSession, name: str) -> Place | None:
    """How far a mailbox was read."""
    found = await row(session, "SELECT uidvalidity, uid FROM mailbox_place WHERE name = :name", {"name": name})
    return Place(int(found["uidvalidity"]), int(found["uid"])) if found else None


async def read_to(session: AsyncSession, name: str, place: Place, *, now: datetime) -> None:
    """Goes on from here next time; never back, as long as it is the same mailbox."""
    await run(
        session,
        """INSERT INTO mailbox_place AS known (name, uidvalidity, uid, read_at) VALUES (:name, :validity, :uid, :now)
           ON CONFLICT (name) DO UPDATE SET uidvalidity = excluded.uidvalidity, read_at = excluded.read_at,
             uid = CASE WHEN known.uidvalidity = excluded.uidvalidity THEN greatest(known.uid, excluded.uid)
                        ELSE excluded.uid END""",
        {"name": name, "validity": place.validity, "uid": place.uid, "now": now},
    )


async def add(session: AsyncSession, *, key: str, kind: str, size: int, at: datetime, now: datetime) -> int | None:
    """Keeps that a mail came; None when it is known, which means that it was handled."""
    found = await row(
        session,
        """INSERT INTO received_mail (key, kind, outcome, size, at, taken_at)
           VALUES (:key, :kind, 'received', :size, :at, :now) ON CONFLICT (key) DO NOTHING RETURNING id""",
        {"key": key, "kind": kind, "size": size, "at": at, "now": now},
    )
    return int(found["id"]) if found else None


async def finish(
    session: AsyncSession, mail_id: int, *, outcome: str, reason: str | None = None, attempt_id: int | None = None,
    inbound_id: int | None = None,
) -> None:  # fmt: skip
    await run(
        session,
        """UPDATE received_mail SET outcome = :outcome, reason = :reason, attempt_id = :attempt, inbound_id = :inbound
           WHERE id = :id""",
        {"outcome": outcome, "reason": reason, "attempt": attempt_id, "inbound": inbound_id, "id": mail_id},
    )
