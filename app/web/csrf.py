"""Proof that a form was served by us to this very session; every signed-in POST bears it."""

from __future__ import annotations

from datetime import datetime

from app.kernel.errors import Forbidden
from app.kernel.ids import Signer, hash_secret

FIELD = "csrf"
_PURPOSE = "csrf"
MAX_AGE_SECONDS = 12 * 3600
"""As long as a session lasts: a form that was left open overnight still works while its session does."""


def issue(signer: Signer, session_secret: str, now: datetime) -> str:
    """A token for the forms of one page, bound to the browser's session."""
    return signer.nonce(_PURPOSE, hash_secret(session_secret), now)


def check(signer: Signer, session_secret: str, token: str, now: datetime) -> None:
    """Raises Forbidden unless the token was issued for this session and is not too old."""
    if not signer.nonce_ok(_PURPOSE, hash_secret(session_secret), token, now, MAX_AGE_SECONDS):
        raise Forbidden(
            "This page has expired. Nothing was changed. Go back, reload the page and press the button again."
        )
