"""The incident's timeline: what happened, when, by whom. Read here with names filled in; the record holds ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.directory import versions
from app.incidents import repository
from app.kernel import audit
from app.kernel.audit import Also
from app.web.inputs import iso

ESCALATED = "escalated"
"""Somebody was told that others have not answered. `told` holds who, and about how many: `[{"id", "about"}]`."""

RECIPIENTS_SHA256 = "recipients_sha256"
"""In the entry of a send: the digest of who it went to, as they were (`deliveries.proof`)."""

SHOWN_VERSION = "shown_version"
"""In the entry of a field report or a request for help: the version of the person in its row (`replies.proof`)."""

_UNSEEN = (versions.VERSIONS, RECIPIENTS_SHA256, SHOWN_VERSION)
"""What an entry holds for the record alone."""


async def note(
    session: AsyncSession,
    *, key: str, at: datetime, actor: str, kind: str, data: dict[str, Any] | None = None, also: Sequence[Also] = (),
) -> None:  # fmt: skip
    """Appends one entry in the caller's transaction. `data` holds ids and figures, never names or free text.

    The entry keeps which version of each of its people it means: they are named as they were, whatever comes later.
    """
    people = _people(actor, kind, data or {})
    if people:
        also = [versions.as_now(people), *also]
    await audit.append(session, stream=key, at=at, actor=actor, kind=kind, data=data or {}, also=also)


async def hold(session: AsyncSession, keys: Collection[str]) -> None:
    """Takes these incidents' timelines before help requests, field reports and who is told are locked under them."""
    await audit.hold(session, keys)


def _people(actor: str, kind: str, data: Mapping[str, Any]) -> list[int]:
    """Everybody in an entry."""
    found = [data["person"]] if "person" in data else []
    if kind == ESCALATED:
        found += [told["id"] for told in data["told"]]
    if actor.startswith("person:"):
        found.append(int(actor.removeprefix("person:")))
    return found


async def read(
    session: AsyncSession, *, incident_id: int, key: str, after: int = 0, limit: int = 1000
) -> list[dict[str, Any]]:
    """Entries as people read them: `{"seq", "at", "actor", "kind", "data"}`, names and notes filled in where known."""
    found = await audit.entries(session, key, after=after, limit=limit)
    people = await versions.named(
        session,
        [versions.mention(person, e) for e in found for person in _people(e["actor"], e["kind"], e["data"])],
    )
    accounts = await access.account_names(
        session,
        [int(e["actor"].removeprefix("account:")) for e in found if e["actor"].startswith("account:")],
    )
    notes = await repository.notes(session, incident_id) if any("note" in e["data"] for e in found) else {}
    entries = []
    for entry in found:

        def who(person_id: int, entry: Mapping[str, Any] = entry) -> versions.Named:
            return people.get(versions.mention(person_id, entry), versions.UNKNOWN)

        data = {name: value for name, value in entry["data"].items() if name not in _UNSEEN}
        if "person" in data:
            data["person"] = asdict(who(data["person"]))
        if entry["kind"] == ESCALATED:
            data["told"] = [asdict(who(told["id"])) | {"about": told["about"]} for told in data["told"]]
        if "note" in data:
            data["text"] = notes.get(data.pop("note"), "(erased)")
        actor = entry["actor"]
        if actor.startswith("account:"):
            actor = accounts.get(int(actor.removeprefix("account:")), actor)
        elif actor.startswith("person:"):
            actor = who(int(actor.removeprefix("person:"))).name
        entries.append(
            {"seq": entry["seq"], "at": iso(entry["at"]), "actor": actor, "kind": entry["kind"], "data": data}
        )
    return entries
