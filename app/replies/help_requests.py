"""Help requests: a `need_help` is told to somebody who must act, taken by name, and closed by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.matrix import Action, Actor
from app.deliveries import notices
from app.directory import service as directory
from app.directory.folding import fold
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel.db import notify
from app.kernel.errors import Changed, Conflict, FieldError, Invalid, MusterError, NotFound
from app.kernel.house import House
from app.notices import service as noticed
from app.playbooks import service as playbooks
from app.replies import repository, wording
from app.replies.own_words import words_of
from app.web.inputs import iso

KIND = "help"
"""Notices about somebody who needs help."""

HELP_TOLD = repository.HELP_TOLD
HELP_TOLD_LATER = repository.HELP_TOLD_LATER
HELP_NUMBER = repository.HELP_NUMBER
notice = repository.notice
asked = repository.help_asked
stop_climbing = repository.stop_climbing


async def opened(session: AsyncSession, house: House, request_id: int) -> None:
    """Tells the first rung at once."""
    await _tell(session, house, request_id)


async def climb(session: AsyncSession, house: House) -> bool:
    """Tells the next rung about one request that nobody took in the playbook's time; false when none is due.

    One for each transaction: it holds the timeline of one incident.
    """
    now = house.clock.now()
    due = await repository.help_to_climb(session, now=now)
    if due is None:
        return False
    await timeline.hold(session, [due.key])
    if await repository.help_to_climb(session, now=now, request_id=due.id):
        await _tell(session, house, due.id)
    return True


async def _tell(session: AsyncSession, house: House, request_id: int) -> None:
    """Tells the next rung on which somebody can be reached who does not know yet."""
    entry = await repository.help_to_tell(session, request_id)
    know = set(await noticed.told_about(session, KIND, request_id))
    now = house.clock.now()
    rung: int = entry["told_rung"]
    told: list[int] = []
    while not told and rung + 1 < len(wording.RUNGS):
        rung += 1
        told = [
            person_id
            for person_id in await repository.help_candidates(session, request_id, rung)
            if person_id not in know
            and await notices.tell(
                session, house, person_id=person_id, incident_id=entry["incident_id"], kind=KIND,
                subject=f"{entry['name']} needs help", line=wording.needs_help(dict(entry)), about=request_id,
            )
        ]  # fmt: skip
    playbook = (await playbooks.revision(session, entry["revision_id"])).playbook
    wait = timedelta(seconds=playbook.help_within.total_seconds() / house.time_scale)
    await repository.help_told(
        session, request_id, rung=rung, climb_at=now + wait if rung + 1 < len(wording.RUNGS) else None
    )
    if told or not know:
        await timeline.note(
            session, key=entry["key"], at=now, actor="system", kind="help_told" if told else "help_untold",
            data={"help_request": request_id, "person": entry["person_id"]}
            | ({"rung": rung, "told": told} if told else {}),
        )  # fmt: skip
    await notify(session, "muster_board", entry["key"])


async def _tell_person(session: AsyncSession, house: House, actor: Actor, request_id: int, line: str) -> None:
    """Tells the person who asked, unless they did it themselves."""
    entry = await repository.help_to_tell(session, request_id)
    if actor.person_employee_id != entry["employee_id"]:
        await notices.tell(
            session, house, person_id=entry["person_id"], incident_id=entry["incident_id"], kind="help_answer",
            subject="Your request for help", line=line.format(owner=actor.name, title=wording.short(entry["title"])),
            about=request_id,
        )  # fmt: skip


def may_call(actor: Actor, owner: int | None) -> bool:
    """Whether somebody sees a request's number in full: who may see numbers, and who owns it (`owner`: an account)."""
    return actor.may(Action.READ_ADDRESSES) or owner == actor.account_id


def show(entry: RowMapping) -> dict[str, Any]:
    """A request as the API shows it; its number is masked, as in every list."""
    state = "closed" if entry["closed_at"] else "taken" if entry["taken_at"] else "open"
    return {
        "id": entry["id"],
        "state": state,
        "person_id": entry["person_id"],
        "name": entry["name"],
        "department": entry["department"],
        "site": entry["site"],
        "title": entry["title"],
        "bulletin": entry["bulletin"],
        "opened_at": iso(entry["opened_at"]),
        "told": entry["told"],
        "told_later": entry["told_later"],
        "climbs_at": iso(entry["climb_at"]) if state == "open" else None,
        "owner": entry["taken_by"],
        "taken_at": iso(entry["taken_at"]),
        "closed_at": iso(entry["closed_at"]),
        "closed_by": entry["closed_by"],
        "outcome": entry["outcome"],
        "number": directory.mask(entry["number"]) if entry["number"] else None,
        "words": [words.as_dict() for words in words_of(entry["words"])],
    }


async def of_incident(
    session: AsyncSession, key: str, *, after: int | None = None, limit: int = 200, department: str | None = None
) -> list[dict[str, Any]]:
    """All of an incident's, the oldest first."""
    incident = await incidents.get(session, key)
    folded = fold(department) if department else None
    found = await repository.help_requests(session, incident["id"], after=after, department=folded, limit=limit)
    return [show(entry) for entry in found]


async def take(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    request_id: int,
    *,
    told: bool = False,
    owner: str | None = None,
) -> dict[str, Any]:
    """The actor owns it from now on. Somebody else's may be taken over; both are on the timeline.

    `told`: the actor was told of it, so it is theirs to take whatever their role and department.
    `owner`: the account that the page showed as the owner ('' for nobody); Changed when it is another by now.
    """
    entry = await _open(session, actor, key, request_id, told=told, owner=owner)
    if entry["taken_by_id"] != actor.account_id:
        now = house.clock.now()
        await repository.take_help(session, request_id, account_id=actor.account_id, now=now)
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="help_taken",
            data={"help_request": request_id, "person": entry["person_key"]},
        )  # fmt: skip
        await _tell_person(session, house, actor, request_id, wording.HELP_TAKEN)
        await notify(session, "muster_board", key)
    return await _again(session, key, request_id)


async def close(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    request_id: int,
    *,
    outcome: str,
    told: bool = False,
    owner: str | None = None,
) -> dict[str, Any]:
    """It is over; `outcome` says how. `told` and `owner` as in `take`."""
    if not outcome.strip() or len(outcome) > 2000:
        raise Invalid("The request cannot be closed.", [FieldError("outcome", "say in a few words what was done")])
    entry = await _open(session, actor, key, request_id, told=told, owner=owner)
    now = house.clock.now()
    await repository.close_help(session, request_id, account_id=actor.account_id, outcome=outcome.strip(), now=now)
    await timeline.note(
        session, key=key, at=now, actor=actor.label, kind="help_closed",
        data={"help_request": request_id, "person": entry["person_key"]},
    )  # fmt: skip
    await _tell_person(session, house, actor, request_id, wording.HELP_CLOSED)
    await notify(session, "muster_board", key)
    return await _again(session, key, request_id)


async def _open(
    session: AsyncSession, actor: Actor, key: str, request_id: int, *, told: bool, owner: str | None
) -> RowMapping:
    incident = await incidents.get(session, key)
    await timeline.hold(session, [key])
    found = await repository.help_requests(session, incident["id"], request_id=request_id, lock=True)
    if not found:
        raise NotFound(f"There is no help request {request_id} in {key}.")
    if not told:
        # Help that is open is the present lead's to see to as well: it is told to them.
        mine = actor.department is not None and fold(actor.department) == fold(found[0]["present_department"])
        access.require_department(actor, found[0]["present_department" if mine else "department"])
    if found[0]["closed_at"] is not None or owner not in (None, _owner(found[0]), str(actor.account_id)):
        # Asked once more: names beside a row that was waited for may be older than the row.
        entry = (await repository.help_requests(session, incident["id"], request_id=request_id))[0]
        raise _changed(entry, compared=owner is not None)
    return found[0]


async def seen(session: AsyncSession, actor: Actor, incident_id: int, request_id: int) -> dict[str, Any] | None:
    """A request that is known to be there, as the actor may see it; None when it is another department's."""
    department = fold(actor.department) if actor.department else None
    found = await repository.help_requests(session, incident_id, request_id=request_id, department=department)
    return show(found[0]) if found else None


async def one(session: AsyncSession, incident_id: int, request_id: int) -> dict[str, Any]:
    """A request that is known to be there."""
    return show((await repository.help_requests(session, incident_id, request_id=request_id))[0])


def _changed(entry: RowMapping, *, compared: bool) -> MusterError:
    """Who has closed or taken it meanwhile; `compared`: the caller said what the page showed."""
    if entry["closed_at"] is None:
        who, what, at, why = entry["taken_by"], f"assigned to {entry['taken_by']}", entry["taken_at"], None
    elif entry["closed_by"]:
        who, what, at, why = entry["closed_by"], "closed", entry["closed_at"], entry["outcome"]
    else:
        who, what, at, why = entry["name"], "withdrawn", entry["closed_at"], None
    if not compared:
        return Conflict(f"This help request is closed already: {what} by {who} at {iso(at)}.")
    change = {"what": f"{entry['name']}'s help request {what}", "by": who, "at": iso(at)}
    return Changed(
        f"This help request has changed since you looked: {what} by {who}. Nothing was done.",
        changed=[change | ({"reason": why} if why else {})],
    )


def _owner(entry: RowMapping) -> str:
    return str(entry["taken_by_id"] or "")


async def _again(session: AsyncSession, key: str, request_id: int) -> dict[str, Any]:
    incident = await incidents.get(session, key)
    return await one(session, incident["id"], request_id)
