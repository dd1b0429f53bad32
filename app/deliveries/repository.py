"""SQL of deliveries and their attempts, one or many at a time; that of the hand-over is in handover.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import telling
from app.kernel.db import row, rows, run


async def go_on(session: AsyncSession, delivery_ids: Sequence[int], *, now: datetime) -> None:
    """A step has definitely failed: the next channel is due now, and where there is none, telling somebody else."""
    await run(
        session,
        """UPDATE delivery SET next_step_at = :now
           WHERE id = ANY(:ids) AND next_rung IS NOT NULL AND response IS NULL AND cancelled_at IS NULL
             AND next_step_at > :now""",
        {"ids": list(delivery_ids), "now": now},
    )
    await telling.hasten(session, delivery_ids, now=now)


BOARD_CHANNEL = "muster_board"


async def tell_boards(session: AsyncSession, attempt_ids: Sequence[int]) -> None:
    """Wakes whoever watches the bulletins that these attempts belong to, when the transaction commits."""
    if not attempt_ids:
        return
    await run(
        session,
        """SELECT pg_notify(:channel, told.id::text) FROM (
             SELECT DISTINCT d.bulletin_id AS id FROM attempt a JOIN delivery d ON d.id = a.delivery_id
             WHERE a.id = ANY(:ids) AND d.bulletin_id IS NOT NULL) told""",
        {"channel": BOARD_CHANNEL, "ids": list(attempt_ids)},
    )


async def lock_attempts(session: AsyncSession, attempt_ids: Sequence[int]) -> Sequence[RowMapping]:
    """Locks attempts in the order of their ids, as everybody who changes several does: so nobody waits in a ring."""
    return await rows(
        session,
        "SELECT * FROM attempt WHERE id = ANY(:ids) ORDER BY id FOR UPDATE",
        {"ids": list(attempt_ids)},
    )


async def still_unknown(session: AsyncSession, attempt_id: int) -> bool:
    """Whether nobody has settled it meanwhile; nobody else can until the transaction ends."""
    return bool(
        await run(session, "SELECT 1 FROM attempt WHERE id = :id AND state = 'unknown' FOR UPDATE", {"id": attempt_id})
    )


async def try_again(session: AsyncSession, attempt_id: int, *, not_before: datetime, now: datetime) -> None:
    """A new attempt, with a new token, on the same step and address. It is the same news, as old as that."""
    await run(
        session,
        """INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, parts, not_before, fence,
                                tries, created_at, updated_at)
           SELECT delivery_id, rung, seq + 1, channel, address, 'queued', priority, parts, :not_before, 0, 0,
                  coalesce(held_until, created_at), :now
           FROM attempt WHERE id = :id ON CONFLICT (delivery_id, rung, seq) DO NOTHING""",
        {"id": attempt_id, "not_before": not_before, "now": now},
    )


async def failed_before(session: AsyncSession, delivery_id: int, rung: int, seq: int) -> int:
    """How many earlier attempts of this step failed; one that the provider never had is none."""
    found = await row(
        session,
        """SELECT count(*) AS n FROM attempt
           WHERE delivery_id = :delivery AND rung = :rung AND seq < :seq AND state <> 'absent'""",
        {"delivery": delivery_id, "rung": rung, "seq": seq},
    )
    return int(found["n"]) if found else 0


async def later_step_taken(session: AsyncSession, delivery_id: int, rung: int) -> bool:
    return bool(
        await row(
            session,
            "SELECT 1 AS one FROM attempt WHERE delivery_id = :delivery AND rung > :rung LIMIT 1",
            {"delivery": delivery_id, "rung": rung},
        )
    )


async def attempt(session: AsyncSession, attempt_id: int, *, lock: bool = False) -> dict[str, Any] | None:
    found = await row(
        session,
        f"SELECT * FROM attempt WHERE id = :id {'FOR UPDATE' if lock else ''}",
        {"id": attempt_id},
    )
    return dict(found) if found else None


async def explain(session: AsyncSession, attempt_id: int, reason: str, state: str) -> None:
    """Says more of why an attempt is in this state, unless it is in another one by now."""
    await run(
        session,
        "UPDATE attempt SET reason = :reason WHERE id = :id AND state = :state",
        {"reason": reason, "id": attempt_id, "state": state},
    )


async def mail_of(session: AsyncSession, delivery_id: int) -> int | None:
    """The last mail of a delivery that left, or may have."""
    found = await row(
        session,
        """SELECT id FROM attempt WHERE delivery_id = :delivery AND channel = 'email' AND begun_at IS NOT NULL
           ORDER BY id DESC LIMIT 1""",
        {"delivery": delivery_id},
    )
    return int(found["id"]) if found else None
