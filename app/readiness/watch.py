"""Looks after Muster itself, in every worker and every web process: one at a time does the work, under a lease.

The web process looks too, as nobody else is left when the workers are silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from app.channels.port import Providers
from app.kernel.house import House
from app.kernel.leases import Turn
from app.readiness import heartbeat
from app.readiness.alarms import Alarms, Ways
from app.readiness.rules import nearly_full
from app.readiness.service import disk_left
from app.readiness.tally import Tally

log = logging.getLogger("muster.watch")

LOOK_SECONDS = 5.0
LEASE_SECONDS = 20.0


class Watch:
    """One process's loops: alarms, the outside monitor, and the tally of webhooks where there is one."""

    def __init__(self, house: House, providers: Providers, ways: Ways, holder: str, tally: Tally | None = None) -> None:
        self.house = house
        self.ways = ways
        self.tally = tally
        self.alarms = Alarms(house, providers, ways)
        self._alarms_turn = Turn(house.db, "alarms", holder, seconds=LEASE_SECONDS)
        self._heartbeat_turn = Turn(house.db, "heartbeat", holder, seconds=LEASE_SECONDS)

    async def run(self) -> None:
        """Until it is cancelled. Each loop survives any fault by starting its next round."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._every(self.look))
            if self.ways.heartbeat_url:
                loops.create_task(self._every(self.ping))
            if self.tally:
                loops.create_task(self._every(self.count))

    async def _every(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception as error:  # whatever it was, the next round tries again
                log.warning("%s failed, trying again: %s", step.__name__, type(error).__name__)
                # A database without room takes no alarm either, and may not even start: then the log is what is left.
                if self.house.disk and (full := nearly_full(await asyncio.to_thread(disk_left, self.house.disk))):
                    log.error("%s", full.detail)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        if await self._alarms_turn.ours():
            await self.alarms.step()

    async def ping(self) -> None:
        assert self.ways.heartbeat_url
        if await self._heartbeat_turn.ours():
            await heartbeat.ping(self.house, self.ways.heartbeat_url)

    async def count(self) -> None:
        if self.tally:
            await self.tally.write(self.house)

    async def stop(self) -> None:
        """Writes down what was counted; what else is under way, another process goes on with."""
        with contextlib.suppress(Exception):  # counted for the operator's eyes; not worth a failing stop
            await self.count()
