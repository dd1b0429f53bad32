"""Twilio's Calls resource: create, fetch, list, cancel and end. Below any framework, as the Messages are."""

import asyncio

from starlette.types import Receive

from app.simulator.calling import Switchboard
from app.simulator.calls import FINAL, Call
from app.simulator.exchange import E164, FAULT_HANDOVER, NoAnswer, handover_of, hang, is_url, read_pairs
from app.simulator.faults import Faults
from app.simulator.problems import problem
from app.simulator.resources import call_json, page_json
from app.simulator.world import World

FILTERS = ("To", "From", "Status")
DETECT = ("", "Enable", "DetectMessageEnd")
ASKED = frozenset({"initiated", "ringing", "answered", "completed"})


class CallsApi:
    """What is below /Calls of the account."""

    def __init__(self, world: World, switchboard: Switchboard, faults: Faults) -> None:
        self.world = world
        self.switchboard = switchboard
        self.faults = faults

    async def create(self, receive: Receive) -> tuple[int, dict[str, object]]:
        """POST /Calls.json. Raises Problem and NoAnswer."""
        fault = self.faults.take("http")
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        if fault == "hang_before":
            await hang(receive)
        pairs = await read_pairs(receive)
        form = dict(pairs)
        self._check(form)
        to = form["To"].strip()
        handover = FAULT_HANDOVER.get(fault) or handover_of(self.world, to)
        if handover == "unavailable":
            raise problem(20503)
        if handover == "busy":
            raise problem(20429)
        if handover == "cut":
            raise NoAnswer
        if code := self.switchboard.refusal(to):
            self.world.record({"e": "no", "to": to, "c": code, "at": self.world.now()})
            raise problem(code, to=to, **{"from": form["From"]})
        events = tuple(word for name, word in pairs if name == "StatusCallbackEvent" and word in ASKED)
        call = self.switchboard.accept(
            to, form["From"].strip(), form["Url"].strip(), callback=form.get("StatusCallback", "").strip() or None,
            events=events or ("completed",), timeout=float(form.get("Timeout") or 60),
            detect=form.get("MachineDetection", ""),
        )  # fmt: skip
        shown = self.show(call)
        if handover == "hang_accepted":
            await hang(receive)
        elif handover == "error_accepted":
            raise problem(20500)
        elif handover == "cut_accepted":
            raise NoAnswer
        return 201, shown

    def _check(self, form: dict[str, str]) -> None:
        """Raises Problem for a call that is not well formed."""
        to, sender = form.get("To", "").strip(), form.get("From", "").strip()
        url, callback = form.get("Url", "").strip(), form.get("StatusCallback", "").strip()
        timeout, detect = form.get("Timeout") or "60", form.get("MachineDetection", "")
        code = 0
        if not to:
            code = 21201
        elif not sender:
            code = 21213
        elif not E164.match(sender):
            code = 21212
        elif sender not in (self.world.config.sender, self.world.config.caller):
            code = 21210
        elif not E164.match(to):
            code = 21211
        elif not is_url(url):
            code = 21205
        elif callback and not is_url(callback):
            code = 21609
        elif not (timeout.isdecimal() and 1 <= int(timeout) <= 600) or detect not in DETECT:
            code = 30400
        if code:
            raise problem(code, **{"to": to, "from": sender, "url": url, "callback": callback})

    def listed(self, query: dict[str, str]) -> dict[str, object]:
        """GET /Calls.json: the newest first."""
        fault = self.faults.take("list")
        if fault == "500":
            raise problem(20500)
        book = self.world.calls
        source = book.by_to.get(query["To"], []) if query.get("To") else book.listing
        newest = 0.0 if fault == "empty" else self.world.now() - self.faults.lag if fault == "lagging" else float("inf")
        found = [
            call
            for call in reversed(source)
            if call.created <= newest
            and query.get("From", call.sender) == call.sender
            and query.get("Status", call.status) == call.status
        ]
        try:
            return page_json(found, query, self.world.config.account_sid, "Calls", self.show, FILTERS)
        except ValueError:
            raise problem(30400) from None

    def update(self, call: Call, form: dict[str, str]) -> None:
        """POST /Calls/{sid}.json: `Status` canceled or completed. Raises Problem."""
        if form.get("Status") not in ("canceled", "completed"):
            raise problem(30400)
        if call.status in FINAL or not self.switchboard.stop(call, form["Status"]):
            raise problem(21220)

    def show(self, call: Call) -> dict[str, object]:
        return call_json(call, self.world.config.account_sid)
