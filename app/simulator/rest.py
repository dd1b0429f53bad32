"""Twilio's REST API, as the `twilio` package and Muster speak it. Raw ASGI: this is the path that must be fast.

Being below any framework also lets it do what a broken carrier does: cut a connection without an answer.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import re
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from app.simulator.call_rest import CallsApi
from app.simulator.carrier import Carrier
from app.simulator.exchange import (
    E164,
    FAULT_HANDOVER,
    NoAnswer,
    answer,
    answer_with,
    cut,
    handover_of,
    hang,
    is_url,
    read_form,
)
from app.simulator.faults import Faults
from app.simulator.media import SAMPLES, media_of
from app.simulator.problems import Problem, problem
from app.simulator.resources import (
    MESSAGE_FILTERS,
    account_json,
    caller_ids_json,
    matches,
    media_json,
    message_json,
    numbers_json,
    page_json,
)
from app.simulator.world import Message, World

log = logging.getLogger(__name__)

PREFIX = "/2010-04-01/Accounts/"
SERVICE = re.compile(r"MG[0-9a-f]{32}\Z")
MEDIA = re.compile(r"/Messages/(SM[0-9a-f]{32})/Media(?:\.json|/(ME[0-9a-f]{32}))\Z")
MESSAGE = re.compile(r"/Messages/(SM[0-9a-f]{32})\.json\Z")
CALL = re.compile(r"/Calls/(CA[0-9a-f]{32})\.json\Z")


class TwilioApi:
    """The REST API of one account, as an ASGI callable for paths under /2010-04-01/Accounts/."""

    def __init__(self, world: World, carrier: Carrier, calls: CallsApi, faults: Faults) -> None:
        self.world = world
        self.carrier = carrier
        self.calls = calls
        self.faults = faults
        self.started = world.now()
        config = world.config
        self._secret = f"{config.account_sid}:{config.auth_token}".encode()
        self._base = PREFIX + config.account_sid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if self.faults.on.get("http") == "down":
                self.faults.take("http")
                raise NoAnswer
            self._authenticate(scope)
            if medium := self._medium(scope):
                await answer_with(send, *medium)
                return
            status, body = await self._route(scope, receive, send)
        except Problem as found:
            status, body = found.status, found.body()
        except NoAnswer:
            await cut(receive, send)
            return
        except OSError:
            log.exception("the simulator could not write its journal")
            broken = problem(20500)
            status, body = broken.status, broken.body()
        await answer(send, status, body)

    def _authenticate(self, scope: Scope) -> None:
        given = b""
        for name, value in scope["headers"]:
            if name == b"authorization" and value[:6].lower() == b"basic ":
                try:
                    given = base64.b64decode(value[6:], validate=True)
                except (binascii.Error, ValueError):
                    given = b""
        if not hmac.compare_digest(given, self._secret):
            raise problem(20003)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> tuple[int, dict[str, object]]:
        path, method = scope["path"], scope["method"]
        rest = path.removeprefix(self._base)
        if rest != path:
            if rest == "/Messages.json":
                if method == "POST":
                    return await self._create(await read_form(receive), receive, send)
                if method == "GET":
                    return 200, self._list(self._query(scope))
            elif found := MESSAGE.match(rest):
                message = self.world.messages.get(found[1])
                if message is not None and message.listed and method in ("GET", "POST"):
                    if method == "POST":
                        self._update(message, await read_form(receive))
                    return 200, message_json(message, self.world.config.account_sid)
            elif (found := MEDIA.match(rest)) and method == "GET" and not found[2]:
                message = self.world.messages.get(found[1])
                if message is not None and message.listed:
                    return 200, media_json(message, self.world.config.account_sid)
            elif rest == "/Calls.json":
                if method == "POST":
                    return await self.calls.create(receive)
                if method == "GET":
                    return 200, self.calls.listed(self._query(scope))
            elif found := CALL.match(rest):
                call = self.world.calls.by_sid.get(found[1])
                if call is not None and method in ("GET", "POST"):
                    if method == "POST":
                        self.calls.update(call, await read_form(receive))
                    return 200, self.calls.show(call)
            elif method == "GET" and rest == ".json":
                return 200, account_json(self.world.config, self.started)
            elif method == "GET" and rest == "/IncomingPhoneNumbers.json":
                return 200, numbers_json(self.world.config, self._query(scope), self.started)
            elif method == "GET" and rest == "/OutgoingCallerIds.json":
                return 200, caller_ids_json(self.world.config)
        raise problem(20404, path=path)

    def _medium(self, scope: Scope) -> tuple[str, bytes] | None:
        """What is at the address of a medium: its content type and itself; None for any other address."""
        found = MEDIA.match(scope["path"].removeprefix(self._base))
        if found is None or not found[2] or scope["method"] != "GET":
            return None
        message = self.world.messages.get(found[1])
        kind = media_of(message.sid, message.media).get(found[2]) if message is not None else None
        if kind is None:
            raise problem(20404, path=scope["path"])
        return kind, SAMPLES[kind]

    @staticmethod
    def _query(scope: Scope) -> dict[str, str]:
        return dict(parse_qsl(scope["query_string"].decode("ascii", "replace"), keep_blank_values=True))

    def _list(self, query: dict[str, str]) -> dict[str, object]:
        fault = self.faults.take("list")
        if fault == "500":
            raise problem(20500)
        source = self.world.by_to.get(query["To"], []) if query.get("To") else self.world.listing
        newest = 0.0 if fault == "empty" else self.world.now() - self.faults.lag if fault == "lagging" else float("inf")
        try:
            found = [m for m in reversed(source) if m.created <= newest and matches(m, query)]
            account = self.world.config.account_sid
            return page_json(found, query, account, "Messages", lambda m: message_json(m, account), MESSAGE_FILTERS)
        except ValueError:
            raise problem(30400) from None

    def _update(self, message: Message, form: dict[str, str]) -> None:
        if form.get("Status") == "canceled" and "Body" not in form:
            if not self.carrier.cancel(message):
                raise problem(30409)
        elif form.get("Body") == "" and "Status" not in form:
            if not self.carrier.redact(message):
                raise problem(20009)
        else:
            raise problem(30400)

    def _check(self, form: dict[str, str]) -> tuple[str, str, str | None, str | None]:
        """To, body, Messaging Service and callback of a send that is well formed. Raises Problem."""
        to, body = form.get("To", "").strip(), form.get("Body", "")
        sender, service = form.get("From", "").strip(), form.get("MessagingServiceSid", "").strip()
        callback = form.get("StatusCallback", "").strip()
        words = {"to": to, "from": sender, "callback": callback, "service": service}
        code = 0
        if not to:
            code = 21604
        elif not sender and not service:
            code = 21603
        elif service and not SERVICE.match(service):
            code = 21705
        elif sender == "+15005550001" or (sender and not E164.match(sender)):
            code = 21212
        elif sender == "+15005550008":
            code = 21611
        elif sender and sender != self.world.config.sender:
            code = 21606
        elif not E164.match(to):
            code = 21211
        elif to == self.world.config.sender:
            code = 21266
        elif not body:
            code = 21602
        elif len(body) > 1600:
            code = 21617
        elif callback and not is_url(callback):
            code = 21609
        elif (validity := form.get("ValidityPeriod")) and not (validity.isdecimal() and 1 <= int(validity) <= 36000):
            code = 21624
        if code:
            raise problem(code, **words)
        return to, body, service or None, callback or None

    async def _create(self, form: dict[str, str], receive: Receive, send: Send) -> tuple[int, dict[str, object]]:
        fault = self.faults.take("http")
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        if fault == "hang_before":
            await hang(receive)
        to, body, service, callback = self._check(form)
        handover = FAULT_HANDOVER.get(fault) or handover_of(self.world, to)
        if handover == "unavailable":
            raise problem(20503)
        if handover == "busy":
            raise problem(20429)
        if handover == "cut":
            raise NoAnswer
        if code := self.carrier.refusal(to):
            self.carrier.refuse(to, code)
            raise problem(code, to=to, **{"from": form.get("From", "")})
        message = self.carrier.accept(to, body, service=service, callback=callback)
        shown = message_json(message, self.world.config.account_sid)
        if handover == "receipt_first" and callback:
            await self._first_receipt(message)
        elif handover == "hang_accepted":
            await hang(receive)
        elif handover == "error_accepted":
            raise problem(20500)
        elif handover == "cut_accepted":
            raise NoAnswer
        return 201, shown

    async def _first_receipt(self, message: Message) -> None:
        """Answer only after the first receipt was taken (2 s at most): the receipt overtakes the answer."""
        for _ in range(400):
            if message.receipts:
                return
            await asyncio.sleep(0.005)
