"""Could we reach everyone right now? Whether the database answers, a worker is alive, and each provider takes us."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.channels.port import Providers
from app.kernel.db import rows, run
from app.kernel.house import House

WORKER_SILENT_SECONDS = 30
PROVIDER_STALE_SECONDS = 90


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


async def probe(house: House, providers: Providers) -> dict[str, tuple[bool, str]]:
    """Asks each provider whether it would take a message now, and records the answers."""
    found: dict[str, tuple[bool, str]] = {}
    for channel, provider in providers.by_channel.items():
        health = await provider.check()
        found[channel] = (health.ok, health.detail)
    async with house.db.begin() as session:
        for channel, (ok, detail) in found.items():
            await run(
                session,
                """INSERT INTO provider_health (provider, ok, detail, checked_at)
                   VALUES (:provider, :ok, :detail, clock_timestamp())
                   ON CONFLICT (provider) DO UPDATE
                   SET ok = excluded.ok, detail = excluded.detail, checked_at = excluded.checked_at""",
                {"provider": channel, "ok": ok, "detail": detail},
            )
    return found


async def ready(house: House) -> dict[str, Any]:
    """`{"ready", "simulated", "checks": {name: {"ok", "detail"}}}`: ready when a send would go out."""
    checks: dict[str, dict[str, Any]] = {}
    if not await house.db.ready():
        checks["database"] = {"ok": False, "detail": "the database does not answer"}
        return {"ready": False, "simulated": house.simulated, "checks": checks}
    checks["database"] = {"ok": True, "detail": "the database answers"}
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
        if entry is None or entry["age"] > timedelta(seconds=PROVIDER_STALE_SECONDS):
            checks[channel] = {"ok": False, "detail": "not checked yet; a worker does so every few seconds"}
        else:
            checks[channel] = {"ok": entry["ok"], "detail": entry["detail"]}
    if not house.channels:
        checks["providers"] = {"ok": False, "detail": "no provider is set up"}
    # One channel that works is enough for a send to go out; the checks say which does not.
    reachable = any(checks[channel]["ok"] for channel in house.channels)
    ok = checks["database"]["ok"] and checks["worker"]["ok"] and reachable
    return {"ready": ok, "simulated": house.simulated, "checks": checks}
