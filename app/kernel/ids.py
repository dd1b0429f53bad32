"""Tokens that name a row without storing a secret, and secrets that are stored only as their hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

_ID_BYTES = 5  # 1.1e12 rows
_LINK_MAC_BYTES = 7


class Signer:
    """Derives link and callback tokens from row ids with one secret key.

    A token is the id and a truncated HMAC, in lower-case base32: no look-alike signs, nothing an old
    handset breaks a link at. Nothing needs to be stored, so a leaked table or backup opens no link.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < 16:
            raise ValueError("a secret key has at least 16 characters")
        self._key = hashlib.sha256(secret.encode()).digest()

    def _mac(self, purpose: str, data: bytes) -> bytes:
        return hmac.new(self._key, purpose.encode() + b"\0" + data, hashlib.sha256).digest()

    def _token(self, purpose: str, row_id: int) -> str:
        data = row_id.to_bytes(_ID_BYTES, "big")
        raw = data + self._mac(purpose, data)[:_LINK_MAC_BYTES]
        return base64.b32encode(raw).decode().rstrip("=").lower()

    def _row_id(self, purpose: str, token: str) -> int | None:
        if len(token) != 20:
            return None
        try:
            raw = base64.b32decode(token.upper() + "====")
        except ValueError:
            return None
        data = raw[:_ID_BYTES]
        if not hmac.compare_digest(raw[_ID_BYTES:], self._mac(purpose, data)[:_LINK_MAC_BYTES]):
            return None
        return int.from_bytes(data, "big")

    def link_token(self, delivery_id: int) -> str:
        """The staff link's token: 20 characters of a-z2-7."""
        return self._token("link", delivery_id)

    def delivery_id(self, token: str) -> int | None:
        return self._row_id("link", token)

    def attempt_token(self, attempt_id: int) -> str:
        """The status callback's token for one attempt."""
        return self._token("attempt", attempt_id)

    def attempt_id(self, token: str) -> int | None:
        return self._row_id("attempt", token)

    def sign(self, purpose: str, text: str) -> str:
        """A URL-safe MAC over `text`, bound to its purpose."""
        return base64.urlsafe_b64encode(self._mac(purpose, text.encode())[:16]).decode().rstrip("=")

    def nonce(self, purpose: str, subject: str, now: datetime) -> str:
        """Proof that the page was served by us for this subject at this time."""
        issued = str(int(now.timestamp()))
        return f"{issued}.{self.sign(purpose, f'{subject}.{issued}')}"

    def nonce_ok(self, purpose: str, subject: str, nonce: str, now: datetime, max_age_seconds: int) -> bool:
        issued, _, mac = nonce.partition(".")
        if not (issued.isascii() and issued.isdigit() and len(issued) <= 12):
            return False
        expected = self.sign(purpose, f"{subject}.{issued}")
        if not hmac.compare_digest(mac.encode(), expected.encode()):
            return False
        return -60 <= now.timestamp() - int(issued) <= max_age_seconds


def new_secret(prefix: str = "") -> str:
    """A fresh random secret, about 190 bits."""
    return prefix + secrets.token_urlsafe(24)


def hash_secret(secret: str) -> str:
    """What is stored of a high-entropy secret: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
