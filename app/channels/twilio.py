"""SMS through Twilio's REST API: the `twilio` package, over an HTTP transport of our own."""

from __future__ import annotations

import contextlib
import functools
import hmac
import logging
import ssl
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from app.channels.port import (
    Capabilities,
    Examined,
    Health,
    Heard,
    Kind,
    Listed,
    Outcome,
    Outgoing,
    ProviderDown,
    StillOurs,
)
from app.kernel.logs import redact

log = logging.getLogger("muster.channels.twilio")

REQUEST_TIMEOUT = httpx2.Timeout(15.0, connect=5.0, pool=10.0)

TEMPORARY_CODES = frozenset({20429, 21611, 30001, 30022, 63017})
"""Refusals at hand-over that pass by themselves: the same attempt waits and is tried again."""

ACCOUNT_STATUSES = frozenset({401, 403, 404})
ACCOUNT_CODES = frozenset({20003, 20005, 20008, 20403, 20404})
"""Wrong login, suspended account, test credentials, forbidden, no such account."""

LIST_LIMIT = 1000
"""One page, as long as they come: on a phone that many share, a message must not lie behind the newer ones."""

PAGE_SIZE = 1000
MOST_TEXTS = 20_000
"""Incoming texts are read in pages of so many, and at most so many of them."""


@dataclass
class _Call:
    """One request under way: the question to ask before bytes leave, and whether any have left."""

    still_ours: StillOurs
    began: bool = False


_call: ContextVar[_Call | None] = ContextVar("muster_twilio_call", default=None)


class _LeaseEnded(Exception):
    pass


async def _trace(event: str, _info: Mapping[str, Any]) -> None:
    """Looks at the lease once more at the last moment: before the headers, and again before the body.

    Without its body a request means nothing to the server, so stopping at either place has sent nothing.
    """
    call = _call.get()
    if call is None:
        return
    if event.endswith(("send_request_headers.started", "send_request_body.started")):
        if not call.still_ours():
            raise _LeaseEnded
        call.began = True


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whom to believe: reading all those certificates takes a twentieth of a second, once for all pools."""
    return httpx2.create_ssl_context(trust_env=False)


class Transport(AsyncHttpClient):  # type: ignore[misc]  # the package is untyped
    """The package's HTTP client interface, on httpx2: small pools, our time-outs, our look at the lease.

    A pool looks at each of its connections for each of its requests, so one large pool spends most of its time on
    that: many small ones carry the same number in flight at a fraction of the work.
    """

    def __init__(self, *, pools: int = 24, connections_each: int = 8) -> None:
        super().__init__(logging.getLogger("muster.channels.twilio.http"), is_async=True)
        limits = httpx2.Limits(max_connections=connections_each, max_keepalive_connections=connections_each)
        self._pools = [
            httpx2.AsyncClient(timeout=REQUEST_TIMEOUT, limits=limits, trust_env=False, verify=_trusted())
            for _ in range(pools)
        ]
        self._in_flight = [0] * pools
        self.ahead: timedelta | None = None
        """The provider's clock minus ours, from the last answer that told its time."""

    def be_patient(self, timeout: httpx2.Timeout) -> None:
        """Other time-outs than the usual ones."""
        for pool in self._pools:
            pool.timeout = timeout

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the package's signature)
        allow_redirects: bool = False,
    ) -> Response:
        # The least busy one; among equals the first, whose connections are the warmest.
        place = self._in_flight.index(min(self._in_flight))
        self._in_flight[place] += 1
        try:
            response = await self._pools[place].request(
                method,
                uri,
                # None and not {}: the address of a list's next page has a query of its own, which {} would cut off.
                params=_flat(params) or None,
                content=urlencode(_flat(data), doseq=True) if data else None,
                headers=headers,
                auth=auth,
                follow_redirects=False,
                extensions={"trace": _trace},
            )
        finally:
            self._in_flight[place] -= 1
        if told := response.headers.get("date"):
            with contextlib.suppress(ValueError, TypeError):
                self.ahead = parsedate_to_datetime(told) - datetime.now(UTC)
        return Response(response.status_code, response.text, response.headers)

    async def close(self) -> None:
        for pool in self._pools:
            await pool.aclose()

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()


def _flat(given: dict[str, object] | None) -> dict[str, Any]:
    return {name: value for name, value in (given or {}).items() if value is not values.unset}


class TwilioSms:
    channel = "sms"
    name = "twilio"
    capabilities = Capabilities(reports_status=True, lists_messages=True)

    def __init__(self, account_sid: str, auth_token: str, sender: str, api_base_url: str) -> None:
        self.account_sid = account_sid
        self.sender = sender
        self.transport = Transport()
        # An environment of its own: TWILIO_EDGE and TWILIO_REGION around us would break the base URL.
        self.client = Client(account_sid, auth_token, http_client=self.transport, environment={"TWILIO": ""})
        self.client.api.base_url = api_base_url

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome:
        call = _Call(still_ours)
        token = _call.set(call)
        service = self.sender.startswith("MG")
        try:
            made = await self.client.messages.create_async(
                to=message.to,
                body=message.text,
                from_=values.unset if service else self.sender,
                messaging_service_sid=self.sender if service else values.unset,
                status_callback=message.callback_url or values.unset,
                validity_period=max(1, min(36_000, message.validity_seconds)),
            )
        except _LeaseEnded:
            return Outcome(Kind.FENCED)
        except TwilioRestException as error:
            return read_refusal(error.status, error.code, str(error.msg))
        except TwilioServiceException as error:  # the same, told as application/problem+json
            return read_refusal(error.status, error.code, str(error.detail or error.title))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol):
            return Outcome(Kind.LATER, reason="the provider cannot be reached", down=True)
        except httpx2.HTTPError as error:
            if not call.began:
                return Outcome(Kind.LATER, reason="the provider cannot be reached", down=True)
            return Outcome(Kind.UNKNOWN, reason=f"no answer ({type(error).__name__})", down=True)
        except (TwilioException, ValueError, KeyError, TypeError, AttributeError) as error:
            # A 2xx whose body we cannot read: they may well have it.
            log.warning("unreadable answer from the provider: %s", type(error).__name__)
            return Outcome(Kind.UNKNOWN, reason="an answer that cannot be read")
        finally:
            _call.reset(token)
        if not isinstance(made.sid, str) or not made.sid:
            return Outcome(Kind.UNKNOWN, reason="an answer without a message id")
        return Outcome(Kind.ACCEPTED, provider_message_id=made.sid)

    async def sent_to(self, address: str, *, limit: int = LIST_LIMIT) -> Sequence[Listed]:
        # By To alone: messages that are not yet sent lack a date and would be missed by a date filter.
        try:
            found = await self.client.messages.list_async(to=address, limit=limit)
        except (TwilioException, httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ProviderDown(type(error).__name__) from error
        return [_listed(entry) for entry in found if str(entry.direction).startswith("outbound")]

    async def read(self, provider_message_id: str) -> Listed | None:
        try:
            return _listed(await self.client.messages(provider_message_id).fetch_async())
        except TwilioRestException as error:
            if error.status == 404:
                return None
            raise ProviderDown(f"HTTP {error.status}") from error
        except (TwilioException, httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ProviderDown(type(error).__name__) from error

    async def received(self, *, since: datetime) -> Sequence[Heard]:
        try:
            ours = [self.sender]
            if self.sender.startswith("MG"):
                numbers = await self.client.incoming_phone_numbers.list_async(limit=LIST_LIMIT)
                ours = [str(entry.phone_number) for entry in numbers]
            # The filter has a day's grain; the caller looks at the time itself.
            day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            found = [entry for number in ours for entry in await self._texts_to(number, day, since)]
        except (TwilioException, httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ProviderDown(type(error).__name__) from error
        return [
            Heard(sid=str(entry.sid), sender=str(entry.from_), body=str(entry.body or ""), at=entry.date_created)
            for entry in found
            if str(entry.direction) == "inbound" and entry.date_created is not None
        ]

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
        try:
            account = await self.client.api.v2010.accounts(self.account_sid).fetch_async()
        except TwilioRestException as error:
            if error.status in (401, 403):
                return Health(False, "Twilio refuses the account SID or auth token; check both settings")
            return Health(False, f"Twilio answers with an error ({error.status})")
        except (TwilioException, httpx2.HTTPError, ValueError, KeyError, TypeError):
            return Health(False, "Twilio cannot be reached; check the network and MUSTER_TWILIO_API_BASE_URL")
        status = str(getattr(account.status, "value", account.status))
        if status != "active":
            return Health(False, f"the Twilio account is {status}, not active")
        return Health(True, "Twilio answers and takes our credentials")

    async def examine(self, inbound_url: str) -> dict[str, Examined]:
        try:
            if self.sender.startswith("MG"):
                return await self._examine_service(inbound_url)
            numbers = await self.client.incoming_phone_numbers.list_async(phone_number=self.sender, limit=20)
        except TwilioRestException as error:
            if error.status == 404:
                return {"sender": Examined(False, "the account has no such sender; check MUSTER_TWILIO_SENDER")}
            return {}  # `check` says what is wrong
        except (TwilioException, httpx2.HTTPError, ValueError, KeyError, TypeError):
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
        await self.transport.close()


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


def read_refusal(status: object, code: object, message: str) -> Outcome:
    """What an error answer to a hand-over proves. `status` and `code` are as the provider wrote them.

    429 and the temporary codes: nothing was taken. Any 5xx: not known, they may have it. 401, 403 and 404 are about
    our account and not about this message: nothing was taken, and it waits until the operator has put that right.
    Other 4xx: refused for good.
    """
    status, code = _number(status) or 0, _number(code)
    if status == 429 or code in TEMPORARY_CODES:
        slow_down = "the provider asks us to slow down"
        return Outcome(Kind.LATER, error_code=code or 20429, reason=slow_down, retry_after=1.0)
    if status >= 500:
        return Outcome(Kind.UNKNOWN, error_code=code, reason=f"the provider answered {status}", down=True)
    if status in ACCOUNT_STATUSES and (code in ACCOUNT_CODES or code == status or code is None):
        log.error("the provider refuses our account (HTTP %s, code %s): check its SID, token and state", status, code)
        return Outcome(Kind.LATER, error_code=code, reason="the provider refuses our account", down=True)
    if status >= 400:
        return Outcome(Kind.REJECTED, error_code=code or status, reason=redact(" ".join(message.split()))[:200])
    return Outcome(Kind.UNKNOWN, error_code=code, reason=f"the provider answered {status}")


def _number(given: object) -> int | None:
    """A status or code as a number that a column can hold; None for anything else."""
    text = str(given).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) else None


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
