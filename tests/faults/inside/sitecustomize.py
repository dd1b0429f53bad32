"""Read by Python itself before a process that a test starts with this folder in PYTHONPATH; nothing else uses it.

It does from inside what cannot be done from outside at the right moment, and changes nothing of Muster's own:
`FAULT_CLOCK_SECONDS` puts the process's wall clock forward, as a machine's clock that nobody set would be;
`FAULT_PAUSE_BEFORE_BODY` names a file: while it is there, the process stops itself (as SIGSTOP from outside would)
once, after the headers of the next request with a body have left and before its body does.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def set_clock_forward(seconds: float) -> None:
    import datetime as module

    real, real_time, real_time_ns = module.datetime, time.time, time.time_ns
    by = module.timedelta(seconds=seconds)

    class Kind(type):
        """Times that were not made here are times all the same."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, real)

    class Shifted(real, metaclass=Kind):  # type: ignore[valid-type, misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + by

        @classmethod
        def utcnow(cls) -> Any:
            return real.now(module.UTC).replace(tzinfo=None) + by

    module.datetime = Shifted  # type: ignore[misc]
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)


def pause_before_body(flag: Path) -> None:
    from httpcore2 import _trace

    was = _trace.Trace.atrace

    def once() -> None:
        if flag.exists():
            flag.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)

    async def atrace(self: Any, name: str, info: dict[str, Any]) -> None:
        if name == "send_request_body.started" and info["request"].method == b"POST":
            once()
        await was(self, name, info)

    _trace.Trace.atrace = atrace  # type: ignore[method-assign]


if wanted := os.environ.get("FAULT_CLOCK_SECONDS"):
    set_clock_forward(float(wanted))
if wanted := os.environ.get("FAULT_PAUSE_BEFORE_BODY"):
    pause_before_body(Path(wanted))
