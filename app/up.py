"""`muster up`: web, worker and (without providers) the simulator, in one process tree."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Callable

from app.kernel.postgres import EmbeddedPostgres
from app.kernel.processes import Child, ProcessTree
from app.settings import Settings, SettingsError, load


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
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise SettingsError(
                    f"MUSTER_HOST: {settings.host} is not an address of this machine; use 127.0.0.1 for this machine "
                    "alone, or 0.0.0.0 for every network it is on"
                ) from error
            raise SettingsError(
                f"MUSTER_PORT: {settings.host}:{settings.port} cannot be used ({error.strerror}); "
                "stop what holds it, or set another"
            ) from error


def demo_settings() -> Settings:
    """The demo's own pace, unless the environment says otherwise. Raises SettingsError with a real provider set up."""
    os.environ.setdefault("MUSTER_TIME_SCALE", "60")
    os.environ.setdefault("MUSTER_SETTLE_SECONDS", "5")
    settings = load()
    if not settings.simulated:
        raise SettingsError(
            "MUSTER_TWILIO_ACCOUNT_SID: a real provider is set up, and a demo must never reach real people; unset it "
            "and MUSTER_SMTP_URL, or run: muster up"
        )
    return settings


def run(settings: Settings, *, auto: bool = False, then: Callable[[], None] | None = None) -> int:
    """Starts everything and stays until it is stopped; returns the exit code. `then` runs once all are started."""
    refuse_taken_port(settings)
    settings.secret()
    settings.need_playbooks()
    with contextlib.ExitStack() as held:
        if settings.database_url:
            from app.kernel import migrate

            migrate.upgrade(settings.database_url)
        else:
            # Web and worker bring their own database's schema up to date themselves, while the others load.
            held.enter_context(EmbeddedPostgres(settings.data_dir))
        tree = ProcessTree()
        command = [sys.executable, "-m", "app.cli"]
        if settings.simulated:
            http = free_port(settings.simulator_port, {settings.port})
            smtp = free_port(settings.simulator_smtp_port, {settings.port, http})
            # For the children, and for whoever asks here where the phones are.
            os.environ |= {"MUSTER_SIMULATOR_PORT": str(http), "MUSTER_SIMULATOR_SMTP_PORT": str(smtp)}
            tree.add(Child("simulator", [*command, "simulator", *(["--auto"] if auto else [])]))
        tree.add(Child("web", [*command, "web"]))
        tree.add(Child("worker", [*command, "worker"]))
        return tree.run(then)
