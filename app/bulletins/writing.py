"""Who is writing an incident's next bulletin: seen by everybody who has its board or its page open."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.bulletins import repository
from app.bulletins.repository import Writing
from app.incidents import service as incidents
from app.kernel.db import notify
from app.kernel.house import House

OPENED = timedelta(minutes=5)
"""How long an opened page counts when nothing more is heard of it: a browser without JavaScript says nothing."""
RENEWED = timedelta(seconds=45)
"""How long after each sign of life of the page's stream: some of them, so that one that is late ends nothing."""
BOARD_CHANNEL = "muster_board"


async def now(session: AsyncSession, house: House, incident_id: int) -> list[Writing]:
    """Drafts that are not sent yet and pages that are open, the oldest first."""
    return await repository.writing(session, incident_id, now=house.clock.now())


async def opened(session: AsyncSession, house: House, actor: Actor, incident_id: int) -> None:
    """The page was opened: others see it at once."""
    await _mark(session, house, actor, incident_id, OPENED)


async def connected(session: AsyncSession, house: House, actor: Actor, key: str) -> None:
    """The page's stream begins, perhaps after a while out of sight."""
    incident = await incidents.get(session, key)
    if incident["closed_at"] is None:
        await _mark(session, house, actor, incident["id"], RENEWED)


async def renewed(session: AsyncSession, house: House, actor: Actor, key: str) -> None:
    """The page is still open. Its stream outlives the press that sends it off by a moment: that begins nothing anew."""
    incident = await incidents.get(session, key)
    at = house.clock.now()
    if incident["closed_at"] is None and await repository.keep_writing(
        session, incident["id"], actor.account_id, now=at, until=at + RENEWED
    ):
        await notify(session, BOARD_CHANNEL, str(incident["id"]))


async def ended(session: AsyncSession, actor: Actor, incident_id: int) -> None:
    """It is written: the draft stands for itself."""
    await repository.end_writing(session, incident_id, actor.account_id)


async def _mark(session: AsyncSession, house: House, actor: Actor, incident_id: int, lasts: timedelta) -> None:
    at = house.clock.now()
    if await repository.set_writing(session, incident_id, actor.account_id, now=at, until=at + lasts):
        await notify(session, BOARD_CHANNEL, str(incident_id))
