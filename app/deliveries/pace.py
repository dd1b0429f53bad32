"""How fast a sender may send, for all workers together: its rate, and its cap for a day. Truth is in the database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.bulletins import service as bulletins
from app.bulletins.figures import BULK_SHARE
from app.deliveries import handover, repository
from app.deliveries.repository import tell_boards
from app.kernel.db import row, rows, run
from app.kernel.house import House
from app.kernel.locks import Lock

log = logging.getLogger("muster.pace")

BULK = 5
"""The priority of what goes to everybody; whatever is more urgent has a lower number."""

LONGEST = 25
"""No text has so many parts (Twilio takes 1,600 characters): until less than that is left of a cap, all that is
queued fits."""

CAP_REACHED = 63038
"""Twilio's own code for an account whose day is used up: ours means the same, and the same follows."""


@dataclass(frozen=True)
class Room:
    """What a day's cap leaves: parts in all, parts for bulk, and the priority before which alone anything may go."""

    left: int | None = None
    for_bulk: float | None = None
    before: int | None = None


async def claim(session: AsyncSession, house: House, *, worker: str, channel: str, limit: int) -> list[tuple[int, int]]:
    """Leases queued attempts, the most urgent first, no more than the sender's rate allows now: (attempt id, fence)."""
    now = house.clock.now()
    rate, cap = (house.sms_a_second, house.sms_a_day) if channel == "sms" else (None, None)
    room = await _room_today(session, cap, now) if cap is not None else Room()
    bounds = [bound for bound in (room.for_bulk,) if bound is not None]
    if rate is not None:
        bounds.append(await _refill(session, channel, rate))
    parts = min(bounds, default=None)
    if room.left == 0 or (parts is not None and parts <= 0):
        return []
    claimed = await handover.claim(
        session,
        worker=worker,
        channel=channel,
        limit=limit,
        parts=parts,
        at_most=room.left,
        before=room.before,
        now=now,
    )
    if rate is not None and claimed:
        await run(
            session,
            "UPDATE pace SET tokens = tokens - :parts WHERE channel = :channel",
            {"channel": channel, "parts": sum(entry["parts"] for entry in claimed)},
        )
    return [(entry["id"], entry["fence"]) for entry in claimed]


async def _refill(session: AsyncSession, channel: str, rate: float) -> float:
    """How many parts may go now. The row stays locked until the claim is made: one worker at a time.

    Never more than a second's worth is saved up, or one part; a message of several parts may leave a debt.
    """
    found = await row(
        session,
        """INSERT INTO pace AS p (channel, tokens, at) VALUES (:channel, greatest(1, :rate), clock_timestamp())
           ON CONFLICT (channel) DO UPDATE SET at = clock_timestamp(),
             tokens = least(greatest(1, :rate), p.tokens + :rate * extract(epoch FROM clock_timestamp() - p.at))
           RETURNING tokens""",
        {"channel": channel, "rate": rate},
    )
    assert found is not None
    return float(found["tokens"])


async def _room_today(session: AsyncSession, cap: int, now: datetime) -> Room:
    """What may still go today; one worker asks at a time.

    Once the bulk's share is used up, what goes to everybody takes the next channel instead; the urgent keep the rest,
    as far as it is long enough for them.
    """
    await run(session, "SELECT pg_advisory_xact_lock(:lock)", {"lock": Lock.CAP.value})
    left, for_bulk = await _left_today(session, cap, now)
    if for_bulk > 0 and left >= LONGEST:
        return Room(left, for_bulk)
    waiting = await rows(
        session,
        """SELECT id, priority, parts FROM attempt WHERE state = 'queued' AND channel = 'sms' AND not_before <= :now
             AND (priority >= :bulk OR parts > :left) AND (lease_until IS NULL OR lease_until < clock_timestamp())
           ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED""",
        {"now": now, "bulk": BULK, "left": left},
    )
    # Counted again, now that those are held: what came back to the queue unsent meanwhile was counted as gone.
    left, for_bulk = await _left_today(session, cap, now)
    dropped = await rows(
        session,
        """UPDATE attempt SET state = 'suppressed', error_code = :code, lease_until = NULL, updated_at = :now,
                  reason = 'the cap on texts a day is reached'
           WHERE id = ANY(:ids) RETURNING id, delivery_id""",
        {
            "ids": [
                entry["id"]
                for entry in waiting
                if entry["parts"] > left or (for_bulk <= 0 and entry["priority"] >= BULK)
            ],
            "now": now, "code": CAP_REACHED,
        },
    )  # fmt: skip
    if dropped:
        log.error("the cap on texts a day is reached: %d people are tried on the next channel", len(dropped))
        await repository.go_on(session, [entry["delivery_id"] for entry in dropped], now=now)
        await tell_boards(session, [entry["id"] for entry in dropped])
    return Room(left, for_bulk) if for_bulk > 0 else Room(left, before=BULK)


async def _left_today(session: AsyncSession, cap: int, now: datetime) -> tuple[int, float]:
    """(parts that are left of the cap, parts that are left for bulk)."""
    gone = await bulletins.parts_today(session, now=now)
    return max(0, cap - gone), cap * BULK_SHARE - gone
