"""Twilio's wire forms, computed on our own from its documentation: signature, parts of a text, dates, times."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[~]|€\f")


def signature(url: str, params: Mapping[str, str], auth_token: str) -> str:
    """The `X-Twilio-Signature` of a form post: base64 HMAC-SHA1 over the URL and the sorted names and values.

    Source: twilio.com/docs/usage/security, "Validating requests".
    """
    text = url + "".join(name + params[name] for name in sorted(params))
    return base64.b64encode(hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def segments(body: str) -> int:
    """How many parts a text has: GSM-7 160 or 153 a part, UCS-2 70 or 67; a character is never split over two."""
    if GSM_BASIC.issuperset(body):
        units, whole, part = [1] * len(body) if len(body) > 160 else [], 160, 153
        if not units:
            return 1
    elif all(char in GSM_BASIC or char in GSM_EXTENDED for char in body):
        units, whole, part = [2 if char in GSM_EXTENDED else 1 for char in body], 160, 153
    else:
        units, whole, part = [2 if ord(char) > 0xFFFF else 1 for char in body], 70, 67
    if sum(units) <= whole:
        return 1
    count, used = 1, 0
    for unit in units:
        if used + unit > part:
            count, used = count + 1, 0
        used += unit
    return count


@lru_cache(maxsize=4096)
def _rfc2822(second: int) -> str:
    return formatdate(second)[:-5] + "+0000"


def rfc2822(moment: float) -> str:
    """Unix seconds as Twilio writes dates: `Sat, 21 Nov 2026 19:36:40 +0000`."""
    return _rfc2822(int(moment))


def done_date(moment: float) -> str:
    """Unix seconds as `RawDlrDoneDate`: YYMMDDhhmm, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%y%m%d%H%M")


def iso(moment: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC with milliseconds, for the simulator's own JSON."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
