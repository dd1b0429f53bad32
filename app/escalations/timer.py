"""The timer: looks at whose next step is due and takes it. Any number of workers may run it; one acts at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from app.deliveries import notices, planning, sending
from app.deliveries import service as deliveries
from app.escalations import service
from app.kernel.house import House
from app.replies import help_requests

log = logging.getLogger("muster.timer")

AT_A_TIME = 1000
TOLD_AT_A_TIME = 2000


@dataclass
class Timer:
    house: House

    async def step(self) -> int:
        """Takes every step that is due now; returns how many people were moved on or told of."""
        moved = 0
        while True:
            done = await self._batch()
            moved += done
            if done < AT_A_TIME:
                break
        while await self._climb():
            moved += 1
        # Where nobody of a rung can be told, the next is due at once: until nothing is.
        while told := await self._tell():
            moved += told
        return moved

    async def _tell(self) -> int:
        async with self.house.db.begin() as session:
            return await service.tell_due(session, self.house, limit=TOLD_AT_A_TIME)

    async def _climb(self) -> bool:
        async with self.house.db.begin() as session:
            return await help_requests.climb(session, self.house)

    async def _batch(self) -> int:
        now = self.house.clock.now()
        async with self.house.db.begin() as session:
            await deliveries.stop_steps(session, now=now)
            taken = await planning.take_due_steps(
                session, channels=self.house.channels, countries=self.house.countries, now=now, limit=AT_A_TIME
            )
            await service.record_fallbacks(session, taken, now=now)
            await help_requests.stop_climbing(session, now=now)
            if await notices.take_due_steps(session, self.house, now=now):
                await self.house.jobs.defer(session, sending.DISPATCH_JOB, bulletin_id=0)
            if any(entry["channel"] for entry in taken):
                await self.house.jobs.defer(session, sending.DISPATCH_JOB, bulletin_id=taken[0]["bulletin_id"])
        return sum(entry["people"] for entry in taken)
