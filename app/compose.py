"""Puts the program together from the settings: the only place where rooms are wired to each other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from procrastinate import App

from app.channels.port import Mailbox, Providers
from app.kernel.clock import Clock, DatabaseClock
from app.kernel.db import Database
from app.kernel.house import House
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs, make_app
from app.kernel.postgres import EmbeddedPostgres
from app.readiness.alarms import Ways
from app.readiness.tally import Tally
from app.readiness.watch import Watch
from app.settings import Settings


@dataclass
class Program:
    """Everything a process needs; opened by `open_program`."""

    settings: Settings
    house: House
    url: str
    jobs_app: App
    embedded: EmbeddedPostgres | None


@contextlib.asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[tuple[str, EmbeddedPostgres | None]]:
    """The database's address; with an embedded one, the server runs at least as long as this block."""
    if settings.database_url:
        yield settings.database_url, None
        return
    embedded = EmbeddedPostgres(settings.data_dir)
    url = await asyncio.to_thread(embedded.start)
    try:
        yield url, embedded
    finally:
        await asyncio.to_thread(embedded.stop)


def make_house(settings: Settings, db: Database, jobs: Jobs, *, clock: Clock | None = None) -> House:
    """How this installation is set up. Channels are those that have a provider."""
    twilio = settings.twilio
    calls = twilio is not None and twilio.voice_sender is not None
    there = {"sms": twilio is not None, "email": settings.smtp is not None, "voice": calls}
    return House(
        db=db,
        clock=clock or DatabaseClock(),
        signer=Signer(settings.secret()),
        jobs=jobs,
        base_url=settings.public_url,
        playbooks_dir=settings.playbooks_dir,
        channels=tuple(channel for channel, usable in there.items() if usable),
        countries=settings.countries,
        simulated=settings.simulated,
        time_scale=settings.time_scale,
        settle_seconds=settings.settle_seconds,
        zone=ZoneInfo(settings.time_zone),
        sms_a_second=settings.sms_per_second,
        sms_a_day=settings.sms_per_day,
        sms_guess=settings.sender_rate,
        confirm_above=settings.confirm_above,
    )


def make_providers(settings: Settings) -> Providers:
    from app.channels import registry  # heavy, and most commands hand nothing over

    return registry.build(settings.twilio, settings.smtp)


def make_mailbox(settings: Settings) -> Mailbox | None:
    """The mailbox of mail answers, where one is set."""
    from app.channels import registry  # heavy, and most commands read no mail

    return registry.mailbox(settings.imap)


def make_watch(program: Program, providers: Providers, holder: str, tally: Tally | None = None) -> Watch:
    """What looks after Muster itself in one process."""
    settings = program.settings
    ways = Ways(
        email=settings.alarm_email,
        sms=settings.alarm_sms,
        heartbeat_url=settings.heartbeat_url,
    )
    return Watch(program.house, providers, ways, holder, tally)


@contextlib.asynccontextmanager
async def open_program(settings: Settings, *, pool_size: int = 10) -> AsyncIterator[Program]:
    """Opens the database and wires the house; closes everything in order."""
    async with open_database(settings) as (url, embedded):
        db = Database(url, pool_size=pool_size)
        jobs_app = make_app(url)
        house = make_house(settings, db, Jobs(jobs_app))
        if embedded:
            house = replace(house, disk=embedded.folder)
        try:
            yield Program(settings, house, url, jobs_app, embedded)
        finally:
            await db.close()


async def keep_database(embedded: EmbeddedPostgres | None) -> None:
    """Looks after the embedded server every second: whoever killed it, some process starts it again."""
    if embedded is None:
        await asyncio.Event().wait()
        return
    while True:
        await asyncio.sleep(1.0)
        with contextlib.suppress(Exception):  # tried again in a second; readiness shows it meanwhile
            await asyncio.to_thread(embedded.ensure)
