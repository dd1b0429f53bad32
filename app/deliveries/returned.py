"""A mail that came back: a definite failure of its attempt, known only after the server had taken it."""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import mail_causes, reasons, repository
from app.deliveries.callbacks import Received, record_all
from app.deliveries.states import State
from app.kernel.house import House


async def came_back(
    session: AsyncSession, house: House, attempt_id: int, *, status: str, said: str, recipients: Collection[str]
) -> bool:
    """Fails the attempt with its cause, flags the address, and goes on with the ladder; False: no mail of ours.

    `status` is the enhanced status code or '', `said` the server's own words. `recipients` are whom it says that it did
    not reach: when the address of ours is not among them, it was passed on to somewhere that does not work, and is not
    flagged.
    """
    entry = await repository.attempt(session, attempt_id, lock=True)
    if entry is None or entry["channel"] != "email":
        return False
    cause = mail_causes.cause(status, said)
    if cause.flag and recipients and entry["address"] not in recipients:
        cause = mail_causes.ANY
    # Whoever sent it back may have given the mail an id of its own.
    message_id = entry["provider_message_id"] or house.signer.attempt_token(attempt_id)
    await record_all(session, house, [Received(attempt_id, message_id, cause.status)])
    told = ": ".join(part for part in (status, _plain(said, status)) if part)
    if detail := reasons.provider_words(told, entry["address"]):
        await repository.explain(session, attempt_id, f"{cause.reason} ({detail})", State.FAILED)
    return True


def _plain(said: str, status: str) -> str:
    """A server's words without the codes and the address that they begin with."""
    words = " ".join(said.split())
    return re.sub(rf"^(?:[245]\d\d[ -])?(?:{re.escape(status)}\s+)?(?:<[^>]*>:?\s*)?", "", words)


async def of_link(session: AsyncSession, delivery_id: int) -> int | None:
    """The mail that carried this delivery's link; None when none was handed over."""
    return await repository.mail_of(session, delivery_id)
