"""What may be done to deliveries: record hand-overs, take a response, stop, and say what is proven."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Kind, Listed, Outgoing
from app.deliveries import handover, repository, responses, retry
from app.deliveries.callbacks import record_all, shown
from app.deliveries.failures import after_failure
from app.deliveries.handover import Result
from app.deliveries.states import NOT_DELIVERED, State
from app.deliveries.status import OVER
from app.kernel.db import rows, run
from app.kernel.house import House

BOARD_CHANNEL = repository.BOARD_CHANNEL
log = logging.getLogger("muster.deliveries")

tell_boards = repository.tell_boards


async def work_waits(house: House) -> bool:
    """Whether a worker that looks now finds anything to hand over, or to take from one that fell silent."""
    async with house.db.begin() as session:
        return await handover.work_waits(session, now=house.clock.now())


async def record_results(house: House, results: Sequence[Result]) -> None:
    """Writes hand-over results back, and what follows from the definite failures among them."""
    try:
        async with house.db.begin() as session:
            await _record(session, house, results)
    except IntegrityError:
        # One that the database refuses must not cost the others, nor be tried for ever.
        for result in results:
            await _record_alone(house, result)


async def _record_alone(house: House, result: Result) -> None:
    try:
        async with house.db.begin() as session:
            await _record(session, house, [result])
    except IntegrityError:
        log.error("attempt %s: the provider answered with the id of another message", result.attempt_id)
        reason = "the provider answered with the id of another message"
        async with house.db.begin() as session:
            # In one transaction: while it is unknown it could be taken for absent and sent again.
            await _record(session, house, [Result(result.attempt_id, result.fence, Kind.UNKNOWN.value, reason=reason)])
            await give_up_on(session, [result.attempt_id], now=house.clock.now())


async def _record(session: AsyncSession, house: House, results: Sequence[Result]) -> None:
    now = house.clock.now()
    ask_at = now + timedelta(seconds=house.settle_seconds)
    changed = await handover.write_back(session, results, now=now, ask_at=ask_at)
    for entry in changed:
        if State(entry["state"]) in NOT_DELIVERED:
            mail = entry["channel"] == "email"
            what = retry.refused_mail(entry["reason"]) if mail else retry.treatment(entry["error_code"])
            await after_failure(session, house, entry["id"], what, now)
    written = {entry["id"] for entry in changed}
    for result in results:
        if result.kind in ("fenced", "later") and result.attempt_id not in written:
            await _nothing_went_out(session, result, now=now)
    await tell_boards(session, [entry["id"] for entry in changed])


async def _nothing_went_out(session: AsyncSession, result: Result, *, now: datetime) -> None:
    """Our lease ended while we found out that nothing was handed over: the unknown that it left is settled by that."""
    ours = await run(
        session,
        "SELECT 1 FROM attempt WHERE id = :id AND state = 'unknown' AND fence = :fence FOR UPDATE",
        {"id": result.attempt_id, "fence": result.fence + 1},
    )
    if ours:
        await prove_absent(session, result.attempt_id, now=now)


async def prove_sent(session: AsyncSession, house: House, attempt_id: int, found: Listed) -> None:
    """The provider's own list shows the message: it counts as the callback that we missed."""
    await record_all(session, house, shown(attempt_id, found))


PATIENCE = 3
"""So many times the provider did not have it: whoever it is for is tried on the next channel beside."""


async def prove_absent(session: AsyncSession, attempt_id: int, *, now: datetime) -> bool:
    """The provider's list, proven readable, does not show it: this attempt is over and a new one follows at once.

    Where that happens again and again, the next step is due as well: the news does not wait for this provider.
    """
    ended = await run(
        session,
        """UPDATE attempt SET state = 'absent', reason = 'the provider does not have it', updated_at = :now
           WHERE id = :id AND state = 'unknown'""",
        {"id": attempt_id, "now": now},
    )
    if ended:
        await repository.try_again(session, attempt_id, not_before=now, now=now)
        entry = await repository.attempt(session, attempt_id)
        assert entry is not None
        if entry["seq"] + 1 >= PATIENCE and not await repository.later_step_taken(
            session, entry["delivery_id"], entry["rung"]
        ):
            await repository.go_on(session, [entry["delivery_id"]], now=now)
        await tell_boards(session, [attempt_id])
    return bool(ended)


async def give_up_on(session: AsyncSession, attempt_ids: Sequence[int], *, now: datetime) -> None:
    """Still unknown at the deadline: shown as uncertain, and the next step is due."""
    moved = await rows(
        session,
        """UPDATE attempt SET state = 'uncertain', updated_at = :now
           WHERE id = ANY(:ids) AND state = 'unknown' RETURNING id, delivery_id""",
        {"ids": list(attempt_ids), "now": now},
    )
    await repository.go_on(session, [entry["delivery_id"] for entry in moved], now=now)
    await tell_boards(session, [entry["id"] for entry in moved])


WORTH_SECONDS = float(Outgoing.validity_seconds)
"""News that waited so long in our own queue is not sent any more, as with the provider. Never scaled."""


async def stop_steps(session: AsyncSession, *, now: datetime) -> int:
    """Ends what nothing more may come of; returns how many ladders.

    Ladders of deliveries whose incident is closed, whose bulletin is cancelled, or whose person left; and attempts
    that waited in the queue for longer than their news is worth (quiet hours aside): their next step is due.
    """
    # Attempts first, as everybody does who changes both.
    expired = await rows(
        session,
        """WITH late AS (
             SELECT id FROM attempt WHERE state = 'queued' AND coalesce(held_until, created_at) <= :before
               AND (lease_until IS NULL OR lease_until < clock_timestamp())
             ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)
           UPDATE attempt a SET state = 'expired', reason = 'it waited too long to be sent', lease_until = NULL,
                  updated_at = :now
           FROM late WHERE a.id = late.id RETURNING a.id, a.delivery_id""",
        {"before": now - timedelta(seconds=WORTH_SECONDS), "now": now},
    )
    if expired:
        log.error("%d messages waited too long to be sent and were dropped", len(expired))
        await repository.go_on(session, [entry["delivery_id"] for entry in expired], now=now)
        await tell_boards(session, [entry["id"] for entry in expired])
    ended = await rows(
        session,
        # Where only telling others was left, nothing of the person's own is stopped: they stay as they are.
        f"""UPDATE delivery d SET next_rung = NULL, next_step_at = NULL, next_tell_rung = NULL, next_tell_at = NULL,
                  cancelled_at = CASE WHEN {OVER} AND d.next_rung IS NOT NULL
                    THEN coalesce(d.cancelled_at, :now) ELSE d.cancelled_at END,
                  cancel_reason = CASE WHEN {OVER} AND d.next_rung IS NOT NULL
                    THEN coalesce(d.cancel_reason, 'the incident is closed') ELSE d.cancel_reason END
           FROM delivery again LEFT JOIN bulletin b ON b.id = again.bulletin_id, incident i, person p
           WHERE (d.next_step_at <= :now OR d.next_tell_at <= :now) AND again.id = d.id
             AND i.id = d.incident_id AND p.id = d.person_id
             AND (coalesce(b.state <> 'sent', false) OR {OVER} OR NOT p.active) RETURNING d.id""",
        {"now": now},
    )
    return len(ended)


respond = responses.respond
