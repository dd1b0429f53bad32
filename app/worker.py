"""The worker: hands messages over, takes due steps, settles what is unknown. Start as many as you like."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable

from procrastinate import App

from app.channels.port import Mailbox, Providers
from app.compose import Program, keep_database, make_mailbox, make_providers, make_watch, open_program
from app.deliveries import service as deliveries
from app.deliveries.asking import Asking
from app.deliveries.dispatcher import Dispatcher
from app.deliveries.reconciler import Reconciler
from app.deliveries.sending import DISPATCH_JOB
from app.escalations.timer import Timer
from app.kernel.clock import DatabaseClock
from app.kernel.leases import Turn
from app.mailbox.reader import Reader
from app.readiness import service as readiness
from app.replies.lost import LostTexts
from app.settings import Settings

log = logging.getLogger("muster.worker")

SWEEP_SECONDS = 0.5
STEP_SECONDS = 1.0
ASK_SECONDS = 1.0
BEAT_SECONDS = 5.0
PROBE_SECONDS = 10.0
TIDY_SECONDS = 60.0
LOST_SECONDS = 60.0
MAIL_SECONDS = 3.0
LEADER_SECONDS = 5.0
STALLED_SECONDS = 30
DRAIN_SECONDS = 8.0
"""Of the ten that whoever stops us waits: what is left is for the engine and the connections."""


class Worker:
    """One process's loops. Each survives any fault by starting its next round; the database may come and go."""

    def __init__(self, program: Program, providers: Providers, mailbox: Mailbox | None = None) -> None:
        self.house = program.house
        self.jobs = program.jobs_app
        self.embedded = program.embedded
        self.providers = providers
        self.senders = readiness.Senders()
        self.name = f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.dispatcher = Dispatcher(self.house, providers, self.name)
        self.timer = Timer(self.house)
        self.reconciler = Reconciler(self.house, providers)
        self.asking = Asking(self.house, providers)
        self.lost_texts = LostTexts(self.house, providers)
        self.mailbox = mailbox
        self.reader = Reader(self.house, mailbox, program.settings.mail_senders) if mailbox else None
        self.watch = make_watch(program, providers, self.name)
        self._timer_turn = self._turn("timer", LEADER_SECONDS)
        self._reconciler_turn = self._turn("reconciler", LEADER_SECONDS * 4)
        self._lost_turn = self._turn("lost texts", min(LEADER_SECONDS * 4, self._lost_seconds * 2))
        self._mail_turn = self._turn("mailbox", LEADER_SECONDS * 4)
        self._probe_turn = self._turn("probe", PROBE_SECONDS * 2)
        self._draining: set[asyncio.Task[int]] = set()
        register(self.jobs, self._wake)

    def _turn(self, job: str, seconds: float) -> Turn:
        return Turn(self.house.db, job, self.name, seconds=seconds)

    async def _wake(self) -> None:
        await self.dispatcher.drain()

    async def run(self, stop: asyncio.Event) -> None:
        loops = [
            asyncio.create_task(self._every(SWEEP_SECONDS, self._sweep), name="sweep"),
            asyncio.create_task(self._every(STEP_SECONDS, self._time), name="timer"),
            asyncio.create_task(self._every(STEP_SECONDS, self._reconcile), name="reconciler"),
            asyncio.create_task(self._every(ASK_SECONDS, self._ask), name="asking"),
            asyncio.create_task(self._every(BEAT_SECONDS, self._beat), name="beat"),
            asyncio.create_task(self._every(PROBE_SECONDS, self._probe), name="probe"),
            asyncio.create_task(self._every(self._lost_seconds, self._find_lost), name="lost texts"),
            asyncio.create_task(self._every(MAIL_SECONDS, self._read_mail), name="mailbox"),
            asyncio.create_task(self.watch.run(), name="watch"),
            asyncio.create_task(self._engine(), name="engine"),
            asyncio.create_task(keep_database(self.embedded), name="database"),
        ]
        await stop.wait()
        log.info("stopping: finishing what is under way")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.dispatcher.stop()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        with contextlib.suppress(Exception):  # a heartbeat that stays behind ends by itself
            await readiness.gone(self.house, self.name)
        await self.providers.close()
        if self.mailbox:
            await self.mailbox.close()

    async def _every(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        wait = seconds
        while True:
            try:
                await step()
                wait = seconds
            except Exception as error:  # whatever it was, the next round tries again
                log.warning("%s failed, trying again: %s: %s", step.__name__, type(error).__name__, error)
                wait = min(5.0, wait * 2)
            await asyncio.sleep(wait)

    async def _sweep(self) -> None:
        """Finds work that no job woke us for: retries that are due, leases that ended, jobs that were lost."""
        if not await deliveries.work_waits(self.house):
            return
        task = asyncio.create_task(self.dispatcher.drain())
        self._draining.add(task)
        task.add_done_callback(self._drained)
        await self.reconciler.expire()

    def _drained(self, task: asyncio.Task[int]) -> None:
        self._draining.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("handing over failed, trying again: %s: %s", type(error).__name__, error)

    async def _time(self) -> None:
        if await self._timer_turn.ours():
            await self.timer.step()

    async def _reconcile(self) -> None:
        # Waits for the provider, so it has a loop of its own and never holds the timer up.
        while await self._reconciler_turn.ours():
            moved = await self.reconciler.step()
            if not moved or not self.reconciler.more:
                break

    async def _ask(self) -> None:
        await self.asking.step()

    @property
    def _lost_seconds(self) -> float:
        """A text is looked for once it is older than the settling time, so looking more often finds no more."""
        return min(LOST_SECONDS, self.house.settle_seconds)

    async def _find_lost(self) -> None:
        if await self._lost_turn.ours():
            await self.lost_texts.step()

    async def _read_mail(self) -> None:
        if self.reader and await self._mail_turn.ours():
            await self.reader.step()

    async def _beat(self) -> None:
        if isinstance(self.house.clock, DatabaseClock):
            await self.house.clock.calibrate(self.house.db)
        await readiness.beat(self.house, self.name)

    async def _probe(self) -> None:
        if await self._probe_turn.ours():
            await readiness.probe(self.house, self.providers, self.senders)

    async def _engine(self) -> None:
        """Keeps the job engine running: it ends when its database does, and is started again."""
        while True:
            try:
                async with self.jobs.open_async():
                    tidy = asyncio.create_task(self._every(TIDY_SECONDS, self._tidy))
                    try:
                        await self.jobs.run_worker_async(
                            name=self.name,
                            concurrency=4,
                            install_signal_handlers=False,
                            delete_jobs="successful",
                            fetch_job_polling_interval=2.0,
                            shutdown_graceful_timeout=5,
                        )
                    finally:
                        tidy.cancel()
            except Exception as error:  # the sweep goes on meanwhile
                log.warning("the job engine stopped, starting it again: %s", type(error).__name__)
            await asyncio.sleep(1.0)

    async def _tidy(self) -> None:
        """Jobs of workers that were killed go back; old ones are removed."""
        manager = self.jobs.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
            await manager.retry_job(job)
        await manager.delete_old_jobs(nb_hours=24, include_failed=True, include_cancelled=True, include_aborted=True)


def register(app: App, wake: Callable[[], Awaitable[None]]) -> None:
    """The engine's jobs, by name."""

    @app.task(name=DISPATCH_JOB, pass_context=False)
    async def dispatch(bulletin_id: int) -> None:
        """Only wakes: which deliveries are due is in our own tables."""
        await wake()


async def serve(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT; ends within ten seconds, with what is under way finished as far as it can be."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_program(settings, pool_size=20) as program:
        if isinstance(program.house.clock, DatabaseClock):
            await program.house.clock.calibrate(program.house.db)
        worker = Worker(program, make_providers(settings), make_mailbox(settings))
        log.info("worker %s is ready", worker.name)
        await worker.run(stop)
