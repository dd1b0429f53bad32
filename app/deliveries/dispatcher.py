"""Hands messages over: claim a batch, mark a small chunk, commit, write it to the provider, record what came of it.

No transaction is open while a provider is called. The lease is looked at again at the last moment, inside the
provider's transport, so that a worker that was paused and wakes up late writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import SQLAlchemyError

from app.bulletins import render
from app.channels.kinds import KINDS
from app.channels.port import Kind, Outcome, Outgoing, Provider, Providers
from app.deliveries import handover, pace, retry, service
from app.deliveries.handover import LEASE_SECONDS, Result
from app.deliveries.tempo import Tempo
from app.kernel.house import House
from app.notices.rules import together, unanswered

log = logging.getLogger("muster.dispatcher")

BATCH = 240

WAIT_FOR_SECONDS = 1.0
"""How long a lane waits for the last of its chunk before it goes on without them."""

GATHER_SECONDS = 0.03
"""Outcomes that come this close together are recorded together."""

MOST_SLOW = 24
"""How many chunks may have somebody still outstanding before lanes wait for them."""

KEEP_RESULTS_SECONDS = 300.0
"""How long results are kept for a database that does not answer."""


class Dispatcher:
    """One worker process's hand-over. `drain` works until nothing is due; what a channel is called for while it is at
    work is folded into that."""

    def __init__(self, house: House, providers: Providers, worker: str) -> None:
        self.house = house
        self.providers = providers
        self.worker = worker
        self._tempos = {channel: Tempo(channel) for channel in providers.channels}
        self._running = {channel: asyncio.Lock() for channel in providers.channels}
        self._again: set[str] = set()
        self._stopping = asyncio.Event()
        self._held: dict[int, tuple[int, float]] = {}  # attempt id -> (fence, monotonic end of lease)
        self._slow: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def drain(self) -> int:
        """Hands over everything that is due; returns how many provider calls were begun.

        Each channel goes on by itself, so that one that is slow keeps no other waiting, not even one that is called
        for later.
        """
        ended = await asyncio.gather(*map(self._channel, self._tempos), return_exceptions=True)
        return _sum(ended)

    async def _channel(self, channel: str) -> int:
        if self._running[channel].locked():
            self._again.add(channel)
            return 0
        calls = 0
        async with self._running[channel]:
            while not self._stopping.is_set():
                self._again.discard(channel)
                done = None if self._tempos[channel].resting else await self._batch(channel)
                calls += done or 0
                if done is None and channel not in self._again:
                    break
        return calls

    async def stop(self) -> None:
        """Takes nothing new; returns when what is under way is recorded."""
        self._stopping.set()
        for running in self._running.values():
            async with running:
                pass
        await asyncio.gather(*self._slow, return_exceptions=True)
        if self._renewing:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing

    async def _batch(self, channel: str) -> int | None:
        """Returns how many provider calls were begun; None when nothing was due."""
        tempo = self._tempos[channel]
        lanes = KINDS[channel].lanes
        asked = time.monotonic()
        limit = min(BATCH, lanes * tempo.chunk * 2) if tempo.slowed else BATCH
        if self._one_by_one(channel):
            limit = lanes * tempo.chunk
        async with self.house.db.begin() as session:
            claimed = await pace.claim(session, self.house, worker=self.worker, channel=channel, limit=limit)
        if not claimed:
            return None
        for attempt_id, fence in claimed:
            self._held[attempt_id] = (fence, asked + LEASE_SECONDS)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        chunks = [claimed[start : start + tempo.chunk] for start in range(0, len(claimed), tempo.chunk)]
        # A lane that fails must not cut short what the others have under way.
        ended = await asyncio.gather(
            *(self._lane(channel, chunks[lane::lanes]) for lane in range(min(lanes, len(chunks)))),
            return_exceptions=True,
        )
        return _sum(ended)

    def _one_by_one(self, channel: str) -> bool:
        """Whether messages wait for a conversation of their own, so that only few may be taken at a time: what waits
        inside could neither be stopped nor overtaken."""
        return not self.providers.by_channel[channel].capabilities.lists_messages

    async def _lane(self, channel: str, chunks: Sequence[Sequence[tuple[int, int]]]) -> int:
        calls = 0
        for place, chunk in enumerate(chunks):
            if wait := self._tempos[channel].wait:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait)
            if self._stopping.is_set() or self._tempos[channel].resting:
                rest = [entry for later in chunks[place:] for entry in later]
                self._let_go(entry[0] for entry in rest)
                async with self.house.db.begin() as session:
                    await handover.release(session, rest)
                break
            try:
                calls += await self._chunk(self.providers.by_channel[channel], chunk)
            except BaseException:
                self._let_go(entry[0] for later in chunks[place:] for entry in later)
                raise
        return calls

    def _let_go(self, attempt_ids: Iterable[int]) -> None:
        for attempt_id in attempt_ids:
            self._held.pop(attempt_id, None)

    async def _chunk(self, provider: Provider, chunk: Sequence[tuple[int, int]]) -> int:
        asked = time.monotonic()
        within = self._tempos[provider.channel].write_within
        async with self.house.db.begin() as session:
            marked = await handover.mark_handing_over(
                session, chunk, now=self.house.clock.now(), write_within=within, countries=self.house.countries
            )
            await service.tell_boards(session, [entry[0] for entry in chunk])
        taken = {entry["id"] for entry in marked}
        self._let_go(entry[0] for entry in chunk if entry[0] not in taken)
        # How closely the time of an unknown call is known counts only where the provider's records are read later.
        # Elsewhere the lease is enough: a mail may wait for its connection, and for a server that takes its time.
        one_by_one = self._one_by_one(provider.channel)
        write_by = math.inf if one_by_one else asked + within
        sends = {asyncio.create_task(self._send(provider, entry, write_by)): entry for entry in marked}
        recording = asyncio.create_task(self._record_as_they_end(provider.channel, sends))
        # Whoever takes long is waited for in the background, so that one silent call holds nobody else up. When many
        # are silent the lane waits after all: then it is the provider, and more calls would not help.
        wait_for_all = one_by_one or len(self._slow) >= MOST_SLOW
        if not wait_for_all:
            await asyncio.wait({recording}, timeout=WAIT_FOR_SECONDS)
        if wait_for_all or recording.done():
            await recording
        else:
            self._slow.add(recording)
            recording.add_done_callback(self._slow_ended)
        return len(marked)

    def _slow_ended(self, recording: asyncio.Task[None]) -> None:
        self._slow.discard(recording)
        if not recording.cancelled() and (error := recording.exception()):
            log.error("results could not be recorded: %s", type(error).__name__)

    async def _record_as_they_end(self, channel: str, sends: dict[asyncio.Task[Outcome], RowMapping]) -> None:
        """Records the outcomes of a chunk, those that end together in one statement."""
        pending = set(sends)
        seen: list[Outcome] = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if pending:
                more, pending = await asyncio.wait(pending, timeout=GATHER_SECONDS)
                done |= more
            pairs = [(sends[task], task.result()) for task in done]
            seen += [outcome for _, outcome in pairs]
            self._tempos[channel].learn([outcome for _, outcome in pairs], seen, of=len(sends))
            try:
                await self._record(pairs)
            finally:
                self._let_go(entry["id"] for entry, _ in pairs)

    async def _send(self, provider: Provider, entry: RowMapping, write_by: float) -> Outcome:
        begun = False

        def still_ours() -> bool:
            nonlocal begun
            if self._stopping.is_set() and not begun:
                return False
            now = time.monotonic()
            fence, lease_ends = self._held.get(entry["id"], (-1, 0.0))
            if fence != entry["fence"] or now >= lease_ends - 1.0:
                return False
            # Only the beginning is bound to the mark; a body may follow its headers later, inside the lease.
            if not begun and now > write_by:
                return False
            begun = True
            return True

        try:
            outgoing = self._outgoing(entry)
            if not provider.capabilities.lists_messages:
                outgoing = replace(outgoing, begin=partial(self._begin, entry["id"], entry["fence"]))
            return await provider.send(outgoing, still_ours)
        except Exception:  # a provider's fault that it did not name itself: they may have it
            log.exception("unexpected fault while handing over attempt %s", entry["id"])
            return Outcome(Kind.UNKNOWN, reason="an unexpected fault during the hand-over")

    async def _begin(self, attempt_id: int, fence: int) -> bool:
        try:
            async with self.house.db.begin() as session:
                return await handover.begin(session, attempt_id, fence)
        except (SQLAlchemyError, OSError):
            return False  # not noted, so not sent

    def _outgoing(self, entry: RowMapping) -> Outgoing:
        link = self.house.link(entry["delivery_id"])
        token = self.house.signer.attempt_token(entry["id"])
        webhooks = f"{self.house.base_url}/webhooks/twilio"
        callback = f"{webhooks}/status/{token}"
        if entry["channel"] == "voice":
            said = render.voice(body=entry["text"], drill=entry["drill"])
            answer = f"{webhooks}/voice/{token}"
            return Outgoing(
                entry["id"], token, entry["address"], said, callback_url=f"{answer}/status", answer_url=answer
            )
        if entry["lines"] is not None:
            # Who has answered since the notice was made is no longer named.
            said = unanswered(entry["silent"], entry["title"]) if entry["silent"] else together(entry["lines"])
            if entry["channel"] == "email":
                mail = render.notice_email(subject=entry["subject"], body=said, link=link, drill=entry["drill"])
                return Outgoing(entry["id"], token, entry["address"], mail.text, subject=mail.subject, html=mail.html)
            text = render.notice_sms(body=said, link=link, drill=entry["drill"])
            return Outgoing(entry["id"], token, entry["address"], text, callback_url=callback)
        if entry["channel"] == "email":
            mail = render.email(
                subject=entry["subject"] or "", body=entry["text"], link=link, code=entry["code"], drill=entry["drill"]
            )
            return Outgoing(entry["id"], token, entry["address"], mail.text, subject=mail.subject, html=mail.html)
        return Outgoing(
            entry["id"],
            token,
            entry["address"],
            render.sms(body=entry["text"], link=link, code=entry["code"], drill=entry["drill"]),
            callback_url=callback,
        )

    async def _record(self, pairs: list[tuple[RowMapping, Outcome]]) -> None:
        now = self.house.clock.now()
        results = []
        for entry, outcome in pairs:
            wait = None
            if outcome.kind is Kind.LATER:
                seconds = max(outcome.retry_after or 0.0, retry.back_off(entry["tries"])) * random.uniform(1.0, 1.3)
                wait = now + timedelta(seconds=seconds)
            results.append(
                Result(
                    entry["id"], entry["fence"], outcome.kind.value, outcome.provider_message_id, outcome.error_code,
                    outcome.reason, wait,
                )
            )  # fmt: skip
        await self._until_written(lambda: service.record_results(self.house, results))

    async def _until_written(self, write: Callable[[], object]) -> None:
        """What the provider told us is not lost because the database is away: kept and tried again for a while."""
        ends = time.monotonic() + KEEP_RESULTS_SECONDS
        wait = 0.2
        while True:
            try:
                await write()  # type: ignore[misc]
                return
            except (SQLAlchemyError, OSError):
                if time.monotonic() > ends:
                    raise
                log.warning("results cannot be recorded yet; trying again")
            await asyncio.sleep(wait)
            wait = min(2.0, wait * 2)

    async def _renew(self) -> None:
        """Keeps our leases while work is under way. What cannot be renewed ends by itself."""
        while self._held:
            await asyncio.sleep(LEASE_SECONDS / 3)
            held = [(attempt_id, fence) for attempt_id, (fence, _ends) in self._held.items()]
            if not held:
                break
            asked = time.monotonic()
            try:
                async with self.house.db.begin() as session:
                    still = await handover.renew(session, held)
            except (SQLAlchemyError, OSError):
                log.warning("leases cannot be renewed: the database does not answer")
                continue
            for attempt_id, fence in held:
                if attempt_id in self._held and self._held[attempt_id][0] == fence:
                    # No longer in `still`: recorded already, or taken from us.
                    self._held[attempt_id] = (fence, asked + LEASE_SECONDS if attempt_id in still else 0.0)


def _sum(ended: Sequence[int | BaseException]) -> int:
    for result in ended:
        if isinstance(result, BaseException):
            raise result
    return sum(result for result in ended if isinstance(result, int))
