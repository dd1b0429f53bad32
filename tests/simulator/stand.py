"""The other side of the conversation: a small receiver that stands where Muster's webhooks and staff pages would.

It is a real HTTP server on a free port, it checks nothing and remembers everything, and it answers what a test says.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from app.simulator.server import Running, Simulator, SimulatorConfig, running
from tests.patience import patience

SPEED = 2000.0
ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "a-pretend-token"
SENDER = "+15005550006"
# Two ordinary numbers whose texts happen to arrive within a third of a second.
PERSON = "+19725550192"
SOMEBODY = "+19785550140"
BODY = "Northwind outage: tills down at your site. Use cash. {link} Code {code}. Reply 1 OK, 2 need help, 3 cannot"
PAGE = """<!doctype html><form method="get" action="/search"><input name="q"></form>
<form method="post" action="{path}"><input type="hidden" name="nonce" value="n-{token}&amp;x">
<button name="response" value="ok">OK</button><button name="response" value="need_help">Help</button></form>"""


@dataclass
class Posted:
    """One request that reached the receiver."""

    path: str
    form: dict[str, str]
    headers: dict[str, str]
    at: float


def nothing(_form: dict[str, str]) -> str:
    """The TwiML that says nothing."""
    return "<Response/>"


def silence(_posted: Posted) -> str:
    """The TwiML of a call that says nothing."""
    return "<Response/>"


@dataclass
class Receiver:
    """What arrived, and what is answered: `reply` makes TwiML from an incoming form, `status` fails everything."""

    port: int = 0
    receipts: list[Posted] = field(default_factory=list)
    incoming: list[Posted] = field(default_factory=list)
    pages: list[tuple[str, str]] = field(default_factory=list)
    pressed: list[Posted] = field(default_factory=list)
    calls: list[Posted] = field(default_factory=list)
    reports: list[Posted] = field(default_factory=list)
    reply: Callable[[dict[str, str]], str] = nothing
    says: Callable[[Posted], str] = silence
    status: int = 200
    delay: float = 0.0
    html: str = PAGE

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        for kept in (self.receipts, self.incoming, self.pages, self.pressed, self.calls, self.reports):
            kept.clear()
        self.reply, self.says, self.status, self.delay, self.html = nothing, silence, 200, 0.0, PAGE

    def of(self, sid: str) -> list[str]:
        """The statuses whose receipts came for one text, in order of arrival."""
        return [got.form["MessageStatus"] for got in self.receipts if got.form["MessageSid"] == sid]

    async def _take(self, request: Request) -> Posted:
        body = (await request.body()).decode()
        form = dict(parse_qsl(body, keep_blank_values=True))
        return Posted(request.url.path, form, dict(request.headers), time.monotonic())

    async def receipt(self, request: Request) -> Response:
        posted = await self._take(request)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.status == 200:
            self.receipts.append(posted)
        return Response(status_code=204 if self.status == 200 else self.status)

    async def inbound(self, request: Request) -> Response:
        posted = await self._take(request)
        self.incoming.append(posted)
        return Response(self.reply(posted.form), self.status, media_type="text/xml")

    async def call(self, request: Request) -> Response:
        posted = await self._take(request)
        posted.path += f"?{request.url.query}" if request.url.query else ""
        self.calls.append(posted)
        return Response(self.says(posted), self.status, media_type="text/xml")

    async def report(self, request: Request) -> Response:
        posted = await self._take(request)
        if self.status == 200:
            self.reports.append(posted)
        return Response(status_code=204 if self.status == 200 else self.status)

    async def page(self, request: Request) -> Response:
        self.pages.append((request.method, request.url.path))
        token = request.path_params["token"]
        if request.method == "GET":
            return HTMLResponse(
                self.html.format(path=request.url.path, token=token), headers={"Set-Cookie": f"seen={token}"}
            )
        self.pressed.append(await self._take(request))
        return Response("Thank you")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on `port`, or on a free one."""
    receiver = Receiver()
    app = Starlette(
        routes=[
            Route("/webhooks/twilio/status/{token}", receiver.receipt, methods=["POST"]),
            Route("/webhooks/twilio/inbound", receiver.inbound, methods=["POST"]),
            Route("/webhooks/twilio/voice/{token}", receiver.call, methods=["POST"]),
            Route("/webhooks/twilio/voice/{token}/answer", receiver.call, methods=["POST"]),
            Route("/webhooks/twilio/voice/{token}/status", receiver.report, methods=["POST"]),
            Route("/a/{token}", receiver.page, methods=["GET", "POST"]),
        ]
    )
    listener = socket.create_server(("127.0.0.1", port))
    receiver.port = listener.getsockname()[1]
    server = _Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        yield receiver
    finally:
        server.should_exit = server.force_exit = True
        await task


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something to become true; fails after `seconds`."""
    deadline = time.monotonic() + patience(seconds)
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@dataclass
class Stand:
    """A running simulator with its receiver, and the real Twilio client aimed at it."""

    where: Running
    receiver: Receiver
    twilio: Client
    http: httpx2.AsyncClient

    @property
    def simulator(self) -> Simulator:
        return self.where.simulator

    def link(self, token: str) -> str:
        return f"{self.receiver.url}/a/{token}"

    def callback(self, token: str) -> str:
        return f"{self.receiver.url}/webhooks/twilio/status/{token}"

    async def send(self, to: str, token: str = "t1", code: str = "K7", **words: Any) -> str:
        """Send one bulletin through the twilio package; its SID."""
        body = str(words.pop("body", None) or BODY.format(link=self.link(token), code=code))
        asked = {"to": to, "from_": SENDER, "body": body, "status_callback": self.callback(token), **words}
        message = await asyncio.to_thread(lambda: self.twilio.messages.create(**asked))
        return str(message.sid)

    async def dial(self, to: str, token: str = "t1", **words: Any) -> str:
        """Ask for one call through the twilio package; its SID."""
        address = f"{self.receiver.url}/webhooks/twilio/voice/{token}"
        asked = {
            "to": to, "from_": SENDER, "url": address, "status_callback": f"{address}/status",
            "status_callback_event": ["initiated", "ringing", "answered", "completed"],
            "machine_detection": "DetectMessageEnd", **words,
        }  # fmt: skip
        call = await asyncio.to_thread(lambda: self.twilio.calls.create(**asked))
        return str(call.sid)

    async def call(self, sid: str) -> dict[str, Any]:
        """One call, as the controls show it."""
        answer = await self.http.get("/simulator/calls")
        return next(call for call in answer.json()["calls"] if call["sid"] == sid)

    async def phone(self, number: str, does: str, key: str = "") -> httpx2.Response:
        """What the person at a phone does in a call."""
        return await self.http.post(f"/simulator/phones/{number}/call", json={"do": does, "key": key})

    async def text(self, sid: str) -> dict[str, object]:
        """One accepted text, as the controls show it."""
        answer = await self.http.get("/simulator/messages?direction=all")
        return next(text for text in answer.json()["messages"] if text["sid"] == sid)

    async def stats(self) -> dict[str, object]:
        answer = await self.http.get("/simulator/stats")
        assert answer.status_code == 200
        found: dict[str, object] = answer.json()
        return found

    async def forget(self) -> None:
        """Begin anew, on both sides."""
        assert (await self.http.post("/simulator/reset")).status_code == 200
        self.receiver.forget()

    async def fault(self, **faults: object) -> None:
        answer = await self.http.post("/simulator/faults", json=faults)
        assert answer.status_code == 200, answer.text


def config(journal: Path, receiver: Receiver, **changes: Any) -> SimulatorConfig:
    """A configuration on free ports."""
    made = SimulatorConfig(
        http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=TOKEN, sender=SENDER,
        inbound_url=f"{receiver.url}/webhooks/twilio/inbound", journal=journal,
    )  # fmt: skip
    return replace(made, **changes)


def twilio_client(url: str, token: str = TOKEN, account: str = ACCOUNT, timeout: float = 5.0) -> Client:
    """The real package's client, aimed at the simulator."""
    client = Client(account, token, http_client=TwilioHttpClient(timeout=timeout))
    client.api.base_url = url
    return client


@contextlib.asynccontextmanager
async def standing(journal: Path, receiver: Receiver, **changes: Any) -> AsyncIterator[Stand]:
    """A simulator that runs while the block does."""
    async with running(config(journal, receiver, **changes)) as where:
        client = twilio_client(where.url)
        async with httpx2.AsyncClient(base_url=where.url, trust_env=False, verify=False, timeout=10) as http:
            try:
                yield Stand(where, receiver, client, http)
            finally:
                client.http_client.session.close()
