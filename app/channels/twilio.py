"""SMS through Twilio's REST API."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from twilio.base import values
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from app.channels import twilio_media
from app.channels.media import MOST_MEDIA, Medium
from app.channels.port import (
    Capabilities,
    Examined,
    Fetched,
    Health,
    Heard,
    Listed,
    Outcome,
    Outgoing,
    ProviderDown,
    StillOurs,
)
from app.channels.twilio_http import LIST_LIMIT, UNREADABLE, Account

log = logging.getLogger("muster.channels.twilio")

PAGE_SIZE = 1000
MOST_TEXTS = 20_000
"""Incoming texts are read in pages of so many, and at most so many of them."""


class TwilioSms:
    channel = "sms"
    name = "twilio"
    capabilities = Capabilities(reports_status=True, lists_messages=True, shows_text=True)

    def __init__(self, account_sid: str, auth_token: str, sender: str, api_base_url: str) -> None:
        self.sender = sender
        self.login = (account_sid, auth_token)
        self.account = Account(account_sid, auth_token, api_base_url)
        self.client = self.account.client
        self.transport = self.account.transport

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome:
        service = self.sender.startswith("MG")
        return await self.account.hand_over(
            lambda: self.client.messages.create_async(
                to=message.to,
                body=message.text,
                from_=values.unset if service else self.sender,
                messaging_service_sid=self.sender if service else values.unset,
                status_callback=message.callback_url or values.unset,
                validity_period=max(1, min(36_000, message.validity_seconds)),
            ),
            still_ours,
        )

    async def sent_to(self, address: str, *, limit: int = LIST_LIMIT) -> Sequence[Listed]:
        # By To alone: messages that are not yet sent lack a date and would be missed by a date filter.
        try:
            found = await self.client.messages.list_async(to=address, limit=limit)
        except UNREADABLE as error:
            raise ProviderDown(type(error).__name__) from error
        return [_listed(entry) for entry in found if str(entry.direction).startswith("outbound")]

    async def read(self, provider_message_id: str) -> Listed | None:
        return await self.account.read(lambda: self.client.messages(provider_message_id).fetch_async(), _listed)

    async def received(self, *, since: datetime) -> Sequence[Heard]:
        try:
            ours = [self.sender]
            if self.sender.startswith("MG"):
                numbers = await self.client.incoming_phone_numbers.list_async(limit=LIST_LIMIT)
                ours = [str(entry.phone_number) for entry in numbers]
            # The filter has a day's grain; the caller looks at the time itself.
            day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            found = [entry for number in ours for entry in await self._texts_to(number, day, since)]
        except UNREADABLE as error:
            raise ProviderDown(type(error).__name__) from error
        return [
            Heard(
                sid=str(entry.sid),
                sender=str(entry.from_),
                body=str(entry.body or ""),
                at=entry.date_created,
                media=_count(entry.num_media),
            )
            for entry in found
            if str(entry.direction) == "inbound" and entry.date_created is not None
        ]

    async def medium(self, url: str) -> Fetched:
        return await twilio_media.fetch(url, base=str(self.client.api.base_url), login=self.login)

    async def media_of(self, sid: str) -> Sequence[Medium]:
        try:
            found = await self.client.messages(sid).media.list_async(limit=MOST_MEDIA)
        except UNREADABLE as error:
            raise ProviderDown(type(error).__name__) from error
        base = str(self.client.api.base_url).rstrip("/")
        return [Medium(str(one.content_type or ""), base + str(one.uri).removesuffix(".json")) for one in found]

    async def _texts_to(self, number: str, day: datetime, since: datetime) -> list[Any]:
        """The newest first, page by page, only as far back as asked."""
        found: list[Any] = []
        async for entry in await self.client.messages.stream_async(
            to=number, date_sent_after=day, limit=MOST_TEXTS, page_size=PAGE_SIZE
        ):
            if entry.date_created is not None and entry.date_created < since:
                break
            found.append(entry)
        if len(found) == MOST_TEXTS:
            log.error("more than %d texts came in; the oldest are left with the provider", MOST_TEXTS)
        return found

    async def check(self) -> Health:
        return await self.account.check()

    async def examine(self, inbound_url: str) -> dict[str, Examined]:
        try:
            if self.sender.startswith("MG"):
                return await self._examine_service(inbound_url)
            numbers = await self.client.incoming_phone_numbers.list_async(phone_number=self.sender, limit=20)
        except TwilioRestException as error:
            if error.status == 404:
                return {"sender": Examined(False, "the account has no such sender; check MUSTER_TWILIO_SENDER")}
            return {}  # `check` says what is wrong
        except UNREADABLE:
            return {}
        ours = next((entry for entry in numbers if str(entry.phone_number) == self.sender), None)
        if ours is None:
            wrong = "the account does not own MUSTER_TWILIO_SENDER; name one of its own numbers or services"
            return {"sender": Examined(False, wrong)}
        if not (ours.capabilities or {}).get("sms", True):
            return {"sender": Examined(False, "the sender cannot send texts; take a number that can")}
        one = "the account owns the sender; one number sends about 1 part a second, a Messaging Service (MG...) more"
        return {"sender": Examined(True, one), "inbound": _inbound(str(ours.sms_url or ""), inbound_url)}

    async def _examine_service(self, inbound_url: str) -> dict[str, Examined]:
        base = self.client.api.base_url
        host = urlsplit(base).hostname or ""
        theirs = host.endswith(".twilio.com")
        # Another product of theirs, at a host of its own in the same region; elsewhere it may not exist.
        self.client.messaging.base_url = f"https://messaging.{host.removeprefix('api.')}" if theirs else base
        found = self.client.messaging.v1.services(self.sender)
        try:
            service = await found.fetch_async()
        except TwilioRestException as error:
            if theirs or error.status != 404:
                raise
            return {"sender": Examined(None, "a Messaging Service, which MUSTER_TWILIO_API_BASE_URL does not show")}
        if not await found.phone_numbers.list_async(limit=1) and not await found.short_codes.list_async(limit=1):
            return {"sender": Examined(False, "the Messaging Service has no sender in its pool; add a number to it")}
        return {
            "sender": Examined(True, "the account owns the Messaging Service, and there are senders in it"),
            "inbound": Examined(None, f"the service leaves it to each number; point all of them at {inbound_url}")
            if service.use_inbound_webhook_on_number
            else _inbound(str(service.inbound_request_url or ""), inbound_url),
        }

    def ahead(self) -> timedelta | None:
        return self.transport.ahead

    async def close(self) -> None:
        await self.account.close()


def _count(told: object) -> int:
    text = str(told or "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _listed(entry: Any) -> Listed:
    return Listed(
        provider_message_id=str(entry.sid),
        to=str(entry.to),
        body=str(entry.body or ""),
        status=str(getattr(entry.status, "value", entry.status)),
        error_code=int(entry.error_code) if entry.error_code else None,
        created_at=entry.date_created,
    )


def _inbound(told: str, wanted: str) -> Examined:
    if told.rstrip("/") == wanted:
        return Examined(True, "texts to the sender come to us")
    return Examined(False, f"texts to the sender do not come to us; in Twilio, point its incoming messages at {wanted}")


class Signatures:
    """Checks that a webhook comes from our account: signature over our own public URL, and the account's SID."""

    def __init__(self, account_sid: str, auth_token: str) -> None:
        self.account_sid = account_sid
        self._validator = RequestValidator(auth_token)

    def valid(self, url: str, form: Mapping[str, str | Sequence[str]], signature: str | None) -> bool:
        """`form` must keep blank fields: Twilio signs them too."""
        if not signature or not signature.isascii():
            return False
        expected = str(self._validator.compute_signature(url, dict(form)))
        given = form.get("AccountSid", "")
        account = given if isinstance(given, str) else ""
        # Both compared in full and in constant time, whichever is wrong.
        signed = hmac.compare_digest(expected.encode(), signature.encode())
        ours = hmac.compare_digest(account.encode(), self.account_sid.encode())
        return signed and ours
