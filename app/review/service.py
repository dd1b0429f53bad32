"""The incident record, built once from what is in the database, and its exports. Reads only."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.review import formats, repository
from app.review.assembly import Read, assemble
from app.review.record import Record

TIMELINE_PAGE = 25_000
"""Entries read at a time; the timeline is read to its end."""


async def build(session: AsyncSession, house: House, key: str) -> Record:
    """The record of one incident, as it is now. Raises NotFound.

    A fixed number of statements whatever the number of people (and one page more for each 25,000 timeline entries).
    """
    incident = await incidents.get(session, key)
    incident_id = incident["id"]
    read = Read(
        incident=incident,
        revision=await playbooks.revision(session, incident["revision_id"]),
        roles=await repository.roles(session, incident_id),
        bulletins=await repository.bulletins(session, incident_id),
        approvals=await repository.approvals(session, incident_id),
        messages=await repository.messages(session, incident_id),
        recipients=await repository.recipients(session, incident_id),
        reports=await repository.field_reports(session, incident_id),
        reactions=await repository.reactions(session, incident_id),
        requests=await repository.help_requests(session, incident_id),
        entries=await _timeline(session, incident_id, key),
    )
    # Seconds of plain computing for a large company: in a thread, so that this process goes on answering meanwhile.
    return await asyncio.to_thread(assemble, house, read)


async def export(house: House, key: str, format: str) -> bytes:
    """The record in one format, as it was at one moment. Raises NotFound, Invalid (no such format), NotYet."""
    found = formats.find(format)
    record = await frozen(house, key)
    return await asyncio.to_thread(found.render, record)


async def frozen(house: House, key: str) -> Record:
    """The record as it was at one moment, read in a transaction of its own. Raises NotFound."""
    async with house.db.begin() as session:
        await repository.freeze(session)
        return await build(session, house, key)


async def _timeline(session: AsyncSession, incident_id: int, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        page = await timeline.read(session, incident_id=incident_id, key=key, after=after, limit=TIMELINE_PAGE)
        found += page
        if len(page) < TIMELINE_PAGE:
            return found
