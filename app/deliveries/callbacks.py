"""Status callbacks: appended as facts, many in one commit, each attempt's state following from all of its facts.

Whoever calls `record` waits until the facts are committed. A batch is written at once; the next one forms while it
commits, so a flood of callbacks costs few commits and a single one costs no delay.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Listed
from app.deliveries import repository, retry
from app.deliveries.failures import after_failure
from app.deliveries.states import (
    NOT_DELIVERED,
    OPEN_TO_PROOF,
    PROVIDER_STATUSES,
    WORTH_ASKING,
    Fact,
    State,
    decided_by,
    settle,
)
from app.kernel.db import rows, run
from app.kernel.house import House

log = logging.getLogger("muster.callbacks")

AT_A_TIME = 500


@dataclass(frozen=True)
class Received:
    """One status as the provider told it, for the attempt that its callback address names."""

    attempt_id: int
    provider_message_id: str
    status: str
    error_code: int | None = None


def shown(attempt_id: int, found: Listed) -> list[Received]:
    """What the provider's own records show, as the callbacks that would have told it."""
    sid = found.provider_message_id
    told = [Received(attempt_id, sid, found.status, found.error_code)]
    return told + [Received(attempt_id, sid, status) for status in found.also]


_Waiting = tuple[Received, "asyncio.Future[None]"]


class CallbackWriter:
    """One a web process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def record(self, received: Received) -> None:
        """Returns when it is committed; raises what the commit raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((received, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_A_TIME], self._waiting[AT_A_TIME:]
            error = await self._commit(batch)
            if error is not None and _refused(error):
                # One that cannot be written must not cost the others, which may never come again; and what lost to
                # another transaction is written the second time.
                for one in batch:
                    _tell([one], await self._commit([one]))
            else:
                _tell(batch, error)

    async def _commit(self, batch: Sequence[_Waiting]) -> Exception | None:
        """Writes a batch; returns what went wrong, for those who wait and answer for it."""
        try:
            async with self._house.db.begin() as session:
                await record_all(session, self._house, [received for received, _ in batch])
        except Exception as error:
            return error
        return None


def _refused(error: Exception) -> bool:
    """Whether the database refused what we wrote, and is not simply away (classes 08, 53, 57, or no class at all)."""
    state: str = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return state != "" and state[:2] not in ("08", "53", "57")


def _tell(batch: Sequence[_Waiting], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


async def record_all(session: AsyncSession, house: House, received: Sequence[Received]) -> None:
    """Appends the facts that are new and lets the attempts' states follow.

    An unknown status is kept and logged for the operator; it moves nothing. A callback that names another message
    than the one accepted is refused and logged.
    """
    now = house.clock.now()
    locked = await repository.lock_attempts(session, [entry.attempt_id for entry in received])
    attempts: dict[int, RowMapping] = {entry["id"]: entry for entry in locked}
    owners = {
        entry["provider_message_id"]: entry["id"]
        for entry in await rows(
            session,
            "SELECT id, provider_message_id FROM attempt WHERE provider_message_id = ANY(:sids)",
            {"sids": [entry.provider_message_id for entry in received]},
        )
    }
    fitting = [
        one
        for one in received
        if _fits(attempts.get(one.attempt_id), one, owners.setdefault(one.provider_message_id, one.attempt_id))
    ]
    if not fitting:
        return
    added = await rows(
        session,
        """INSERT INTO callback (attempt_id, provider_message_id, status, error_code, received_at)
           SELECT c.attempt, c.sid, c.status, c.code, :now
           FROM unnest(CAST(:attempts AS bigint[]), CAST(:sids AS text[]), CAST(:statuses AS text[]),
                       CAST(:codes AS int[])) AS c (attempt, sid, status, code)
           ON CONFLICT DO NOTHING RETURNING attempt_id, provider_message_id, status""",
        {
            "attempts": [entry.attempt_id for entry in fitting],
            "sids": [entry.provider_message_id for entry in fitting],
            "statuses": [entry.status for entry in fitting],
            "codes": [entry.error_code for entry in fitting],
            "now": now,
        },
    )
    for entry in added:
        if entry["status"] not in PROVIDER_STATUSES:
            log.error("the provider reports a status that is not known here: %r", entry["status"][:40])
    touched = {entry["attempt_id"]: entry["provider_message_id"] for entry in added}
    if not touched:
        return
    facts: dict[int, list[Fact]] = defaultdict(list)
    for entry in await rows(
        session,
        "SELECT attempt_id, status, error_code FROM callback WHERE attempt_id = ANY(:ids)",
        {"ids": list(touched)},
    ):
        facts[entry["attempt_id"]].append(Fact(entry["status"], entry["error_code"]))
    states = {attempt_id: _state(attempts[attempt_id], facts[attempt_id]) for attempt_id in touched}
    treatments = {attempt_id: _treatment(facts[attempt_id]) for attempt_id in touched}
    await run(
        session,
        """UPDATE attempt a SET state = r.state, error_code = r.code, reason = r.reason, provider_message_id = r.sid,
                  accepted_at = coalesce(a.accepted_at, :now), lease_until = NULL, updated_at = :now,
                  ask_at = CASE WHEN r.state = ANY(:worth_asking)
                    THEN greatest(a.ask_at, CAST(:ask_at AS timestamptz)) END
           FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:codes AS int[]),
                       CAST(:reasons AS text[]), CAST(:sids AS text[])) AS r (id, state, code, reason, sid)
           WHERE a.id = r.id""",
        {
            "ids": list(touched),
            "states": [states[attempt_id][0] for attempt_id in touched],
            "codes": [states[attempt_id][1] for attempt_id in touched],
            "reasons": [
                treatments[attempt_id].reason if states[attempt_id][0] in NOT_DELIVERED else None
                for attempt_id in touched
            ],
            "sids": list(touched.values()),
            "now": now,
            "worth_asking": list(WORTH_ASKING),
            "ask_at": now + timedelta(seconds=house.settle_seconds),
        },
    )
    for attempt_id, (state, code) in states.items():
        before = attempts[attempt_id]
        if before["state"] == State.ABSENT:
            log.error("attempt %s: sent after all, though the provider's list did not show it", attempt_id)
        if state in NOT_DELIVERED and (before["state"], before["error_code"]) != (state, code):
            await after_failure(session, house, attempt_id, treatments[attempt_id], now)
    await repository.tell_boards(session, list(touched))


def _fits(attempt: RowMapping | None, received: Received, owner: int) -> bool:
    """`owner` is the attempt that the message id belongs to, or this one while it belongs to none."""
    if attempt is None:
        return False
    if attempt["provider_message_id"] not in (None, received.provider_message_id) or owner != received.attempt_id:
        log.error("attempt %s: a callback names another message than the one accepted", received.attempt_id)
        return False
    return True


def _treatment(facts: Sequence[Fact]) -> retry.Treatment:
    """What the decisive fact asks for, if it is a failure."""
    decisive = decided_by(facts)
    if decisive is None:
        return retry.treatment(None)
    return retry.treatment(decisive.error_code, decisive.status, PROVIDER_STATUSES[decisive.status].reason)


def _state(attempt: RowMapping, facts: Sequence[Fact]) -> tuple[State, int | None]:
    settled = settle(facts)
    if settled is not None:
        return settled
    # A status that we do not know still proves that they have the message.
    before = State(attempt["state"])
    return (State.ACCEPTED if before in OPEN_TO_PROOF else before), attempt["error_code"]
