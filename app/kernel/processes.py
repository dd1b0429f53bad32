"""A small supervised process tree: `muster up` and `muster demo` are several processes that live and end together.

The database is not among them: it is shared with other commands, and outlives us if we are killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from app.kernel.errors import MusterError

log = logging.getLogger("muster.processes")

PARENT_VARIABLE = "_MUSTER_PARENT_PID"
"""Tells a child whose end must be its own; unset in a process that was started by hand."""

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_SETTLED_SECONDS = 30.0  # a life this long counts as a success, so the next pause is the first again
_GRACE_SECONDS = 10.0
_TICK = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Linux can end a child with its parent. The request is made by the child itself before it becomes the real program:
# a hook between fork and exec may deadlock once the parent has threads. It looks again, as we may be gone by then.
_TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""


@dataclass(frozen=True)
class Child:
    """A program to keep running. `env` is added to our own environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Running:
    child: Child
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    pause: float = 0.0
    due: float = 0.0  # when to start it (again), on the monotonic clock


class ProcessTree:
    """Starts children in the order they were added, starts again what dies, and stops them in reverse order."""

    def __init__(self, *, grace_seconds: float = _GRACE_SECONDS) -> None:
        self._children: list[_Running] = []
        self._grace = grace_seconds
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._failed = False

    def add(self, child: Child) -> None:
        """Adds a child; only before `run`."""
        self._children.append(_Running(child))

    def stop(self) -> None:
        """Makes `run` stop everything and return. From any thread."""
        self._stopping.set()

    def run(self, on_ready: Callable[[], None] | None = None) -> int:
        """Keeps the children running until SIGINT, SIGTERM, SIGHUP or `stop`, then stops them all.

        `on_ready` runs in a thread once every child has been started. Returns 0, or 1 when `on_ready` raised. A
        second signal ends at once what has not stopped yet. Signals are heard only in the main thread, and the
        thread that calls this must live as long as the children: on Linux they end with it.
        """
        with self._signals():
            try:
                self._start_due()
                if on_ready is not None:
                    threading.Thread(target=self._call, args=(on_ready,), name="on-ready", daemon=True).start()
                while not self._stopping.wait(_TICK):
                    self._notice_deaths()
                    self._start_due()
            finally:
                self._stop_all()
        return 1 if self._failed else 0

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Started by nohup, a closed terminal is nothing to us.
        heard = [number for number in _SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._heard) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _call(self, on_ready: Callable[[], None]) -> None:
        try:
            on_ready()
        except Exception as error:
            if self._stopping.is_set():
                return  # it ran into the end of the children
            unexpected = None if isinstance(error, MusterError) else error
            log.error("stopping: what should follow the start failed: %s", error, exc_info=unexpected)
            self._failed = True
            self._stopping.set()

    def _start_due(self) -> None:
        for one in self._children:
            if one.process is None and time.monotonic() >= one.due:
                self._start(one)

    def _start(self, one: _Running) -> None:
        command = list(one.child.argv)
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
        one.began = time.monotonic()
        try:
            # A group of its own: Ctrl-C in the terminal is for us alone, and the order of stopping is ours.
            one.process = subprocess.Popen(  # noqa: S603 (what the program itself added)
                command,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **one.child.env, PARENT_VARIABLE: str(os.getpid())},
                process_group=0,
            )
        except OSError as error:
            self._put_off(one)
            log.error("%s cannot be started (%s); trying again in %.1f s", one.child.name, error, one.pause)
        else:
            log.debug("%s is process %d", one.child.name, one.process.pid)

    def _notice_deaths(self) -> None:
        for one in self._children:
            if one.process is not None and (status := one.process.poll()) is not None:
                one.process = None
                self._put_off(one)
                log.warning(
                    "%s has ended unexpectedly (%s); starting it again in %.1f s",
                    one.child.name,
                    _cause(status),
                    one.pause,
                )

    def _put_off(self, one: _Running) -> None:
        now = time.monotonic()
        settled = one.pause == 0 or now - one.began >= _SETTLED_SECONDS
        one.pause = _FIRST_PAUSE if settled else min(one.pause * 2, _LONGEST_PAUSE)
        one.due = now + one.pause

    def _stop_all(self) -> None:
        for one in reversed(self._children):
            if one.process is None:
                continue
            one.process.terminate()
            deadline = time.monotonic() + self._grace
            while one.process.poll() is None and time.monotonic() < deadline and not self._hurry.is_set():
                self._hurry.wait(_TICK)
            if one.process.poll() is None:
                log.warning("%s did not stop in time; it is ended at once", one.child.name)
                with suppress(ProcessLookupError, PermissionError):  # it has just ended
                    os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()
            one.process = None


def _cause(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


async def watch_parent(*, seconds: float = 1.0) -> None:
    """In a child of a ProcessTree: sends this process SIGTERM when the tree is gone, looking every `seconds`.

    Returns at once in a process that no tree started. Needed where the system does not end children by itself, and
    harmless where it does. Call it once: the variable is removed, as what this process starts is no child of the tree.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent.isdigit():
        return
    while os.getppid() == int(parent):  # noqa: ASYNC110 (nothing tells of a parent's end)
        await asyncio.sleep(seconds)
    log.warning("the process that started this one is gone; stopping")
    os.kill(os.getpid(), signal.SIGTERM)
