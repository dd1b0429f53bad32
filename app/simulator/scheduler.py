"""One heap and one timer for everything that is due later: a message costs a tuple, not a task."""

import asyncio
import heapq
import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


class Scheduler:
    """Calls plain functions at wall-clock times (Unix seconds, as `now` tells them)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def start(self) -> None:
        """Begin calling; what was added before is kept until now."""
        self._loop = asyncio.get_running_loop()
        self._arm()

    def stop(self) -> None:
        """Call nothing more."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, float("inf")

    def clear(self) -> None:
        """Forget everything that is due."""
        self._heap.clear()

    def at(self, moment: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call `call(*arguments)` at `moment`, or as soon as possible when that is past."""
        self._count += 1
        heapq.heappush(self._heap, (moment, self._count, call, arguments))
        if moment < self._timer_at:
            self._arm()

    def _arm(self) -> None:
        if self._loop is None or not self._heap:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._heap[0][0]
        self._timer = self._loop.call_later(max(0.0, self._timer_at - self._now()), self._run)

    def _run(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        due = self._now()
        # A limit keeps the loop answering requests while a long backlog is worked off.
        for _ in range(200):
            if not self._heap or self._heap[0][0] > due:
                break
            _, _, call, arguments = heapq.heappop(self._heap)
            try:
                call(*arguments)
            except Exception:
                log.exception("the simulator could not do what was due")
        if self._timer is None:
            self._arm()
