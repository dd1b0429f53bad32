"""How fast a sender may send, for all workers together: its rate, and its cap for a day. Truth is in the database."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.bulletins import service as bulletins
from app.bulletins.figures import BULK_SHARE
from app.deliveries import repository
from app.deliveries.repository import tell_boards
from app.kernel.db import row, rows, run
from app.kernel.house import House

log = logging.getLogger("muster.pace")

BULK = 5
"""The priority of what goes to everybody; whatever is more urgent has a lower number."""

_CAP_LOCK = 727472005

CAP_REACHED = 63038
"""Twilio's own code for an account whose day is used up: ours means the same, and the same follows."""


async def claim(session: AsyncSession, house: House, *, worker: str, channel: str, limit: int) -> list[tuple[int, int]]:
    """Leases queued attempts, the most urgent first, no more than the sender's rate allows now: (attempt id, fence)."""
    now = house.clock.now()
    rate, cap = (house.sms_a_second, house.sms_a_day) if channel == "sms" else (None, None)
    bounds = []
    if cap is not None:
        bounds.append(await _room_today(session, cap, now))
    if rate is not None:
        bounds.append(await _refill(session, channel, rate))
    parts = min(bounds, default=None)
    if parts is not None and parts <= 0:
        return []
    claimed = await repository.claim(session, worker=worker, channel=channel, limit=limit, parts=parts, now=now)
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


async def _room_today(session: AsyncSession, cap: int, now: datetime) -> float:
    """How many parts may still go today; one worker asks at a time.

    Once the bulk's share is used up, what goes to everybody takes the next channel instead; the urgent keep the rest.
    """
    await run(session, "SELECT pg_advisory_xact_lock(:lock)", {"lock": _CAP_LOCK})
    gone = await bulletins.parts_today(session, now=now)
    if gone < cap * BULK_SHARE:
        return cap * BULK_SHARE - gone
    dropped = await rows(
        session,
        """WITH over AS (
             SELECT id FROM attempt WHERE state = 'queued' AND channel = 'sms' AND not_before <= :now
               AND (priority >= :bulk OR :all) AND (lease_until IS NULL OR lease_until < clock_timestamp())
             ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)
           UPDATE attempt a SET state = 'suppressed', error_code = :code, lease_until = NULL, updated_at = :now,
                  reason = 'the cap on texts a day is reached'
           FROM over WHERE a.id = over.id RETURNING a.id, a.delivery_id""",
        {"now": now, "bulk": BULK, "all": gone >= cap, "code": CAP_REACHED},
    )
    if dropped:
        log.error("the cap on texts a day is reached: %d people are tried on the next channel", len(dropped))
        await repository.go_on(session, [entry["delivery_id"] for entry in dropped], now=now)
        await tell_boards(session, [entry["id"] for entry in dropped])
    return float(cap - gone)
