"""`muster up`: web, worker and (without providers) the simulator, in one process tree."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable

from app.compose import open_database
from app.kernel import migrate
from app.kernel.processes import Child, ProcessTree
from app.settings import Settings, SettingsError


def free_port(wanted: int, taken: set[int]) -> int:
    """The wanted port when it is free here, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            if found not in taken:
                return found
    raise SettingsError("MUSTER_SIMULATOR_PORT: no port is free on 127.0.0.1; stop something that holds ports")


def refuse_taken_port(settings: Settings) -> None:
    """One plain line instead of a web process that dies again and again."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"MUSTER_PORT: {settings.host}:{settings.port} cannot be used ({error.strerror}); "
                "stop what holds it, or set another"
            ) from error


def run(
    settings: Settings, *, auto: bool = False, env: dict[str, str] | None = None, then: Callable[[], None] | None = None
) -> int:
    """Brings the database up to date, starts everything, and stays until it is stopped. Returns the exit code."""
    refuse_taken_port(settings)
    settings.secret()
    return asyncio.run(_run(settings, auto=auto, env=dict(env or {}), then=then))


async def _run(settings: Settings, *, auto: bool, env: dict[str, str], then: Callable[[], None] | None) -> int:
    async with open_database(settings) as (url, _embedded):
        await asyncio.to_thread(migrate.upgrade, url)
        tree = ProcessTree()
        command = [sys.executable, "-m", "app.cli"]
        if settings.simulated:
            taken = {settings.port}
            http = free_port(settings.simulator_port, taken)
            smtp = free_port(settings.simulator_smtp_port, taken | {http})
            env |= {"MUSTER_SIMULATOR_PORT": str(http), "MUSTER_SIMULATOR_SMTP_PORT": str(smtp)}
            os.environ.update(env)
            tree.add(Child("simulator", [*command, "simulator", *(["--auto"] if auto else [])], env))
        tree.add(Child("web", [*command, "web"], env))
        tree.add(Child("worker", [*command, "worker"], env))
        # In the main thread, which alone hears signals; nothing else runs on this loop meanwhile.
        return tree.run(then)
