"""What may be done to deliveries: record hand-overs and callbacks, take a response, stop, and say what is proven."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Listed
from app.deliveries import repository, responses, retry
from app.deliveries.repository import Result
from app.deliveries.states import NOT_DELIVERED, OPEN_TO_PROOF, PROVIDER_STATUSES, Fact, State, settle
from app.directory import service as directory
from app.kernel.db import notify, rows, run
from app.kernel.house import House

log = logging.getLogger("muster.deliveries")

BOARD_CHANNEL = "muster_board"


async def tell_boards(session: AsyncSession, attempt_ids: Sequence[int]) -> None:
    """Wakes whoever watches the bulletins that these attempts belong to."""
    for bulletin_id in await repository.bulletins_of(session, attempt_ids):
        await notify(session, BOARD_CHANNEL, str(bulletin_id))


async def record_results(house: House, results: Sequence[Result]) -> None:
    """Writes hand-over results back, and what follows from the definite failures among them."""
    now = house.clock.now()
    async with house.db.begin() as session:
        changed = await repository.write_back(session, results, now=now)
        for entry in changed:
            if State(entry["state"]) in NOT_DELIVERED:
                await _after_failure(session, house, entry["id"], entry["error_code"], now)
        await tell_boards(session, [entry["id"] for entry in changed])


async def record_callback(
    session: AsyncSession, house: House, *, attempt_id: int, provider_message_id: str, status: str, error_code: int | None
) -> bool:
    """Appends a status as a fact and lets the attempt's state follow. False when it was known, or names no attempt.

    An unknown status is kept and logged for the operator; it moves nothing.
    """
    now = house.clock.now()
    before = await repository.attempt(session, attempt_id, lock=True)
    if before is None:
        return False
    if before["provider_message_id"] not in (None, provider_message_id):
        log.error("attempt %s: a callback names another message than the one accepted", attempt_id)
        return False
    added = await rows(
        session,
        """INSERT INTO callback (attempt_id, provider_message_id, status, error_code, received_at)
           VALUES (:attempt, :sid, :status, :code, :now) ON CONFLICT DO NOTHING RETURNING id""",
        {"attempt": attempt_id, "sid": provider_message_id, "status": status, "code": error_code, "now": now},
    )
    if not added:
        return False
    if status not in PROVIDER_STATUSES:
        log.error("attempt %s: the provider reports a status that is not known here: %r", attempt_id, status)
    await _settle(session, house, attempt_id, before["state"], provider_message_id, now)
    return True


async def _settle(
    session: AsyncSession, house: House, attempt_id: int, state_before: str, provider_message_id: str, now: datetime
) -> None:
    facts = await rows(session, "SELECT status, error_code FROM callback WHERE attempt_id = :id", {"id": attempt_id})
    settled = settle(Fact(entry["status"], entry["error_code"]) for entry in facts)
    if settled is None:
        # A status that we do not know still proves that they have the message.
        settled = (State.ACCEPTED if State(state_before) in OPEN_TO_PROOF else State(state_before), None)
    state, code = settled
    reason = retry.treatment(code).reason if state in NOT_DELIVERED else None
    await run(
        session,
        """UPDATE attempt SET state = :state, error_code = :code, reason = :reason,
                  provider_message_id = :sid, accepted_at = coalesce(accepted_at, :now),
                  lease_until = CASE WHEN state = 'handing_over' THEN lease_until END, updated_at = :now
           WHERE id = :id""",
        {"state": state, "code": code, "reason": reason, "sid": provider_message_id, "now": now, "id": attempt_id},
    )
    if state in NOT_DELIVERED and state_before != state:
        await _after_failure(session, house, attempt_id, code, now)
    await tell_boards(session, [attempt_id])


async def _after_failure(
    session: AsyncSession, house: House, attempt_id: int, code: int | None, now: datetime
) -> None:
    """What follows from a definite failure: flag the address, try it once more, go on with the ladder."""
    entry = await repository.attempt(session, attempt_id)
    assert entry is not None
    treatment = retry.treatment(code)
    if treatment.alarm:
        log.error("the provider refuses: %s (code %s)", treatment.reason, code)
    if treatment.flag and entry["channel"] != "email":
        await directory.suppress(session, entry["address"], entry["channel"], treatment.flag, now)
    if treatment.retries > entry["seq"] and State(entry["state"]) is not State.REJECTED:
        wait = timedelta(seconds=retry.RETRY_AFTER_SECONDS / house.time_scale)
        await try_again(session, attempt_id, not_before=now + wait, now=now)
    if treatment.next_channel or treatment.retries <= entry["seq"]:
        await repository.go_on(session, [entry["delivery_id"]], now=now)


async def try_again(session: AsyncSession, attempt_id: int, *, not_before: datetime, now: datetime) -> None:
    """A new attempt, with a new token, on the same step and address."""
    await run(
        session,
        """INSERT INTO attempt (delivery_id, rung, seq, channel, address, state, priority, not_before, fence, tries,
                                created_at, updated_at)
           SELECT delivery_id, rung, seq + 1, channel, address, 'queued', priority, :not_before, 0, 0, :now, :now
           FROM attempt WHERE id = :id ON CONFLICT (delivery_id, rung, seq) DO NOTHING""",
        {"id": attempt_id, "not_before": not_before, "now": now},
    )


async def prove_sent(session: AsyncSession, house: House, attempt_id: int, found: Listed) -> None:
    """The provider's own list shows the message: it counts as the callback that we missed."""
    await record_callback(
        session, house, attempt_id=attempt_id, provider_message_id=found.provider_message_id,
        status=found.status, error_code=found.error_code,
    )  # fmt: skip


async def prove_absent(session: AsyncSession, attempt_id: int, *, now: datetime) -> bool:
    """The provider's list, proven readable, does not show it: this attempt is over and a new one follows at once."""
    ended = await run(
        session,
        """UPDATE attempt SET state = 'absent', reason = 'the provider does not have it', updated_at = :now
           WHERE id = :id AND state = 'unknown'""",
        {"id": attempt_id, "now": now},
    )
    if ended:
        await try_again(session, attempt_id, not_before=now, now=now)
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


async def stop_steps(session: AsyncSession, *, now: datetime) -> int:
    """Ends the ladders of deliveries that nothing more may come of: incident closed, bulletin cancelled, person left."""
    ended = await rows(
        session,
        """UPDATE delivery d SET next_rung = NULL, next_step_at = NULL
           FROM bulletin b, incident i, person p
           WHERE d.next_step_at <= :now AND b.id = d.bulletin_id AND i.id = d.incident_id AND p.id = d.person_id
             AND (b.state <> 'sent' OR i.closed_at IS NOT NULL OR NOT p.active) RETURNING d.id""",
        {"now": now},
    )
    return len(ended)


respond = responses.respond


def known_statuses() -> Iterable[str]:
    """The provider's status words that move an attempt."""
    return PROVIDER_STATUSES
