"""Declaring an incident and steering it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.directory import service as directory
from app.incidents import repository, timeline, versions
from app.incidents.lifecycle import CLOSED, OPEN_STATUSES, may_move
from app.incidents.likeness import alike
from app.incidents.models import SEVERITIES
from app.kernel.errors import Conflict, FieldError, Invalid, NoSuchIncident, NotFound
from app.kernel.house import House
from app.playbooks import due
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import Playbook
from app.playbooks.stages import ALL_CLEAR
from app.playbooks.template import is_control
from app.web.etags import Seen
from app.web.inputs import iso

MAX_TITLE = 120
OPEN_AT_MOST = 200
"""So many open incidents are looked through for one that is alike."""
CHANGES = ("status_changed", "severity_changed", "commander_changed")
"""The entries that a change makes."""


async def show(session: AsyncSession, house: House, incident: RowMapping) -> dict[str, Any]:
    """The incident as the API shows it."""
    return (await show_all(session, house, [incident]))[0]


async def show_all(session: AsyncSession, house: House, found: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """Incidents as the API shows them, each with when its next bulletin is due."""
    due_at = await next_due(session, house, found)
    now = house.clock.now()
    return [_show(incident, due_at[incident["id"]], now) for incident in found]


async def next_due(session: AsyncSession, house: House, found: Sequence[RowMapping]) -> dict[int, datetime | None]:
    """When the next bulletin of each incident is due, by the incident's id; None where none is."""
    revisions = await playbooks.revisions(session, [incident["revision_id"] for incident in found])
    return {incident["id"]: due_of(house, incident, revisions[incident["revision_id"]].playbook) for incident in found}


def due_of(house: House, incident: RowMapping, playbook: Playbook) -> datetime | None:
    """The same for one incident whose playbook is at hand."""
    if incident["closed_at"] is not None:
        return None
    last = None
    if incident["last_sent_at"] is not None:
        last = due.Told(incident["last_sent_at"], incident["last_facts"], _all_clear_out(incident))
    return due.next_due(
        playbook, last, declared_at=incident["declared_at"], severity=incident["severity"], time_scale=house.time_scale
    )


def all_clear_missing(incident: RowMapping) -> bool:
    """Whether people were told of it, and the last that they were told is not that it is over."""
    return incident["last_sent_at"] is not None and not _all_clear_out(incident)


def _all_clear_out(incident: RowMapping) -> bool:
    return bool(incident["last_stage"] == ALL_CLEAR and incident["last_state"] == "sent")


def _show(incident: RowMapping, due_at: datetime | None, now: datetime) -> dict[str, Any]:
    commander = None
    if incident["commander_name"]:
        commander = {"person_id": incident["commander_person_id"], "name": incident["commander_name"]}
    return {
        "key": incident["key"],
        "title": incident["title"],
        "status": incident["status"],
        "severity": incident["severity"],
        "playbook": incident["playbook"],
        "playbook_revision": incident["playbook_revision"],
        "facts": incident["facts"],
        "drill": incident["drill"],
        "simulated": incident["simulated"],
        "commander": commander,
        "declared_by": incident["declared_by_name"],
        "declared_at": iso(incident["declared_at"]),
        "resolved_at": iso(incident["resolved_at"]),
        "closed_at": iso(incident["closed_at"]),
        "closed_without_all_clear": incident["closed_at"] is not None and all_clear_missing(incident),
        "next_due_at": iso(due_at),
        "overdue": due_at is not None and due_at < now,
        "open_help_requests": incident["open_help"],
        "possible_help": incident["possible_help"],
        "version": incident["version"],
    }


async def get(session: AsyncSession, key: str, *, lock: bool = False) -> RowMapping:
    """The incident's row with its playbook and commander. Raises NotFound."""
    found = await repository.by_key(session, key, lock=lock)
    if found is None:
        raise NoSuchIncident(f"No incident has the key {key[:40]!r}. Keys look like INC-2026-0001.")
    return found


async def declare(
    session: AsyncSession,
    house: House,
    actor: Actor,
    *,
    slug: str,
    severity: str | None,
    title: str | None,
    facts: Mapping[str, Any],
    drill: bool,
    commander: str | None = None,
) -> dict[str, Any]:
    """Declares an incident under the playbook's current revision. Raises Invalid naming everything that is wrong."""
    try:
        revision = await playbooks.current(session, slug)
    except NotFound as error:
        raise Invalid("The incident cannot be declared.", [FieldError("playbook", error.detail)]) from None
    playbook = revision.playbook
    errors: list[FieldError] = []
    severity = severity or playbook.default_severity
    if severity not in SEVERITIES:
        errors.append(FieldError("severity", f"{severity!r} is no severity; use one of {', '.join(SEVERITIES)}"))
    now = house.clock.now()
    clean, problems = fact_rules.validate_facts(playbook, facts, sites=list(await directory.sites(session)), now=now)
    errors += [FieldError(f"facts.{problem.name}", problem.what) for problem in problems]
    if title is not None and not (title := " ".join(title.split())):
        errors.append(FieldError("title", "is blank; leave it out for a sensible default"))
    if title and any(is_control(character) for character in title):
        errors.append(FieldError("title", "holds a control character or one that turns text round; write it again"))
    if title and len(title) > MAX_TITLE:
        errors.append(FieldError("title", f"has {len(title)} characters; use at most {MAX_TITLE}"))
    person_id, account_id = await _commander(session, actor, commander, errors)
    if errors:
        raise Invalid("The incident cannot be declared.", errors)
    key = await repository.next_key(session, now.astimezone(house.zone).year)
    incident_id = await repository.insert(
        session,
        key=key,
        revision_id=revision.id,
        title=title or default_title(playbook),
        severity=severity,
        facts=clean,
        drill=drill,
        simulated=house.simulated,
        declared_by=actor.account_id,
        now=now,
    )
    await repository.assign_commander(session, incident_id, person_id=person_id, account_id=account_id, now=now)
    await timeline.note(
        session,
        key=key,
        at=now,
        actor=actor.label,
        kind="declared",
        data={"severity": severity, "playbook": slug, "revision": revision.revision, "drill": drill},
    )
    return await show(session, house, await get(session, key))


async def similar(
    session: AsyncSession, *, slug: str, title: str, drill: bool, but: str = "", at_once: bool = False
) -> list[RowMapping]:
    """Open incidents that this declaration looks like, newest first: the same playbook, or a title that is alike.

    A drill is never like what is none. `but`: the key of one to leave out. `at_once`: who declares at the same moment
    waits, and then sees this one.
    """
    if at_once:
        await repository.hold_declarations(session)
    found = await repository.page(session, status="open", before=None, limit=OPEN_AT_MOST)
    return [
        entry
        for entry in found
        if entry["drill"] == drill
        and entry["key"] != but
        and (entry["playbook"] == slug or alike(title, entry["title"]))
    ]


def default_title(playbook: Playbook) -> str:
    """The playbook's own title: true whatever the facts say, and short enough for a text."""
    return playbook.title[:MAX_TITLE]


async def _commander(
    session: AsyncSession, actor: Actor, wanted: str | None, errors: list[FieldError]
) -> tuple[int | None, int | None]:
    """Who commands: the person asked for, else the declarer as a person, else the declarer's account."""
    employee_id = wanted or actor.person_employee_id
    if employee_id is None:
        return None, actor.account_id
    person = await repository.person(session, employee_id)
    if person is None or not person["active"]:
        why = "has left" if person else "is not in the directory"
        right = "give the employer's id of somebody who is there"
        errors.append(FieldError("commander", f"{employee_id!r} {why}; {right}"))
        return None, None
    return int(person["id"]), None


async def change(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    *,
    status: str | None,
    severity: str | None,
    commander: str | None,
    reason: str,
    accept_open_help: bool,
    seen: Seen | None = None,
) -> dict[str, Any]:
    """Changes status, severity or commander, with a reason that goes on the timeline.

    `seen`: the state that the change was decided from. Raises Changed when that is not the present one any more.
    """
    incident = await get(session, key, lock=True)
    errors: list[FieldError] = []
    if not reason.strip():
        errors.append(FieldError("reason", "is required; say in a few words why"))
    if status is None and severity is None and commander is None:
        errors.append(FieldError("status", "nothing to change; give a status, a severity or a commander"))
    if status is not None and status not in (*OPEN_STATUSES, CLOSED):
        known = ", ".join((*OPEN_STATUSES, CLOSED))
        errors.append(FieldError("status", f"{status!r} is no status; use one of {known}"))
    if severity is not None and severity not in SEVERITIES:
        errors.append(FieldError("severity", f"{severity!r} is no severity; use one of {', '.join(SEVERITIES)}"))
    person_id = None
    if commander is not None:
        person_id, _ = await _commander(session, actor, commander, errors)
    if errors:
        raise Invalid("The incident cannot be changed.", errors)
    now_is = incident if seen is None else await get(session, key)
    wanted = {"status": status, "severity": severity, "commander_person_id": commander}
    done = bool(seen and seen.page) and all(value in (None, now_is[name]) for name, value in wanted.items())
    if await versions.hold(session, key, seen, versions.INCIDENT, actor=actor, doing=CHANGES, done=done):
        return await show(session, house, now_is)
    if incident["status"] == CLOSED:
        raise Conflict(f"{key} is closed, and closed is final. Declare a new incident if it happens again.")
    after = status or incident["status"]
    if not may_move(incident["status"], after):
        raise Conflict(f"{key} cannot move from {incident['status']} to {after}.")
    if after == CLOSED and incident["open_help"] and not accept_open_help:
        raise Conflict(
            f"{_still_need(incident['open_help'])} help{_and_possible(incident['possible_help'])}. Close what they "
            'asked for first, or say so explicitly with "accept_open_help": true.',
            open_help_requests=incident["open_help"],
            possible_help=incident["possible_help"],
        )
    now = house.clock.now()
    note = await repository.add_note(session, incident["id"], reason.strip())
    resolved_at = incident["resolved_at"]
    if after == "resolved" and incident["status"] != "resolved":
        resolved_at = now
    elif after not in ("resolved", CLOSED):
        resolved_at = None
    if after != incident["status"]:
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="status_changed",
            data={"from": incident["status"], "to": after, "note": note}
            | ({"open_help": incident["open_help"]} if after == CLOSED and incident["open_help"] else {})
            | ({"possible_help": incident["possible_help"]} if after == CLOSED and incident["possible_help"] else {})
            | ({"without_all_clear": True} if after == CLOSED and all_clear_missing(incident) else {}),
        )  # fmt: skip
    if severity and severity != incident["severity"]:
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="severity_changed",
            data={"from": incident["severity"], "to": severity, "note": note},
        )  # fmt: skip
    if person_id is not None:
        await repository.assign_commander(session, incident["id"], person_id=person_id, account_id=None, now=now)
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="commander_changed",
            data={"person": person_id, "note": note},
        )  # fmt: skip
    await repository.change(
        session, incident["id"], status=after, severity=severity or incident["severity"], now=now,
        resolved_at=resolved_at,
    )  # fmt: skip
    return await show(session, house, await get(session, key))


def _still_need(people: int) -> str:
    return "1 person still needs" if people == 1 else f"{people} people still need"


def _and_possible(reports: int) -> str:
    if not reports:
        return ""
    return f", and {'1 report' if reports == 1 else f'{reports} reports'} may be a call for help"


async def adopt_facts(session: AsyncSession, incident_id: int, facts: Mapping[str, Any]) -> None:
    """What a sent bulletin said is the incident's latest."""
    await repository.set_facts(session, incident_id, facts)


async def page(
    session: AsyncSession, *, status: str | None = None, before: int | None = None, limit: int = 50
) -> list[RowMapping]:
    """Incidents, newest first; `status` may be a status or `open`. Raises Invalid for any other."""
    known = ("open", *OPEN_STATUSES, CLOSED)
    if status is not None and status not in known:
        raise Invalid(
            "The list cannot be filtered.", [FieldError("status", f"{status!r} is not one of {', '.join(known)}")]
        )
    return list(await repository.page(session, status=status, before=before, limit=limit))
