"""The live account: who is reached, who needs help, who cannot be reached. Reads freely, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.board import repository
from app.bulletins import service as bulletins
from app.deliveries import reasons
from app.deliveries.states import State
from app.deliveries.status import STATUSES
from app.directory.folding import fold
from app.incidents import service as incidents
from app.kernel.errors import FieldError, Invalid, NotFound
from app.kernel.house import House
from app.web.inputs import iso


async def board(session: AsyncSession, key: str, number: int) -> dict[str, Any]:
    """The counts of one bulletin. Raises NotFound."""
    found = await repository.board(session, key, number)
    if found is None:
        incident = await incidents.get(session, key)
        await bulletins.get(session, incident["id"], number)
        raise NotFound(f"{key} has no bulletin {number}.")
    return show(found)


async def latest_board(session: AsyncSession, key: str) -> dict[str, Any] | None:
    """The counts of the last bulletin that went out; None before the first."""
    found = await repository.latest_board(session, key)
    return show(found) if found else None


async def due(session: AsyncSession, house: House, key: str) -> dict[str, Any]:
    """When the incident's next bulletin is due (None: none is), and whether that has passed."""
    shown = await incidents.show(session, house, await incidents.get(session, key))
    return {"next_due_at": shown["next_due_at"], "overdue": shown["overdue"]}


def show(found: RowMapping) -> dict[str, Any]:
    counts = dict.fromkeys(STATUSES, 0)
    by_department: dict[str, dict[str, int]] = {}
    for entry in found["departments"]:
        mine = by_department.setdefault(entry["department"], {"total": 0, **dict.fromkeys(STATUSES, 0)})
        mine[entry["status"]] += entry["people"]
        mine["total"] += entry["people"]
        counts[entry["status"]] += entry["people"]
    by_channel: dict[str, dict[str, int]] = {}
    for entry in found["channels"]:
        by_channel.setdefault(entry["channel"], {})[entry["state"]] = entry["attempts"]
    return {
        "bulletin": found["number"],
        "stage": found["stage"],
        "asks": found["asks"],
        "state": found["state"],
        "sent_at": iso(found["sent_at"]),
        "total": sum(counts.values()),
        "counts": counts,
        "by_department": dict(sorted(by_department.items())),
        "by_channel": dict(sorted(by_channel.items())),
        "reactions": found["reactions"],
        "next": [{**entry, "at": _again(entry["at"])} for entry in found["coming"]],
        "open_help_requests": found["open_help"],
        "possible_help": found["possible_help"],
        "simulated": found["simulated"],
        "drill": found["drill"],
        "as_of": iso(found["as_of"]),
    }


async def recipients(
    session: AsyncSession,
    key: str,
    number: int,
    *,
    status: str | None = None,
    department: str | None = None,
    q: str | None = None,
    person_id: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> tuple[list[dict[str, Any]], int | None]:
    """(people, the delivery to go on after). `status` may name several, comma-separated."""
    incident = await incidents.get(session, key)
    bulletin = await bulletins.get(session, incident["id"], number)
    statuses = [part.strip() for part in status.split(",")] if status else None
    for name in statuses or ():
        if name not in STATUSES:
            raise Invalid(
                "The list cannot be filtered.",
                [FieldError("status", f"{name[:40]!r} is not one of {', '.join(STATUSES)}")],
            )
    found = await repository.recipients(
        session,
        bulletin["id"],
        statuses=statuses,
        department=fold(department) if department else None,
        q=q.strip() if q and q.strip() else None,
        person_id=person_id,
        after=after,
        limit=limit + 1,
    )
    more = int(found[limit - 1]["id"]) if len(found) > limit else None
    return [show_recipient(entry) for entry in found[:limit]], more


def show_recipient(entry: RowMapping) -> dict[str, Any]:
    """One person of the roll-call. No addresses: whoever reads this need not see them."""
    attempts = [
        {**attempt, "reason": reasons.provider_words(attempt["reason"], attempt["address"])}
        for attempt in entry["attempts"]
    ]
    then = _next_step(entry, attempts)
    return {
        "person_id": entry["employee_id"],
        "name": entry["name"],
        "department": entry["department"],
        "site": entry["site"],
        "title": entry["title"],
        "person": {
            "id": entry["employee_id"],
            "name": entry["name"],
            "department": entry["department"],
            "site": entry["site"],
            "title": entry["title"],
        },
        "manager": entry["manager"],
        "audience": entry["audience"],
        "status": entry["status"],
        "reason": reasons.why(entry["status"], dict(entry), attempts),
        "response": entry["response"],
        "via": entry["responded_via"],
        "acknowledged_at": iso(entry["responded_at"]),
        "next_step": then[1] if then else None,
        "next_step_at": iso(then[0]) if then else None,
        "left": entry["gone"],
        "opted_out_since": iso(entry["opted_out_since"]),
        "told": [
            {**told, "at": _again(told["at"]), "waits_until": _again(told["waits_until"])} for told in entry["told"]
        ],
        "attempts": [
            {
                "channel": attempt["channel"],
                "state": attempt["state"],
                "error_code": attempt["error_code"],
                "reason": attempt["reason"],
                "provider_message_id": attempt["provider_message_id"],
                **{
                    name: _again(attempt[name])
                    for name in ("created_at", "held_until", "handed_over_at", "accepted_at", "updated_at")
                },
            }
            for attempt in attempts
        ],
    }


def _next_step(entry: RowMapping, attempts: Sequence[Mapping[str, Any]]) -> tuple[datetime, str] | None:
    """(when, what) comes next for somebody who has not answered: a channel, or `tell` and whom.

    The next channel of the ladder, whoever is told next, or a text or call that waits for the end of quiet hours,
    whichever comes first; else another try on the same channel, or one that waits its turn.
    """
    if entry["response"] is not None or entry["status"] == "cancelled" or entry["gone"]:
        return None
    queued = [
        (datetime.fromisoformat(attempt["not_before"]), str(attempt["channel"]), attempt["held_until"] is not None)
        for attempt in attempts
        if attempt["state"] == State.QUEUED
    ]
    coming = [(at, channel) for at, channel, held in queued if held]
    if entry["next_channel"] is not None:
        coming.append((entry["next_step_at"], entry["next_channel"]))
    elif entry["status"] == "pending" and not coming:
        coming += [(at, channel) for at, channel, _held in queued[-1:]]
    if entry["next_tell"] is not None:
        coming.append((entry["next_tell_at"], f"tell {entry['next_tell']}"))
    return min(coming, default=None)


def _again(text: str | None) -> str | None:
    return iso(datetime.fromisoformat(text)) if text else None
