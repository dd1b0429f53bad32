"""Twilio over HTTP, whatever the channel: the `twilio` package on our own transport, and what its answers prove."""

from __future__ import annotations

import contextlib
import functools
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from app.channels.port import Health, Kind, Listed, Outcome, ProviderDown, StillOurs
from app.kernel.logs import redact

log = logging.getLogger("muster.channels.twilio")

REQUEST_TIMEOUT = httpx2.Timeout(15.0, connect=5.0, pool=10.0)

TEMPORARY_CODES = frozenset({10004, 20429, 21611, 30001, 30022, 63017})
"""Refusals at hand-over that pass by themselves: the same attempt waits and is tried again. 10004: too many calls at
once."""

DAY_USED_UP = 63038

ACCOUNT_STATUSES = frozenset({401, 403, 404})
ACCOUNT_CODES = frozenset({20003, 20005, 20008, 20403, 20404})
"""Wrong login, suspended account, test credentials, forbidden, no such account."""

UNREADABLE = (TwilioException, httpx2.HTTPError, ValueError, KeyError, TypeError)
"""What reading the provider's records may raise."""

LIST_LIMIT = 1000
"""One page, as long as they come: on a phone that many share, one entry must not lie behind the newer ones."""


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


class Account:
    """One account of ours, for every channel that goes over it."""

    def __init__(self, account_sid: str, auth_token: str, api_base_url: str) -> None:
        self.sid = account_sid
        self.transport = Transport()
        # An environment of its own: TWILIO_EDGE and TWILIO_REGION around us would break the base URL.
        self.client = Client(account_sid, auth_token, http_client=self.transport, environment={"TWILIO": ""})
        self.client.api.base_url = api_base_url

    async def hand_over(self, create: Callable[[], Awaitable[Any]], still_ours: StillOurs) -> Outcome:
        """Makes one request that creates something at the provider, and reads what its answer proves. Never raises."""
        call = _Call(still_ours)
        token = _call.set(call)
        try:
            made = await create()
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
            return Outcome(Kind.UNKNOWN, reason="an answer without an id")
        return Outcome(Kind.ACCEPTED, provider_message_id=made.sid)

    async def read(self, fetch: Callable[[], Awaitable[Any]], listed: Callable[[Any], Listed]) -> Listed | None:
        """One thing in the provider's records; None when there is none such. Raises ProviderDown."""
        try:
            return listed(await fetch())
        except TwilioRestException as error:
            if error.status == 404:
                return None
            raise ProviderDown(f"HTTP {error.status}") from error
        except UNREADABLE as error:
            raise ProviderDown(type(error).__name__) from error

    async def check(self) -> Health:
        try:
            account = await self.client.api.v2010.accounts(self.sid).fetch_async()
        except TwilioRestException as error:
            if error.status in (401, 403):
                return Health(
                    False, "Twilio refuses the account SID or auth token; check both settings", misconfigured=True
                )
            return Health(False, f"Twilio answers with an error ({error.status})")
        except UNREADABLE:
            return Health(False, "Twilio cannot be reached; check the network and MUSTER_TWILIO_API_BASE_URL")
        status = str(getattr(account.status, "value", account.status))
        if status != "active":
            return Health(False, f"the Twilio account is {status}, not active", misconfigured=True)
        return Health(True, "Twilio answers and takes our credentials")

    async def close(self) -> None:
        await self.transport.close()


def read_refusal(status: object, code: object, message: str) -> Outcome:
    """What an error answer to a hand-over proves. `status` and `code` are as the provider wrote them.

    429 and the temporary codes: nothing was taken, and it is for later; but a day that is used up (63038, which comes
    with 429 too) is no matter of seconds. Any 5xx: not known, they may have it. 401, 403 and 404 are about
    our account and not about this message: nothing was taken, and it waits until the operator has put that right.
    Other 4xx: refused for good.
    """
    status, code = _number(status) or 0, _number(code)
    if code != DAY_USED_UP and (status == 429 or code in TEMPORARY_CODES):
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
