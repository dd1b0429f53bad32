"""Fetches what came with a text from Twilio, when a person asks for it: from the account's own address alone."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx2

from app.channels.port import Fetched, NoMedium, ProviderDown

MOST_BYTES = 20_000_000
"""More than any carrier takes with one text."""

TIMEOUT = httpx2.Timeout(20.0, connect=5.0)
_STORES = re.compile(r"(?:[a-z0-9-]+\.)*twiliocdn\.com|s3-external-1\.amazonaws\.com")
"""Where Twilio's own addresses lead on to, with a signature of theirs in the address instead of our login."""

MOST_STEPS = 3


def is_ours(url: str, base: str, account_sid: str) -> bool:
    """Whether an address is that of a medium of this account at this API."""
    try:
        asked, ours = urlsplit(url), urlsplit(base)
        same = (asked.scheme, asked.hostname, asked.port) == (ours.scheme, ours.hostname, ours.port)
    except ValueError:
        return False
    path = rf"/2010-04-01/Accounts/{re.escape(account_sid)}/Messages/[A-Za-z0-9]+/Media/[A-Za-z0-9]+"
    plain = not (asked.username or asked.password or asked.query or asked.fragment)
    return same and plain and re.fullmatch(path, asked.path) is not None


def _may_follow(url: httpx2.URL) -> bool:
    return url.scheme == "https" and url.port in (None, 443) and _STORES.fullmatch(url.host) is not None


async def fetch(url: str, *, base: str, login: tuple[str, str]) -> Fetched:
    """The medium at this address. Raises NoMedium where there is none to be had, ProviderDown where it may come yet."""
    if not is_ours(url, base, login[0]):
        raise NoMedium("its address is not one of our account at the provider")
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client:
            where, auth = httpx2.URL(url), httpx2.BasicAuth(*login)
            for step in range(MOST_STEPS):
                # Our login goes to the account's own address and nowhere else.
                given = auth if step == 0 else None
                async with client.stream("GET", where, auth=given) as answer:
                    if not answer.is_redirect:
                        return await _read(answer)
                    where = where.join(answer.headers.get("location", ""))
                if not _may_follow(where):
                    raise NoMedium("the provider leads on to an address that is not its own")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderDown(type(error).__name__) from error
    raise NoMedium("the provider leads on and on")


async def _read(answer: httpx2.Response) -> Fetched:
    if answer.status_code in (404, 410):
        raise NoMedium("the provider does not have it any more")
    if answer.status_code >= 500 or answer.status_code == 429:
        raise ProviderDown(f"HTTP {answer.status_code}")
    if answer.status_code != 200:
        raise NoMedium(f"the provider refuses it (HTTP {answer.status_code})")
    content = b""
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            raise NoMedium(f"it is larger than {MOST_BYTES // 1_000_000} MB")
    return Fetched(content)
