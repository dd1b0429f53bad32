"""Reads the mailbox that our mails are answered to: one worker at a time, each mail once, whatever breaks off where."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.exc import DBAPIError

from app.channels.port import Health, Letter, Mailbox, MailboxDown, Place, Post
from app.kernel.house import House
from app.mailbox import parse, service
from app.readiness import service as readiness
from app.readiness.rules import MAILBOX
from app.replies.mailed import first_asked

log = logging.getLogger("muster.mailbox")

AT_A_TIME = 20
MOST_BYTES = 1_000_000
"""So much of a mail is fetched: the words come first, and pictures stay in the mailbox."""

LOOK_BACK = timedelta(days=14)
"""Older mails than this stay unread."""

BACK_OFF_SECONDS = (5.0, 60.0)
"""How long a mailbox that cannot be read is left alone: doubled each time, up to the second figure."""

HEALTH_SECONDS = 20.0
"""How often it is noted that the mailbox can still be read."""

_AWAY = ("08", "40", "53", "57")
"""Classes of SQLSTATE after which the same is simply done again: no connection, a lost race, no room, a restart."""


@dataclass
class Reader:
    """Run by one worker at a time, every few seconds; each step is safe to repeat. `ours` are our own addresses."""

    house: House
    mailbox: Mailbox
    ours: frozenset[str]
    _wait: float = 0.0
    _not_before: float = float("-inf")
    _noted_at: float = float("-inf")

    async def step(self) -> int:
        """Takes what is new; returns how many mails."""
        if time.monotonic() < self._not_before:
            return 0
        try:
            taken, post = 0, await self._new()
            while post.letters or post.more:
                for letter in post.letters:
                    taken += await self._take(letter, post.validity)
                if not post.more:
                    break
                post = await self._new()
        except MailboxDown as error:
            first, most = BACK_OFF_SECONDS
            self._wait = min(most, self._wait * 2) if self._wait else first
            self._not_before = time.monotonic() + self._wait
            log.warning("%s; trying again in %.0f s", error, self._wait)
            await self._note(Health(False, str(error), error.misconfigured))
            return 0
        if self._wait or time.monotonic() - self._noted_at >= HEALTH_SECONDS:
            await self._note(Health(True, "the mailbox can be read"))
        self._wait = 0.0
        return taken

    async def _note(self, health: Health) -> None:
        await readiness.note(self.house, {MAILBOX: health})
        self._noted_at = time.monotonic()

    async def _new(self) -> Post:
        """What came since the last time. Before the first bulletin went out there is nothing to be answered."""
        now = self.house.clock.now()
        async with self.house.db.begin() as session:
            first = await first_asked(session)
            place = await service.place(session, self.mailbox.name)
        since = max(first or now, now - LOOK_BACK)
        limit = AT_A_TIME if first else 0
        post = await self.mailbox.new(place, since=since, limit=limit, most_bytes=MOST_BYTES)
        return post if first else replace(post, letters=(), more=False)

    async def _take(self, letter: Letter, validity: int) -> bool:
        """One mail with all that follows from it, or nothing of it. One that cannot be taken is kept as unreadable."""
        place = Place(validity, letter.uid)
        try:
            mail = await asyncio.to_thread(parse.read, letter.raw, self.ours)
            async with self.house.db.begin() as session:
                outcome = await service.take(session, self.house, mail, size=letter.size, at=letter.at)
                await service.read_to(session, self.house, self.mailbox.name, place)
        except DBAPIError as error:
            if (getattr(error.orig, "sqlstate", None) or "08")[:2] in _AWAY:
                raise  # it is taken in the next round
            await self._skip(letter, place, error)
            return False
        except Exception as error:  # whatever somebody sent us, the mails behind it are not held up
            await self._skip(letter, place, error)
            return False
        return outcome != "known"

    async def _skip(self, letter: Letter, place: Place, error: Exception) -> None:
        log.error("a mail of %d bytes could not be taken: %s", letter.size, type(error).__name__)
        key = hashlib.sha256(letter.raw).hexdigest()
        async with self.house.db.begin() as session:
            await service.take_unreadable(
                session, self.house, key=key, size=letter.size, at=letter.at, why=type(error).__name__
            )
            await service.read_to(session, self.house, self.mailbox.name, place)
