"""The controls for tests and demos: what happened, faults, a phone's answer. JSON, this machine only."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.calling import Switchboard
from app.simulator.calls import Call
from app.simulator.faults import CHOICES, Faults
from app.simulator.guard import from_here, known_host
from app.simulator.media import MOST, SAMPLES
from app.simulator.outside import Outside
from app.simulator.people import People
from app.simulator.wire import iso
from app.simulator.world import Message, World

DOES = ("pick_up", "machine", "press", "hang_up")
KEY = re.compile(r"[0-9*#]\Z")
NUMBER = re.compile(r"\+?([1-9]\d{6,14})\Z")


def e164(text: str) -> str:
    """A phone number from an address of ours. Raises HTTPException 404 when it is none."""
    if not (found := NUMBER.match(text.strip())):
        raise HTTPException(404, f"{text[:40]!r} is no phone number; write it like +12065550141.")
    return "+" + found[1]


def choose_question(world: World, number: str, body: str) -> str:
    """The SID of the text that a hand-written answer is about, for the unanswered marks; empty when it is none."""
    if body.strip()[:1] not in ("1", "2", "3"):
        return ""
    texts = world.phone(number).texts
    return next((text.sid for text in reversed(texts) if text.asks and not text.answered), "")


class Control:
    """The routes under /simulator/."""

    def __init__(
        self, world: World, outside: Outside, people: People, faults: Faults, switchboard: Switchboard
    ) -> None:
        self.world = world
        self.switchboard = switchboard
        self.outside = outside
        self.people = people
        self.faults = faults

    def routes(self) -> list[Route]:
        """The routes, each behind the same guard."""
        return [
            Route("/simulator/stats", self._guarded(self.stats)),
            Route("/simulator/messages", self._guarded(self.messages)),
            Route("/simulator/calls", self._guarded(self.calls)),
            Route("/simulator/phones/{number}/call", self._guarded(self.hold), methods=["POST"]),
            Route("/simulator/emails", self._guarded(self.emails)),
            Route("/simulator/faults", self._guarded(self.faults_now)),
            Route("/simulator/faults", self._guarded(self.change_faults), methods=["POST"]),
            Route("/simulator/phones/{number}/reply", self._guarded(self.reply), methods=["POST"]),
            Route("/simulator/reset", self._guarded(self.reset), methods=["POST"]),
        ]

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                known_host(request, self.world.config.host)
                from_here(request)
                return await handler(request)
            except HTTPException as error:
                return JSONResponse({"error": error.detail}, error.status_code)

        return guarded

    @staticmethod
    async def _json(request: Request) -> dict[str, object]:
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            raise HTTPException(400, "The body is not JSON.") from None
        if not isinstance(body, dict):
            raise HTTPException(400, "The body must be a JSON object.")
        return body

    async def stats(self, request: Request) -> Response:
        """Counts since the journal began.

        `duplicates`: copies that one number may get twice, by staff link or words; a second try after the first has
        failed counts as one of `tries_after_failure` instead. `duplicates_delivered`: copies that did reach the phone.
        """
        world, counts = self.world, self.world.counts
        reached: dict[tuple[str, str], int] = {}
        alive: dict[tuple[str, str], int] = {}
        pending = 0
        for message in world.listing:
            if message.direction != "outbound-api":
                continue
            key = (message.to, world.copy_key(message.text))
            if message.status not in ("failed", "undelivered", "canceled"):
                alive[key] = alive.get(key, 0) + 1
            if message.status == "delivered":
                reached[key] = reached.get(key, 0) + 1
            if message.plan is not None and message.callback:
                pending += len(message.plan.receipts) - len(message.receipts)
        return JSONResponse(
            {
                "simulated": True,
                "auto": world.config.auto,
                "accepted": counts["accepted"],
                "distinct": len(world.copies),
                "duplicates": sum(alive.values()) - len(alive),
                "tries_after_failure": counts["accepted"] - len(world.copies) - (sum(alive.values()) - len(alive)),
                "duplicates_delivered": sum(reached.values()) - len(reached),
                "refused": {str(code): count for code, count in sorted(world.refusals.items())},
                "inbound": counts["inbound"],
                "inbound_answered": counts["inbound_answered"],
                "inbound_failed": counts["inbound_failed"],
                "emails": counts["emails"],
                "email_duplicates": counts["emails"] - len(world.mail_copies),
                "callbacks": {
                    "delivered": counts["receipt_ok"],
                    "refused": counts["receipt_refused"],
                    "gave_up": counts["receipt_gave_up"],
                    "off": counts["receipt_off"],
                    "retries": counts["receipt_retries"],
                    "pending": max(0, pending),
                },
                "calls": {
                    "accepted": len(world.calls.listing),
                    "duplicates": len(world.calls.listing) - len(world.calls.copies),
                    "by_status": dict(Counter(call.status for call in world.calls.listing)),
                    "reports": dict(world.calls.receipts),
                },
                "phones": len(world.phones),
                "opted_out": sum(phone.opted_out for phone in world.phones.values()),
                "scheduled": len(world.scheduler),
            }
        )

    def message(self, message: Message) -> dict[str, object]:
        """One text as the controls show it."""
        plan = message.plan
        done = [plan.receipts[i].status for i in sorted(message.receipts)] if plan else []
        return {
            "sid": message.sid,
            "to": message.to,
            "from": message.sender,
            "direction": message.direction,
            "body": message.text,
            "code": message.code,
            "status": message.status,
            "error_code": message.error or None,
            "created": iso(message.created),
            "sent": iso(message.sent),
            "status_callback": message.callback,
            "receipts": done,
            "fate": message.fate.key,
            "answered": message.answered or None,
            "media": list(message.media),
        }

    async def messages(self, request: Request) -> Response:
        """Every accepted outgoing text, oldest first; `?to=` a number's, `?direction=` inbound or all."""
        world, query = self.world, request.query_params
        to, direction = query.get("to"), query.get("direction", "outbound-api")
        found = world.phone(e164(to)).texts if to else world.listing
        shown = [self.message(text) for text in found if direction in ("all", text.direction)]
        return JSONResponse({"messages": shown})

    @staticmethod
    def call(call: Call) -> dict[str, object]:
        """One call as the controls show it."""
        return {
            "sid": call.sid, "to": call.to, "from": call.sender, "status": call.status, "url": call.url,
            "answered_by": call.answered_by or None, "created": iso(call.created), "picked_up": iso(call.picked_up),
            "ended": iso(call.ended), "course": [status for status, _ in call.course],
            "reported": [call.course[index][0] for index in sorted(call.receipts)],
            "said": [heard.text for heard in call.heard if heard.kind == "says"],
            "languages": [heard.language for heard in call.heard if heard.kind == "says"],
            "pressed": call.pressed, "fate": call.fate.key,
        }  # fmt: skip

    async def calls(self, request: Request) -> Response:
        """Every accepted call, oldest first; `?to=` a number's."""
        to = request.query_params.get("to")
        found = self.world.calls.by_to.get(e164(to), []) if to else self.world.calls.listing
        return JSONResponse({"calls": [self.call(call) for call in found]})

    async def hold(self, request: Request) -> Response:
        """What the person at the phone does now: `pick_up`, `press` a `key`, `hang_up`; or a `machine` picks up.

        Answers with the call when the customer has said what follows, 409 when nothing rings or is spoken there.
        """
        number = e164(request.path_params["number"])
        asked = await self._json(request)
        call = self.switchboard.ringing(number)
        if call is None:
            return JSONResponse({"error": "this phone does not ring, and nobody is on the line."}, 409)
        does, key = asked.get("do"), asked.get("key", "")
        if does not in DOES or (does == "press" and not (isinstance(key, str) and KEY.match(key))):
            said = f"do must be one of {', '.join(DOES)}; press needs a key, one of 0 to 9, * and #."
            return JSONResponse({"error": said}, 422)
        if not await self.switchboard.does(call, str(does), str(key)):
            return JSONResponse({"error": "the phone does not ring any more, or nobody is on the line."}, 409)
        return JSONResponse(self.call(call))

    async def emails(self, request: Request) -> Response:
        """Every stored mail, oldest first; `?to=` one address's."""
        to = request.query_params.get("to")
        found = self.world.mailboxes.get(to.lower(), []) if to else list(self.world.emails.values())
        return JSONResponse(
            {
                "emails": [
                    {
                        "id": mail.id, "to": mail.to, "envelope_from": mail.sender, "from": mail.from_header,
                        "reply_to": mail.reply_to, "subject": mail.subject, "message_id": mail.message_id,
                        "text": mail.text, "html": mail.html, "at": iso(mail.at), "answer": mail.answer,
                    }
                    for mail in found
                ]
            }
        )  # fmt: skip

    async def faults_now(self, request: Request) -> Response:
        """The faults that are on."""
        return JSONResponse(self.faults.shown())

    async def change_faults(self, request: Request) -> Response:
        """Switch faults on or off; answers with what is on now."""
        try:
            self.faults.change(await self._json(request))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse(self.faults.shown())

    async def reply(self, request: Request) -> Response:
        """Send a text from a phone now; answers with Muster's answer, once it is there."""
        number = e164(request.path_params["number"])
        asked = await self._json(request)
        body, media = asked.get("body", ""), asked.get("media", [])
        if not isinstance(media, list) or len(media) > MOST or not all(kind in SAMPLES for kind in media):
            known = ", ".join(SAMPLES)
            return JSONResponse({"error": f"media must be a list of at most {MOST} content types: {known}."}, 422)
        if not isinstance(body, str) or len(body) > 1600 or not _is_text(body) or not (body or media):
            return JSONResponse({"error": "body must be a text of 1 to 1600 characters, or blank with media."}, 422)
        incoming = self.outside.receive(number, body, done=choose_question(self.world, number, body), media=media)
        status, twiml = await self.outside.post_incoming(incoming)
        return JSONResponse({"sid": incoming.sid, "status": status, "twiml": twiml, "replies": incoming.replies})

    async def reset(self, request: Request) -> Response:
        """Forget everything and switch every fault off."""
        self.world.reset()
        self.outside.forget()
        self.switchboard.forget()
        self.faults.change(dict.fromkeys((*CHOICES, "latency_ms", "lag_seconds")))
        return JSONResponse({"reset": True})


def _is_text(body: str) -> bool:
    """No half characters: nothing that a phone can send."""
    try:
        body.encode()
    except UnicodeEncodeError:
        return False
    return True
