"""The switchboard: rings, finds out who picks up, says what the customer's TwiML says, takes keys, hangs up.

A call is scheduled like a text until somebody picks up; from then on it is a conversation of its own. What people take
their time over is divided by `speed`, unless a person in a browser holds the phone; the network's own times never are.
A call that was being spoken when the simulator was killed has ended there, as with a carrier whose exchange fails.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin

import httpx2

from app.simulator.call_reports import Reports
from app.simulator.calls import Call
from app.simulator.fates import CallFate, call_fate_of, chances
from app.simulator.outside import Outside
from app.simulator.twiml import NotTwiml
from app.simulator.voice_twiml import Verb, verbs
from app.simulator.world import World

log = logging.getLogger(__name__)

PICKS_UP = (2.0, 9.0)
THINKS = (0.5, 2.5)
CHARACTERS_A_SECOND = 15.0
FIRST_WORDS = 1.5
SAYS_WITHIN = 10.0
MOST_DOCUMENTS = 40
BROKEN = "We are sorry, an application error has occurred. Goodbye."


class _HungUp(Exception):
    """The conversation is over: somebody hung up."""


@dataclass
class Live:
    """A conversation: keys that were pressed and not taken yet, and what an automatic person is still to press.

    `spoke` is set when the customer's answer to the last key, or to the pick-up, has been said.
    """

    call: Call
    pace: float
    keys: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    to_press: deque[str] = field(default_factory=deque)

    async def wait(self, seconds: float) -> None:
        """Time passes. Raises _HungUp."""
        try:
            async with asyncio.timeout(seconds / self.pace):
                await self.gone.wait()
        except TimeoutError:
            return
        raise _HungUp

    async def key(self, seconds: float) -> str:
        """The next key, or empty when none came in time. Raises _HungUp."""
        waits = [asyncio.ensure_future(self.keys.get()), asyncio.ensure_future(self.gone.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds / self.pace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()
        if waits[1] in done:
            raise _HungUp
        return str(waits[0].result()) if waits[0] in done else ""


class Switchboard:
    """One account's calls."""

    def __init__(self, world: World, outside: Outside) -> None:
        self.world = world
        self.outside = outside
        self.live: dict[str, Live] = {}
        self.reports = Reports(world, outside)

    # Taking calls

    def refusal(self, number: str) -> int:
        """The Twilio error code with which a call to this number is refused at once; 0 when it is not."""
        if self.world.phone(number).fate.key == "invalid":
            return 21211
        return self._fate(number).refuse

    def _fate(self, number: str) -> CallFate:
        return call_fate_of(number, auto=self.world.config.auto, seed=self.world.config.seed)

    def accept(
        self, to: str, sender: str, url: str, *, callback: str | None, events: tuple[str, ...], timeout: float,
        detect: str,
    ) -> Call:  # fmt: skip
        """Take a call: on disk when this returns. Raises OSError when it cannot be written, and then takes nothing."""
        sid = "CA" + secrets.token_hex(16)
        event = {
            "e": "call", "sid": sid, "to": to, "from": sender, "url": url, "cb": callback, "ev": list(events),
            "t": timeout, "md": detect, "at": self.world.now(), "f": self._fate(to).key,
            "n": len(self.world.calls.by_to.get(to, ())),
        }  # fmt: skip
        self.world.record(event)
        call = self.world.calls.by_sid[sid]
        self._schedule(call)
        return call

    def resume(self) -> None:
        """Picks up where a killed simulator stopped: rings again, ends what was being spoken, reports what was not."""
        for call in list(self.world.calls.listing):
            for index in range(len(call.course)):
                self.reports.due(call, index)
            if call.status == "in-progress":
                self._end(call, "completed", "The line was cut.")
            elif call.is_open:
                self._schedule(call)

    def _chances(self, call: Call) -> tuple[float, ...]:
        return chances(self.world.config.seed, "call", call.to, call.ordinal)

    def _schedule(self, call: Call) -> None:
        """What is still to come before anybody picks up."""
        dice, begun = self._chances(call), dict(call.course)
        scheduler = self.world.scheduler
        dial = begun.get("initiated") or call.created + 0.05 + 0.2 * dice[0]
        ring = begun.get("ringing") or dial + 0.05 + 0.3 * dice[1]
        fate = call.fate
        if "initiated" not in begun:
            scheduler.at(dial, self._move, call, "initiated")
        if fate.line == "fails":
            scheduler.at(ring, self._end, call, "failed", "There is no such line.")
            return
        if fate.line == "busy":
            scheduler.at(ring, self._end, call, "busy", "The line was busy.")
            return
        if "ringing" not in begun:
            scheduler.at(ring, self._move, call, "ringing")
        if fate.line in ("machine", "fax"):
            scheduler.at(ring + 0.3 + 0.7 * dice[2], self._taken, call, fate.line)
        elif fate.picks_up and self.world.config.auto:
            takes = (PICKS_UP[0] + (PICKS_UP[1] - PICKS_UP[0]) * dice[2]) / self.world.config.speed
            scheduler.at(ring + takes, self._taken, call, "person")
        scheduler.at(ring + call.timeout, self._end, call, "no-answer", "Nobody picked up.", "ringing")

    # Its course

    def _known(self, call: Call) -> bool:
        return self.world.calls.by_sid.get(call.sid) is call

    def _move(self, call: Call, status: str) -> None:
        if self._known(call) and call.is_open and status not in dict(call.course):
            self._record(call, status)

    def _record(self, call: Call, status: str, **more: object) -> None:
        self.world.record({"e": "call_st", "sid": call.sid, "s": status, "at": self.world.now(), **more})
        self.reports.due(call, len(call.course) - 1)

    def _end(self, call: Call, status: str, why: str = "", only_while: str = "") -> None:
        if self._known(call) and call.is_open and (not only_while or call.status == only_while):
            self._record(call, status, why=why)
            if live := self.live.get(call.sid):
                live.gone.set()

    def _taken(self, call: Call, who: str) -> None:
        self._pick_up(call, who)

    def _pick_up(self, call: Call, who: str, by_hand: bool = False) -> Live | None:
        """`who`: person, machine or fax. None when it does not ring any more."""
        if not self._known(call) or call.status not in ("queued", "ringing"):
            return None
        answered_by = call.fate.answered_by if who == "person" else who
        if who == "machine":
            answered_by = "machine_end_beep" if call.detect == "DetectMessageEnd" else "machine_start"
        for earlier in ("initiated", "ringing"):  # taken faster than the network: it must not ring afterwards
            self._move(call, earlier)
        self._record(call, "in-progress", by=answered_by if call.detect else "", hand=by_hand)
        live = self.live[call.sid] = Live(call, 1.0 if by_hand else self.world.config.speed)
        if not by_hand and who == "person":
            live.to_press.extend(call.fate.keys)
        self.outside.spawn(self._talk(live, hangs_up=call.fate.hangs_up and not by_hand and who == "person"))
        return live

    def forget(self) -> None:
        """Ends every conversation at once."""
        for live in self.live.values():
            live.gone.set()

    # By hand, and by the customer

    def ringing(self, number: str) -> Call | None:
        """The call that rings on this phone, or is being spoken on it."""
        return next((call for call in reversed(self.world.calls.by_to.get(number, [])) if call.is_open), None)

    def answer(self, call: Call, *, machine: bool = False) -> Live | None:
        """A person takes the phone (or, for a test, a machine does); None when it does not ring any more."""
        return self._pick_up(call, "machine" if machine else "person", by_hand=not machine)

    def press(self, call: Call, key: str) -> bool:
        """A key is pressed; False when nobody is on the line."""
        live = self.live.get(call.sid)
        if live is None or not call.is_open:
            return False
        live.spoke.clear()
        live.keys.put_nowait(key)
        return True

    async def does(self, call: Call, what: str, key: str = "") -> bool:
        """What the person at the phone does; returns when the customer has said what follows. False: too late."""
        live = self.live.get(call.sid)
        if what in ("pick_up", "machine"):
            live = self.answer(call, machine=what == "machine")
        elif what == "press":
            if not self.press(call, key):
                return False
        else:
            self.hang_up(call)
            return True
        if live is None:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAYS_WITHIN):
                await live.spoke.wait()
        return True

    def hang_up(self, call: Call) -> None:
        """The person hangs up, or does not take the call."""
        self._end(call, "completed" if call.status == "in-progress" else "busy", "They hung up.")

    def stop(self, call: Call, status: str) -> bool:
        """The customer cancels or ends the call; False when it is over already."""
        if not call.is_open:
            return False
        spoken = call.status == "in-progress"
        if spoken and status == "canceled":
            return False
        self._end(call, "completed" if spoken else "canceled", "The caller hung up.")
        return True

    # The conversation

    async def _talk(self, live: Live, *, hangs_up: bool) -> None:
        call = live.call
        try:
            if hangs_up:
                asyncio.get_running_loop().call_later(
                    FIRST_WORDS / live.pace, self._end, call, "completed", "They hung up."
                )
            where: tuple[str, dict[str, str]] | None = (call.url, {})
            for _ in range(MOST_DOCUMENTS):
                if where is None:
                    break
                document = await self._ask(call, *where)
                if live.gone.is_set():
                    return
                where = await self._perform(live, document, where[0])
        except _HungUp:
            return
        except NotTwiml as error:
            log.warning("the answer to call %s is not TwiML: %s", call.sid, error)
            self._heard(call, BROKEN, "")
        finally:
            if call.is_open:
                self._end(call, "completed")
            live.spoke.set()
            self.live.pop(call.sid, None)

    async def _ask(self, call: Call, url: str, more: dict[str, str]) -> list[Verb]:
        """What the customer wants said next; its own apology when the customer does not answer as it should."""
        params = self.reports.about(call) | {"CallStatus": "in-progress"} | more
        if call.answered_by and url == call.url:
            params["AnsweredBy"] = call.answered_by
        headers = self.outside.headers(url, params, f"{call.sid}-{secrets.token_hex(4)}")
        try:
            answer = await self.outside.http().post(url, content=urlencode(params).encode(), headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return [Verb("Say", text=BROKEN)]
        if not 200 <= answer.status_code < 300:
            return [Verb("Say", text=BROKEN)]
        try:
            return verbs(answer.text)
        except NotTwiml as error:
            log.warning("the answer to call %s is not TwiML: %s", call.sid, error)
            return [Verb("Say", text=BROKEN)]

    def _heard(self, call: Call, text: str, language: str) -> None:
        if self._known(call):
            event = {"e": "call_said", "sid": call.sid, "text": text, "lang": language, "at": self.world.now()}
            self.world.record(event)

    async def _perform(self, live: Live, document: list[Verb], url: str) -> tuple[str, dict[str, str]] | None:
        """Does one document; returns where to go on, None at its end."""
        seconds = 0.0
        for verb in document:
            if verb.name in ("Say", "Pause"):
                seconds += self._say(live.call, verb)
                live.spoke.set()
                continue
            await live.wait(seconds)
            seconds = 0.0
            if verb.name == "Gather":
                if key := await self._gather(live, verb):
                    return urljoin(url, verb.attributes.get("action", url)), {"Digits": key, "msg": "Gather End"}
            elif verb.name == "Redirect":
                return urljoin(url, verb.text.strip()), {}
            else:
                return None
        await live.wait(seconds)
        return None

    def _say(self, call: Call, verb: Verb) -> float:
        """Notes the words; returns how long they take, or the silence."""
        if verb.name == "Pause":
            return verb.seconds("length", 1)
        text = " ".join(verb.text.split())
        self._heard(call, text, verb.attributes.get("language", ""))
        return len(text) / CHARACTERS_A_SECOND

    async def _gather(self, live: Live, verb: Verb) -> str:
        """The key that was pressed while the words were said or shortly after; empty when none was.

        One key alone: this account's customer asks for no more.
        """
        seconds = sum(self._say(live.call, inside) for inside in verb.inside)
        patience = verb.seconds("timeout", 5)
        live.spoke.set()
        if live.to_press:
            low, high = THINKS
            await live.wait(min(seconds, 60.0) + low + (high - low) * self._chances(live.call)[3])
            key = live.to_press.popleft()
        else:
            key = await live.key(seconds + patience)
        if key and self._known(live.call):
            self.world.record({"e": "call_key", "sid": live.call.sid, "key": key, "at": self.world.now()})
        return key
