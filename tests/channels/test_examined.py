"""Before the first send: whether the account owns the sender, and whether texts to it come to us."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from app.channels.twilio import TwilioSms
from tests.stack import ACCOUNT, AUTH_TOKEN

SERVICE = "MG" + "0123456789abcdef" * 2
INBOUND = "https://muster.example.org/webhooks/twilio/inbound"
NUMBER = "+15005550006"


@contextlib.asynccontextmanager
async def answering(answers: dict[str, Any], *, ahead: float = 0.0) -> AsyncIterator[str]:
    """A server that answers these paths with these documents, everything else with 404; its clock may be off."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode().split()[1].partition("?")[0]
        while (await reader.readline()).strip():
            pass
        found = answers.get(path)
        body = json.dumps(found if found is not None else {"code": 20404, "message": "not found", "status": 404})
        told = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
        head = f"HTTP/1.1 {'200 OK' if found is not None else '404 Not Found'}\r\nDate: {told}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def account(sender: str, answers: dict[str, Any], **more: Any) -> AsyncIterator[TwilioSms]:
    async with answering(answers, **more) as base:
        sms = TwilioSms(ACCOUNT, AUTH_TOKEN, sender, base)
        yield sms
        await sms.close()


def listed(key: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {key: list(entries), "meta": {"key": key, "next_page_url": None}, "next_page_uri": None}


def service(**more: Any) -> dict[str, Any]:
    return {"sid": SERVICE, "inbound_request_url": INBOUND, "use_inbound_webhook_on_number": False, **more}


PATH = f"/v1/Services/{SERVICE}"
POOL = {f"{PATH}/PhoneNumbers": listed("phone_numbers", {"sid": "PN1"}), f"{PATH}/ShortCodes": listed("short_codes")}
NUMBERS = f"/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json"


@pytest.mark.parametrize(
    ("sender", "answers", "owned", "inbound"),
    [
        (SERVICE, {PATH: service(), **POOL}, True, True),
        (SERVICE, {PATH: service(inbound_request_url="https://elsewhere.example/"), **POOL}, True, False),
        (SERVICE, {PATH: service(use_inbound_webhook_on_number=True), **POOL}, True, None),
        (SERVICE, {PATH: service(), **POOL, f"{PATH}/PhoneNumbers": listed("phone_numbers")}, False, "not asked"),
        (SERVICE, {}, None, "not asked"),
        (NUMBER, {NUMBERS: listed("incoming_phone_numbers", {"phone_number": NUMBER, "sms_url": INBOUND})}, True, True),
        (NUMBER, {NUMBERS: listed("incoming_phone_numbers", {"phone_number": NUMBER, "sms_url": ""})}, True, False),
        (
            NUMBER,
            {NUMBERS: listed("incoming_phone_numbers", {"phone_number": NUMBER, "capabilities": {"sms": False}})},
            False, "not asked",
        ),
        (NUMBER, {NUMBERS: listed("incoming_phone_numbers")}, False, "not asked"),
    ],
)  # fmt: skip
async def test_sender_and_inbound_address(sender: str, answers: dict[str, Any], owned: Any, inbound: Any) -> None:
    async with account(sender, answers) as sms:
        found = await sms.examine(INBOUND)
    assert found["sender"].ok is owned
    assert (found["inbound"].ok if "inbound" in found else "not asked") == inbound
    assert NUMBER not in " ".join(part.detail for part in found.values())


async def test_the_providers_clock_is_read_from_its_answers() -> None:
    async with account(NUMBER, {NUMBERS: listed("incoming_phone_numbers")}, ahead=300) as sms:
        assert sms.ahead() is None
        await sms.examine(INBOUND)
        told = sms.ahead()
    assert told is not None
    assert abs(told.total_seconds() - 300) < 5
