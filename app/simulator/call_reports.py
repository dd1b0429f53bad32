"""The reports on calls: posted in order for each call, again with back-off while the receiver is down or fails."""

import asyncio
import logging
from collections import deque

from app.simulator.calls import FINAL, Call
from app.simulator.fates import chances
from app.simulator.outside import BACK_OFF, PATIENCE, Outside, country
from app.simulator.wire import rfc2822
from app.simulator.world import World

log = logging.getLogger(__name__)

AT_ONCE = 16


class Reports:
    """What the customer is told about calls."""

    def __init__(self, world: World, outside: Outside) -> None:
        self.world = world
        self.outside = outside
        self._waiting: dict[str, deque[int]] = {}
        self._few = asyncio.Semaphore(AT_ONCE)

    def due(self, call: Call, index: int) -> None:
        """The `index`-th status of this call is to be reported now, if it was asked for and is not done yet."""
        status, _ = call.course[index]
        if index in call.receipts or not call.reported(status):
            return
        fault = self.outside.faults.take("receipts")
        if fault == "off":
            self._done(call, index, "off")
        elif fault == "shuffle":
            wait = 1.5 * chances(self.world.config.seed, call.sid, index)[0]
            self.world.scheduler.at(self.world.now() + wait, self._spawn, call, index)
        else:
            self._queue(call, index)
            if fault == "twice":
                self._queue(call, index)

    def _spawn(self, call: Call, index: int) -> None:
        self.outside.spawn(self._post(call, index))

    def _queue(self, call: Call, index: int) -> None:
        waiting = self._waiting.get(call.sid)
        if waiting is not None:
            waiting.append(index)
            return
        self._waiting[call.sid] = deque([index])
        self.outside.spawn(self._drain(call))

    async def _drain(self, call: Call) -> None:
        waiting = self._waiting[call.sid]
        try:
            while waiting:
                await self._post(call, waiting.popleft())
        finally:
            del self._waiting[call.sid]

    async def _post(self, call: Call, index: int) -> None:
        assert call.callback is not None
        waited, outcome = 0.0, "gave_up"
        for tries in range(1000):
            if not self._known(call):
                return
            async with self._few:
                outcome = await self.outside.deliver(call.callback, self.params(call, index), f"{call.sid}-{index}")
            if outcome != "again":
                break
            wait = BACK_OFF[min(tries, len(BACK_OFF) - 1)]
            waited += wait
            if waited > PATIENCE:
                outcome = "gave_up"
                break
            await asyncio.sleep(wait)
        self._done(call, index, outcome)

    def _done(self, call: Call, index: int, how: str) -> None:
        if index not in call.receipts and self._known(call):
            self.world.record({"e": "call_rc", "sid": call.sid, "i": index, "r": how})

    def _known(self, call: Call) -> bool:
        return self.world.calls.by_sid.get(call.sid) is call

    def params(self, call: Call, index: int) -> dict[str, str]:
        """The form of one report."""
        status, at = call.course[index]
        params = self.about(call) | {
            "CallStatus": status, "CallbackSource": "call-progress-events", "SequenceNumber": str(index),
            "Timestamp": rfc2822(at),
        }  # fmt: skip
        if status in FINAL:
            spoken = at - call.picked_up if call.picked_up is not None else 0.0
            params |= {"CallDuration": str(int(spoken)), "Duration": str(int(spoken + 59) // 60)}
            if call.answered_by:
                params["AnsweredBy"] = call.answered_by
        return params

    def about(self, call: Call) -> dict[str, str]:
        """What every request about a call says."""
        home, away = country(call.sender), country(call.to)
        return {
            "CallSid": call.sid, "AccountSid": self.world.config.account_sid, "ApiVersion": "2010-04-01",
            "Direction": "outbound-api", "From": call.sender, "To": call.to, "Caller": call.sender, "Called": call.to,
            "FromCountry": home, "FromState": "", "FromCity": "", "FromZip": "", "CallerCountry": home,
            "ToCountry": away, "ToState": "", "ToCity": "", "ToZip": "", "CalledCountry": away,
        }  # fmt: skip
