"""Takes one mail: what it is decides what follows. Each in one transaction with its place in the mailbox."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.port import Place
from app.deliveries import returned
from app.kernel.house import House
from app.mailbox import repository
from app.mailbox.parse import Kind, Mail
from app.replies import mailed

log = logging.getLogger("muster.mailbox")

place = repository.place


async def take(session: AsyncSession, house: House, mail: Mail, *, size: int, at: datetime) -> str:
    """Does what the mail asks for, once by its key; returns what became of it.

    Only a mail that a person wrote may be an answer or words of theirs, and only one that came back fails an attempt:
    both need a token that we signed.
    """
    mail_id = await repository.add(session, key=mail.key, kind=mail.kind, size=size, at=at, now=house.clock.now())
    if mail_id is None:
        return "known"
    attempt_id = await _attempt(session, house, mail)
    inbound_id: int | None = None
    match mail.kind:
        case Kind.PERSON:
            taken = await mailed.receive(
                session, house, mailed.Mailed(mail.key, mail.sender, mail.text, at, mail.media, attempt_id)
            )
            outcome, inbound_id = taken.outcome, taken.inbound_id
        case Kind.BOUNCE:
            outcome = await _came_back(session, house, mail, attempt_id)
        case _:
            outcome = "ignored"
    await repository.finish(session, mail_id, outcome=outcome, attempt_id=attempt_id, inbound_id=inbound_id)
    return outcome


async def _attempt(session: AsyncSession, house: House, mail: Mail) -> int | None:
    """The mail of ours that it is about, by the first token that we signed."""
    for token in mail.tokens:
        if (attempt_id := house.signer.attempt_id(token)) is not None:
            return attempt_id
    if mail.kind is Kind.BOUNCE:  # all that some servers send back is what the mail said, its link included
        for token in mail.tokens:
            if (delivery_id := house.signer.delivery_id(token)) is not None:
                return await returned.of_link(session, delivery_id)
    return None


async def _came_back(session: AsyncSession, house: House, mail: Mail, attempt_id: int | None) -> str:
    assert mail.returned is not None
    told = mail.returned
    if attempt_id is None or not await returned.came_back(
        session, house, attempt_id, status=told.status, said=told.diagnostic, recipients=told.recipients
    ):
        log.warning("a returned mail names none of ours, so it changes nothing")
        return "unmatched"
    return "returned"


async def read_to(session: AsyncSession, house: House, name: str, place: Place) -> None:
    """Everything up to here is handled: the next round goes on behind it."""
    await repository.read_to(session, name, place, now=house.clock.now())


async def take_unreadable(session: AsyncSession, house: House, *, key: str, size: int, at: datetime, why: str) -> None:
    """A mail that nobody can read is kept as that, and is in the way of no other."""
    now = house.clock.now()
    mail_id = await repository.add(session, key=key, kind=Kind.UNREADABLE, size=size, at=at, now=now)
    if mail_id is not None:
        await repository.finish(session, mail_id, outcome="skipped", reason=why[:200])
