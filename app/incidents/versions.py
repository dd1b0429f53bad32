"""What changed since somebody looked, and by whom. A version is a place in the timeline, so nothing else is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.incidents import repository
from app.incidents.repository import Change, Subject
from app.kernel.errors import Changed
from app.web.etags import Seen
from app.web.inputs import iso

INCIDENT_KINDS = repository.INCIDENT_KINDS
BULLETIN_KINDS = repository.BULLETIN_KINDS
BULLETIN_VERSION = repository.BULLETIN_VERSION


INCIDENT = Subject(INCIDENT_KINDS)


def bulletin_subject(number: int, seen: Seen | None) -> Subject:
    """One bulletin as the API shows it: its own entries, and the severity that says who must approve it.

    Its page shows the incident's marks too, and whoever presses there must hear what else went out meanwhile.
    """
    kinds = INCIDENT_KINDS if seen and seen.page else ("severity_changed",)
    return Subject(kinds, BULLETIN_KINDS, number)


_SAID: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "declared": lambda _: "declared",
    "status_changed": lambda data: f"status changed from {data['from']} to {data['to']}",
    "severity_changed": lambda data: f"severity changed from {data['from']} to {data['to']}",
    "commander_changed": lambda _: "commander changed",
    "bulletin_drafted": lambda data: f"bulletin {data['bulletin']} written",
    "bulletin_approved": lambda data: f"bulletin {data['bulletin']} approved",
    "bulletin_sent": lambda data: f"bulletin {data['bulletin']} sent",
    "bulletin_cancelled": lambda data: f"bulletin {data['bulletin']} cancelled",
}


def said(change: Change) -> str:
    """`status changed from investigating to monitoring`."""
    made = _SAID.get(change.kind)
    text = made(change.data) if made else change.kind.replace("_", " ")
    return f"{text} to {change.person}" if change.kind == "commander_changed" and change.person else text


def _told(change: Change) -> dict[str, Any]:
    reason = {"reason": change.reason} if change.reason else {}
    return {"what": said(change), "by": change.by, "at": iso(change.at)} | reason


async def hold(
    session: AsyncSession,
    key: str,
    seen: Seen | None,
    subject: Subject,
    *,
    actor: Actor,
    doing: Collection[str],
    done: bool,
) -> bool:
    """Whether the actor's own request, sent before, has done this already. The caller holds the incident's row.

    Raises Changed, naming what changed and by whom, unless what was `seen` is still the present state. `done`: things
    stand as the request wants them. When all that came since are entries of the kinds that it is `doing`, by the same
    actor, it is one that is sent again because its answer was lost (RFC 9110, 13.1.1).
    """
    if seen is None:
        return False
    version = await repository.version(session, key, subject)
    if seen.holds(version):
        return False
    known = seen.last_known(version)
    found = await repository.changes(session, key, subject, after=version - 1 if known is None else known)
    if done and known is not None and found and all(c.kind in doing and c.actor == actor.label for c in found):
        return True
    listed = [_told(change) for change in found]
    what = "; ".join(f"{entry['what']} by {entry['by']} at {entry['at']}" for entry in listed)
    raise Changed(
        f"This has changed since the version you named: {what}. Nothing was done. Get it again, then decide.",
        changed=listed,
    )
