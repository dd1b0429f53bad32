"""Could we reach everyone right now? Whether the database answers, a worker is alive, and each provider takes us."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.channels.port import HEALTH_SECONDS, Examinable, Examined, Health, Providers
from app.kernel.db import rows, run
from app.kernel.house import House

WORKER_SILENT_SECONDS = 30
SENDERS_SECONDS = 60.0
NO_ROOM_BYTES = 16_000_000
"""Less than one segment of PostgreSQL's log: what is written next may fail, though statements are still answered."""

INBOUND_PATH = "/webhooks/twilio/inbound"


class Senders:
    """What the providers last said of the senders that were set up here; asked once a minute."""

    def __init__(self) -> None:
        self._asked: float | None = None
        self._known: dict[str, Examined] = {}

    async def refused(self, house: House, providers: Providers, answering: Sequence[str]) -> dict[str, str]:
        """Why a channel's sender is refused, for those of the answering channels whose is."""
        if self._asked is None or time.monotonic() - self._asked >= SENDERS_SECONDS:
            self._asked = time.monotonic()
            for channel in answering:
                provider = providers.by_channel[channel]
                if isinstance(provider, Examinable):
                    found = await provider.examine(house.base_url + INBOUND_PATH)
                    if "sender" in found:
                        self._known[channel] = found["sender"]
        return {channel: known.detail for channel, known in self._known.items() if known.ok is False}


async def beat(house: House, worker: str) -> None:
    """A worker says that it is alive; those long silent are forgotten."""
    async with house.db.begin() as session:
        await run(
            session,
            """INSERT INTO worker_heartbeat (worker, at) VALUES (:worker, clock_timestamp())
               ON CONFLICT (worker) DO UPDATE SET at = excluded.at""",
            {"worker": worker},
        )
        await run(session, "DELETE FROM worker_heartbeat WHERE at < clock_timestamp() - interval '1 hour'")


async def gone(house: House, worker: str) -> None:
    """A worker says goodbye, so that nobody waits for it."""
    async with house.db.begin() as session:
        await run(session, "DELETE FROM worker_heartbeat WHERE worker = :worker", {"worker": worker})


async def ask(providers: Providers) -> dict[str, Health]:
    """Asks each provider whether it would take a message now: by channel. Records nothing."""
    return {channel: await provider.check() for channel, provider in providers.by_channel.items()}


async def probe(house: House, providers: Providers, senders: Senders | None = None) -> dict[str, tuple[bool, str]]:
    """Asks each provider whether it would take a message now, and records the answers: as (ok, detail) by channel.

    With `senders` a channel whose sender is refused is not ok either.
    """
    healths = await ask(providers)
    if senders is not None:
        answering = [channel for channel, health in healths.items() if health.ok]
        for channel, wrong in (await senders.refused(house, providers, answering)).items():
            if healths[channel].ok:
                healths[channel] = Health(False, wrong, misconfigured=True)
    await note(house, healths)
    return {channel: (health.ok, health.detail) for channel, health in healths.items()}


async def note(house: House, healths: Mapping[str, Health]) -> None:
    """Records what was found out just now, by the name of what was asked."""
    async with house.db.begin() as session:
        for channel, health in healths.items():
            await run(
                session,
                """INSERT INTO provider_health (provider, ok, detail, misconfigured, checked_at)
                   VALUES (:provider, :ok, :detail, :misconfigured, clock_timestamp())
                   ON CONFLICT (provider) DO UPDATE SET ok = excluded.ok, detail = excluded.detail,
                   misconfigured = excluded.misconfigured, checked_at = excluded.checked_at""",
                {
                    "provider": channel, "ok": health.ok, "detail": health.detail,
                    "misconfigured": health.misconfigured,
                },
            )  # fmt: skip


def disk_left(folder: Path) -> tuple[int, int] | None:
    """Bytes left and in all on the disk of this folder; None when that cannot be found out."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free, usage.total


async def ready(house: House) -> dict[str, Any]:
    """`{"ready", "simulated", "checks": {name: {"ok", "detail"}}}`: ready when a send would go out."""
    checks: dict[str, dict[str, Any]] = {}
    if not await house.db.ready():
        checks["database"] = {"ok": False, "detail": "the database does not answer"}
        return {"ready": False, "simulated": house.simulated, "checks": checks}
    checks["database"] = {"ok": True, "detail": "the database answers"}
    left = await asyncio.to_thread(disk_left, house.disk) if house.disk else None
    if left is not None and left[0] < NO_ROOM_BYTES:
        checks["database"] = {
            "ok": False,
            "detail": "the database's disk is full, so nothing can be recorded; make room",
        }
    async with house.db.begin() as session:
        workers = await rows(
            session,
            "SELECT worker FROM worker_heartbeat WHERE at > clock_timestamp() - make_interval(secs => :silent)",
            {"silent": WORKER_SILENT_SECONDS},
        )
        health = {
            entry["provider"]: entry
            for entry in await rows(
                session,
                """SELECT provider, ok, detail, clock_timestamp() - checked_at AS age FROM provider_health""",
            )
        }
    checks["worker"] = {
        "ok": bool(workers),
        "detail": f"{len(workers)} alive" if workers else "no worker is alive; start one with: muster worker",
    }
    for channel in house.channels:
        entry = health.get(channel)
        if entry is None or entry["age"] > timedelta(seconds=HEALTH_SECONDS):
            checks[channel] = {"ok": False, "detail": "not checked yet; a worker does so every few seconds"}
        else:
            checks[channel] = {"ok": entry["ok"], "detail": entry["detail"]}
    if not house.channels:
        checks["providers"] = {"ok": False, "detail": "no provider is set up"}
    # One channel that works is enough for a send to go out; the checks say which does not.
    reachable = any(checks[channel]["ok"] for channel in house.channels)
    ok = checks["database"]["ok"] and checks["worker"]["ok"] and reachable
    return {"ready": ok, "simulated": house.simulated, "checks": checks}
