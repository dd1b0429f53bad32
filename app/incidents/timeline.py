"""The incident's timeline: what happened, when, by whom. Read here with names filled in; the record holds ids."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.incidents import repository
from app.kernel import audit
from app.web.inputs import iso

ESCALATED = "escalated"
"""Somebody was told that others have not answered. `told` holds who, and about how many: `[{"id", "about"}]`."""


async def note(
    session: AsyncSession, *, key: str, at: datetime, actor: str, kind: str, data: dict[str, Any] | None = None
) -> None:
    """Appends one entry in the caller's transaction. `data` holds ids and figures, never names or free text."""
    await audit.append(session, stream=key, at=at, actor=actor, kind=kind, data=data or {})


async def read(
    session: AsyncSession, *, incident_id: int, key: str, after: int = 0, limit: int = 1000
) -> list[dict[str, Any]]:
    """Entries as people read them: `{"seq", "at", "actor", "kind", "data"}`, names and notes filled in where known."""
    found = await audit.entries(session, key, after=after, limit=limit)
    named = [e["data"]["person"] for e in found if "person" in e["data"]]
    named += [told["id"] for e in found if e["kind"] == ESCALATED for told in e["data"]["told"]]
    people = await repository.person_names(session, named)
    accounts = await access.account_names(
        session,
        [int(e["actor"].removeprefix("account:")) for e in found if e["actor"].startswith("account:")],
    )
    actors = await repository.person_names(
        session, [int(e["actor"].removeprefix("person:")) for e in found if e["actor"].startswith("person:")]
    )
    notes = await repository.notes(session, incident_id) if any("note" in e["data"] for e in found) else {}
    entries = []
    for entry in found:
        data = dict(entry["data"])
        if "person" in data:
            employee, name = people.get(data["person"], ("", "somebody no longer on record"))
            data["person"] = {"person_id": employee, "name": name}
        if entry["kind"] == ESCALATED:
            data["told"] = [_told(told, people) for told in data["told"]]
        if "note" in data:
            data["text"] = notes.get(data.pop("note"), "(erased)")
        actor = entry["actor"]
        if actor.startswith("account:"):
            actor = accounts.get(int(actor.removeprefix("account:")), actor)
        elif actor.startswith("person:"):
            actor = actors.get(int(actor.removeprefix("person:")), ("", actor))[1]
        entries.append(
            {"seq": entry["seq"], "at": iso(entry["at"]), "actor": actor, "kind": entry["kind"], "data": data}
        )
    return entries


def _told(told: Mapping[str, Any], people: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    employee, name = people.get(told["id"], ("", "somebody no longer on record"))
    return {"person_id": employee, "name": name, "about": told["about"]}
