"""One exchange with the customer, below any framework: read a form, answer, hold or cut the connection."""

import asyncio
import json
import re
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from starlette.types import Receive, Send

from app.simulator.fates import Handover
from app.simulator.faults import abort
from app.simulator.problems import problem
from app.simulator.world import World

E164 = re.compile(r"\+[1-9]\d{6,14}\Z")
MAX_BODY = 64 * 1024
HANG_SECONDS = 60.0

# What a switched-on fault does to one send, in the words of the fates.
FAULT_HANDOVER: dict[str, Handover] = {
    "503": "unavailable",
    "429": "busy",
    "cut_before": "cut",
    "hang": "hang_accepted",
    "500": "error_accepted",
    "cut": "cut_accepted",
}


class NoAnswer(Exception):
    """The connection was cut, or the client gave up: there is nothing to answer."""


async def cut(receive: Receive, send: Send) -> None:
    """Cut the connection under a request, and wait until the server has noticed.

    ASGI has no word for it; `send` is a method of uvicorn's cycle, which holds the transport. Without one the server
    answers 500 by itself, which the customer must bear too.
    """
    if abort(getattr(getattr(send, "__self__", None), "transport", None)):
        await _until_gone(receive, 1.0)


async def _until_gone(receive: Receive, seconds: float) -> None:
    """Wait until the client gives up, or `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass


async def answer(send: Send, status: int, body: dict[str, object]) -> None:
    """Send one JSON answer."""
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json;charset=utf-8"), (b"content-length", b"%d" % len(content))]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="Twilio API"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def answer_with(send: Send, kind: str, content: bytes) -> None:
    """Send a medium."""
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def read_form(receive: Receive) -> dict[str, str]:
    """The form of a request, blank values kept, the last of a repeated name. Raises Problem for what is no form."""
    return dict(await read_pairs(receive))


async def read_pairs(receive: Receive) -> list[tuple[str, str]]:
    """The form of a request with names as often as they were given. Raises Problem for what is no form."""
    body = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise NoAnswer
        body += event.get("body", b"")
        if len(body) > MAX_BODY:
            raise problem(30400)
        if not event.get("more_body", False):
            break
    try:
        return parse_qsl(body.decode(), keep_blank_values=True)
    except (UnicodeDecodeError, ValueError):
        raise problem(30400) from None


async def hang(receive: Receive) -> NoReturn:
    """Hold the request until the client gives up, or a minute; then cut."""
    await _until_gone(receive, HANG_SECONDS)
    raise NoAnswer


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def handover_of(world: World, to: str) -> Handover:
    """How a hand-over to this number ends, by its fate; a fate for the first few tries counts them."""
    phone = world.phone(to)
    fate = phone.fate
    if fate.handover == "normal" or not fate.first:
        return fate.handover
    if phone.tries >= fate.first:
        return "normal"
    world.record({"e": "try", "to": to})
    return fate.handover
