"""What follows from a definite failure: flag the address, try once more, go on with the ladder."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.kinds import KINDS
from app.deliveries import repository, retry, telling
from app.deliveries.retry import Treatment
from app.deliveries.states import State
from app.directory import service as directory
from app.kernel.house import House

log = logging.getLogger("muster.failures")


async def after_failure(
    session: AsyncSession, house: House, attempt_id: int, treatment: Treatment, now: datetime
) -> None:
    """Does what `retry` says, for an attempt that has failed for good. Safe to repeat."""
    entry = await repository.attempt(session, attempt_id)
    assert entry is not None
    if treatment.alarm and KINDS[entry["channel"]].rings:
        log.error("the provider refuses: %s (code %s)", treatment.reason, entry["error_code"])
    if treatment.flag:
        await directory.suppress(session, entry["address"], entry["channel"], treatment.flag, now)
    failed = await repository.failed_before(session, entry["delivery_id"], entry["rung"], entry["seq"])
    again = treatment.retries > failed and State(entry["state"]) is not State.REJECTED
    if again:
        wait = timedelta(seconds=retry.RETRY_AFTER_SECONDS / house.time_scale)
        await repository.try_again(session, attempt_id, not_before=now + wait, now=now)
    # Where a later step was taken already, its successor keeps its own time.
    if (treatment.next_channel or not again) and not await repository.later_step_taken(
        session, entry["delivery_id"], entry["rung"]
    ):
        await repository.go_on(session, [entry["delivery_id"]], now=now)
    else:
        await telling.hasten(session, [entry["delivery_id"]], now=now)
