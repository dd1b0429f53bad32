"""Telling others that somebody has not answered: one notice to each who must know, whatever number it is about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import notices
from app.deliveries.repository import BOARD_CHANNEL
from app.deliveries.telling import KIND
from app.escalations import repository, rules
from app.escalations.rules import Due
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.house import House
from app.notices.service import Telling
from app.playbooks import rules as quiet_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import QuietHours

GATHER_SECONDS = 5.0
"""So long, before the time scale, a notice waits for others of the same kind: what fails together is told together."""

SUBJECT = "People who have not answered"
LINE = "Some people have not answered yet. The link has their names."


async def tell_due(session: AsyncSession, house: House, *, limit: int) -> int:
    """Tells whoever is due to be told, and sets who is next; returns about how many people.

    In this transaction each person's row is held, so an answer comes either before, and nobody is told, or after.
    """
    if not await repository.alone(session):
        return 0
    now = house.clock.now()
    found = await repository.due(session, now=now, limit=limit)
    if not found:
        return 0
    await timeline.hold(session, {e["key"] for e in found})
    due = [Due(e["delivery_id"], e["incident_id"], e["rung"], e["tell"]) for e in found]
    candidates, zones = await _candidates(session, house, due)
    ids = [one.delivery_id for one in due]
    know = await repository.know(session, ids)
    wanted = rules.wanted(due, candidates, know)
    quiet = await _quiet_hours(session, found)

    hours: defaultdict[int, list[QuietHours | None]] = defaultdict(list)
    for person, incident in wanted:
        hours[person].append(quiet[incident])

    def not_before(person_id: int, channel: str, moment: datetime) -> datetime:
        """Whoever is told sleeps by the same hours, unless an incident that they are told about waits for nobody."""
        if channel not in quiet_rules.WAITING_CHANNELS:
            return moment
        ends = [quiet_rules.quiet_until(each, zones[person_id], moment) for each in hours[person_id]]
        known = [end for end in ends if end is not None]
        return min(known) if len(known) == len(ends) else moment

    notice_of = await notices.tell_all(
        session, house,
        [Telling(person, incident, KIND, SUBJECT, LINE) for person, incident in wanted],
        gather=timedelta(seconds=GATHER_SECONDS / house.time_scale), not_before=not_before,
    )  # fmt: skip
    told = [
        (one.delivery_id, one.rung, one.tell, person, notice_of[person, incident])
        for (person, incident), about in wanted.items()
        if (person, incident) in notice_of
        for one in about
    ]
    await repository.add(session, told, now=now)
    at_once = rules.unheard(due, candidates, know, {(entry[0], entry[3]) for entry in told})
    await repository.go_on(session, ids, at_once=at_once, now=now)
    await _record(session, found, told, set(at_once), now)
    return len(due)


async def _candidates(
    session: AsyncSession, house: House, due: list[Due]
) -> tuple[dict[int, list[int]], dict[int, ZoneInfo]]:
    """(delivery -> who is to be told, person -> time zone)."""
    of_kind: defaultdict[str, list[int]] = defaultdict(list)
    for one in due:
        of_kind[one.tell].append(one.delivery_id)
    candidates: defaultdict[int, list[int]] = defaultdict(list)
    zones: dict[int, ZoneInfo] = {}
    for entry in await repository.candidates(
        session, managers=of_kind["manager"], leads=of_kind["department_lead"], commanders=of_kind["commander"]
    ):
        candidates[entry["delivery_id"]].append(entry["person_id"])
        zones[entry["person_id"]] = quiet_rules.zone_of(entry["time_zone"], house.zone)
    return candidates, zones


async def _quiet_hours(session: AsyncSession, found: Sequence[RowMapping]) -> dict[int, QuietHours | None]:
    """Incident -> the quiet hours that hold in it now."""
    incidents = {e["incident_id"]: e for e in found}
    return {
        incident_id: (await playbooks.revision(session, e["revision_id"])).playbook.quiet_for(e["severity"])
        for incident_id, e in incidents.items()
    }


async def _record(
    session: AsyncSession, found: Sequence[RowMapping], told: list[tuple[int, int, str, int, int]], at_once: set[int],
    now: datetime,
) -> None:  # fmt: skip
    """One timeline entry for each bulletin and rung: who was told about how many, and about how many nobody was."""
    about: defaultdict[int, list[int]] = defaultdict(list)
    for delivery_id, _rung, _tell, person, _notice in told:
        about[delivery_id].append(person)
    steps: defaultdict[tuple[int, str], list[RowMapping]] = defaultdict(list)
    for entry in found:
        steps[entry["bulletin_id"], entry["tell"]].append(entry)
    for (bulletin_id, tell), entries in steps.items():
        people = Counter(person for entry in entries for person in about[entry["delivery_id"]])
        heard = sum(bool(about[entry["delivery_id"]]) for entry in entries)
        untold = sum(entry["delivery_id"] in at_once for entry in entries)
        await notify(session, BOARD_CHANNEL, str(bulletin_id))
        if heard or untold:
            await timeline.note(
                session, key=entries[0]["key"], at=now, actor="system", kind=timeline.ESCALATED,
                data={
                    "bulletin": entries[0]["number"], "tell": tell, "people": heard, "untold": untold,
                    "told": [{"id": person, "about": many} for person, many in sorted(people.items())],
                },
            )  # fmt: skip


async def record_fallbacks(session: AsyncSession, taken: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """One timeline entry for each bulletin and channel: how many people are tried by it now.

    `taken`: what `planning.take_due_steps` returned.
    """
    named = await repository.named(session, [entry["bulletin_id"] for entry in taken if entry["channel"]])
    if named:
        await timeline.hold(session, {key for key, _ in named.values()})
    for entry in taken:
        await notify(session, BOARD_CHANNEL, str(entry["bulletin_id"]))
        if entry["channel"] is None:
            continue
        key, number = named[entry["bulletin_id"]]
        data = {"bulletin": number, "channel": entry["channel"], "people": entry["people"]}
        if entry["held"]:
            data["held"] = entry["held"]
        await timeline.note(session, key=key, at=now, actor="system", kind="fallback", data=data)
