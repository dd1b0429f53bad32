"""What the directory does for the other rooms: imports people, finds them, and knows which addresses not to use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.access.service import require_department
from app.directory import likeness, merge, repository
from app.directory.folding import fold
from app.directory.importing import Issue, Reading, Report
from app.directory.numbers import mask
from app.directory.responsible import responsible
from app.directory.source import Source
from app.directory.spellings import spellings
from app.directory.time_zones import zone_name
from app.kernel import audit
from app.kernel.clock import Clock
from app.kernel.db import Database, recount
from app.kernel.errors import Changed, Conflict, FieldError, Invalid, NotFound
from app.web.inputs import clean_text, decode_cursor, encode_cursor, iso

__all__ = [
    "countries", "departments", "flagged_counts", "flagged_people", "get_person", "import_people", "lift",
    "list_people", "mask", "people_at", "people_mailed", "responsible", "retry_contact_point", "sites", "spellings",
    "suppress", "unreachable_people", "zones",
]  # fmt: skip

MOST_MISSING = 20
MOST_MISSING_PERCENT = 20
"""A file said to be everybody may deactivate this many people, or this share, without `force`."""

MAX_PAGE = 1000


class _DryRun(Exception):
    """Ends a dry run's transaction without keeping anything."""


async def import_people(
    db: Database, clock: Clock, source: Source,
    *, country: str | None = None, sheet: str | None = None, complete: bool = False, force: bool = False,
    dry_run: bool = False, actor: str, progress: Callable[[int], None] | None = None,
) -> Report:  # fmt: skip
    """Imports one people file (CSV or .xlsx) in one transaction: the whole file with a report, or nothing.

    A row that cannot be used is rejected and never costs another; a cell that cannot be used is left out with a
    warning; a blank cell or a column that is not there keeps what is known (in a `complete` file whoever is in it is
    active unless it says otherwise). Unchanged people are not touched.

    `country` is the ISO code that national numbers are read with, `sheet` the workbook's (the first when None).
    `complete` says that the file is everybody.
    `progress` is called with the number of rows read so far. Raises Invalid for a file that cannot be trusted as a
    whole, and Conflict when `complete` would deactivate more than 20 people and more than 20 %, unless `force`.
    """
    reading = Reading(source, country, sheet)
    reports: list[Report] = []
    try:
        async with db.begin() as session:
            await merge.open_staging(session)
            batches = reading.batches()
            # Reading numbers costs 0.1 to 0.2 ms a row: in a thread, so that this process goes on answering meanwhile.
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                await merge.stage(session, batch.copy)
                if progress:
                    progress(batch.rows_read)
            report = await _merge(session, reading, clock, complete=complete, force=force, dry_run=dry_run)
            reports.append(report)
            if dry_run:
                raise _DryRun
            counts = {"created": report.created, "updated": report.updated, "unchanged": report.unchanged,
                      "deactivated": report.deactivated, "rejected": len(report.rejected),
                      "warnings": len(report.warnings), "complete": complete, "force": force}  # fmt: skip
            await audit.append(
                session, stream=audit.SYSTEM, at=clock.now(), actor=actor, kind="people.imported", data=counts
            )
    except _DryRun:
        pass
    return reports[0]


async def _merge(
    session: AsyncSession, reading: Reading, clock: Clock, *, complete: bool, force: bool, dry_run: bool
) -> Report:
    await merge.lock(session)
    now = clock.now()
    await _reject_twins(session, reading)
    known = await merge.known_cells(session, sorted({issue.id for issue in reading.dropped}))
    missing = 0
    if complete and not reading.accepted and not reading.rejected:
        raise Conflict(
            "The file holds nobody, so it cannot be everybody; nothing was changed.",
            [FieldError("complete", "import a file with people in it, or leave complete out")],
        )
    if complete:
        missing = await _deactivate_missing(session, reading, now, force=force)
    merged = await merge.merge(session, now, complete=complete)
    counts = merged.counts
    if not dry_run:
        many = counts.created + counts.updated
        await recount(session, "person", "person_version", "contact_point", "department", added=many)
    warnings = reading.warnings + [_left_out(issue, known) for issue in reading.dropped]
    warnings += await _warnings(session, merged)
    return Report(
        created=counts.created,
        updated=counts.updated,
        unchanged=reading.accepted - counts.created - counts.updated - counts.deactivated,
        deactivated=counts.deactivated + missing,
        rejected=sorted(reading.rejected, key=Issue.place),
        warnings=sorted(warnings, key=Issue.place),
        dry_run=dry_run,
    )


async def _reject_twins(session: AsyncSession, reading: Reading) -> None:
    """Nobody is told twice: rejects rows whose person is there under another id."""
    twins = await likeness.take_out_twins(session, sorted(reading.alike))
    issues = [
        Issue(
            twin.line,
            twin.employee_id,
            "id",
            f"{twin.employee_id} is {twin.other} in another shape, with the same name and number "
            f"({f'line {twin.other_line}' if twin.other_line else 'in the directory'}); keep one of the two ids",
        )
        for twin in twins
    ]
    reading.reject(issues, {person for twin in twins for person in (twin.employee_id, twin.other)})


async def _warnings(session: AsyncSession, merged: merge.Merged) -> list[Issue]:
    """What only the directory can tell of the rows that were merged."""
    warnings: list[Issue] = []
    for line, employee_id, manager, kept in await merge.unknown_managers(session):
        warnings.append(Issue(line, employee_id, "manager_id", f"nobody has the id {manager[:100]}; {_manager(kept)}"))
    for read in merged.read:
        reason = f"nobody has the id {read.manager[:100]}; {read.meant[:100]}, the only one like it, is used"
        warnings.append(Issue(read.line, read.employee_id, "manager_id", reason))
    for circle in merged.circles:
        what = "names the person as their own manager"
        if len(circle.path) > 2:
            some = circle.path if len(circle.path) <= 6 else (*circle.path[:4], "...", circle.path[-1])
            what = f"closes a circle of managers ({' -> '.join(some)})"
        warnings.append(Issue(circle.line, circle.path[0], "manager_id", f"{what}; {_manager(circle.kept)}"))
    warnings += [
        Issue(alike.line, alike.employee_id, alike.column, _ALIKE[alike.column].format(alike=alike))
        for alike in await likeness.likenesses(session)
    ]
    warnings += [
        Issue(line, employee_id, "active", "had left, and stays so; write true here to bring them back")
        for line, employee_id in await merge.still_left(session)
    ]
    return warnings


_SAME_NUMBER = "{alike.other} has the same name and number as {alike.employee_id}; if they are one person, keep one id"
_ALIKE = {
    "id": "{alike.employee_id} is {alike.other} but for zeros, case or spaces; if they are one person, keep one id",
    "mobile": _SAME_NUMBER, "phone": _SAME_NUMBER,
    "email": "{alike.other} has the same address as {alike.employee_id}; if they are one person, keep one id",
}  # fmt: skip


def _manager(kept: bool) -> str:
    return "the known manager stays" if kept else "the manager was left out"


async def _deactivate_missing(session: AsyncSession, reading: Reading, now: datetime, *, force: bool) -> int:
    seen = sorted(reading.rejected_ids)
    if not force:
        active = await merge.active_count(session)
        missing = await merge.missing_count(session, seen, reading.nameless)
        if missing > MOST_MISSING and missing * 100 > MOST_MISSING_PERCENT * active:
            raise Conflict(
                f"{missing:,} of {active:,} active people are missing from the file and would be deactivated. "
                "If the file really is everybody, import it again with force.",
                [FieldError("force", "if they have all left, import again with force (--force on the command line)")],
            )
    return await merge.deactivate_missing(session, seen, reading.nameless, now)


_WHAT = {"mobile": "number", "phone": "number", "email": "address", "manager_id": "manager"}
"""What a dropped cell is called; elsewhere it is the value."""


def _left_out(issue: Issue, known: set[tuple[str, str]]) -> Issue:
    what = _WHAT.get(issue.column, "value")
    end = f"the known {what} stays" if (issue.id, issue.column) in known else "it was left out"
    return replace(issue, reason=f"{issue.reason}; {end}")


async def list_people(
    session: AsyncSession,
    *, department: str | None = None, site: str | None = None, active: bool | None = None, q: str | None = None,
    flagged: bool | None = None,
    cursor: str | None = None, limit: int = 50, only_department: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:  # fmt: skip
    """(people in the order of the employer's id, the next cursor or None).

    `q` is looked for in names, ids and titles, as written but in any case. `only_department` is what the asker may
    see at most. Each person: `id` and `manager_id` (the employer's), `name`, `department`, `title`, `site`,
    `language`, `time_zone`, `shift`, `active`, and `contact_points` in the order in which they are tried:
    `kind`, `address`, `country`, `suppressed` (reasons), `flags` (each `channel`, `reason`, `since` in RFC 3339, the
    oldest first). `flagged`: only those with such an address, or without. Raises Invalid for a cursor not ours.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid("The page size is out of range.", [FieldError("limit", f"give a number from 1 to {MAX_PAGE}")])
    for field, value in (("department", department), ("site", site), ("q", q)):
        _check_text(field, value)
    found = await repository.people(
        session, department=department, site=site, active=active, q=q, flagged=flagged,
        only_department=only_department, after=decode_cursor(cursor), limit=limit + 1,
    )  # fmt: skip
    items = [_person(entry) for entry in found[:limit]]
    return items, encode_cursor(items[-1]["id"]) if len(found) > limit else None


async def get_person(
    session: AsyncSession, employee_id: str, *, only_department: str | None = None
) -> dict[str, Any]:  # fmt: skip
    """One person as `list_people` gives them. Raises NotFound, also for somebody of another department."""
    _check_text("id", employee_id)
    items = await repository.person(session, employee_id)
    if items is None or (only_department is not None and fold(items["department"]) != fold(only_department)):
        raise NotFound(f"Nobody has the id {employee_id[:100]}.")
    return _person(items)


def _person(entry: RowMapping) -> dict[str, Any]:
    person = {name: value for name, value in entry.items() if name != "person_id"}
    for point in person["contact_points"]:
        for flag in point["flags"]:
            flag["since"] = iso(datetime.fromisoformat(flag["since"]))
    return person


def _check_text(field: str, value: str | None) -> None:
    try:
        clean_text(value or "")
    except ValueError as error:
        raise Invalid("The input needs correcting.", [FieldError(field, str(error))]) from None


async def people_at(session: AsyncSession, address: str) -> list[RowMapping]:
    """Active people who have this number (E.164, in any of its spellings) as mobile or phone, in a steady order.

    Each: `person_id` (our key), `id`, `name`, `department`, `kind`. More than one means a shared phone. Whoever has the
    number exactly as given comes before those who have another spelling; several spellings at once fit nobody.
    """
    return await repository.people_at(session, spellings(address))


async def people_mailed(session: AsyncSession, address: str) -> list[RowMapping]:
    """Active people who have this mail address, as `people_at` gives them. More than one means a shared mailbox."""
    return await repository.people_mailed(session, address.lower())


async def suppress(session: AsyncSession, address: str, channel: str, reason: str, at: datetime) -> bool:
    """Never use this address on this channel from now on; false when that was known. See `Suppression`.

    What its holder chose holds for every spelling of a number, what the network said only for the one that was tried.
    """
    return await repository.suppress(session, _meant(address.lower(), reason), channel, reason, at)


async def lift(session: AsyncSession, address: str, channel: str, reason: str) -> bool:
    """Ends a suppression; false when there was none."""
    return await repository.lift(session, _meant(address.lower(), reason), channel, reason)


def _meant(address: str, reason: str) -> tuple[str, ...]:
    return spellings(address) if reason == "opted_out" else (address,)


async def sites(session: AsyncSession) -> dict[str, int]:
    """Every site that somebody belongs or belonged to -> how many active people."""
    return await repository.sites(session)


async def departments(session: AsyncSession) -> dict[str, int]:
    """Every department by name -> how many active people."""
    return await repository.departments(session)


async def names(session: AsyncSession) -> dict[str, list[str]]:
    """What somebody active has: `departments`, `sites`, `titles`, `shifts`, and the ids of `people`, as spelled."""
    return await repository.names(session)


async def countries(session: AsyncSession) -> dict[str, int]:
    """ISO code -> how many numbers of active people, the most first."""
    return await repository.countries(session)


@dataclass(frozen=True)
class Zones:
    """By whose clock quiet hours are counted: how many active people have `none` that is known, and which spellings
    of theirs mean none. `some`: the ids of a few of them."""

    people: int
    none: int
    unknown: tuple[str, ...]
    some: tuple[str, ...]


async def zones(session: AsyncSession) -> Zones:
    """What the directory says of people's time zones."""
    found = await repository.time_zones(session)
    without = [entry for entry in found if zone_name(entry["zone"]) is None]
    return Zones(
        people=sum(entry["people"] for entry in found),
        none=sum(entry["people"] for entry in without),
        unknown=tuple(entry["zone"] for entry in without if entry["zone"]),
        some=tuple(sorted(employee_id for entry in without for employee_id in entry["some"])[:5]),
    )


async def unreachable_people(
    session: AsyncSession, *, channels: Sequence[str], countries: Sequence[str] | None, department: str | None = None
) -> list[RowMapping]:
    """Active people whom no channel in `channels` can reach: `person_id`, `id`, `name`, `department`, `reason`.

    `countries` (ISO codes, None for any) are those that may be texted and called.
    """
    return await repository.unreachable(session, channels=channels, allowed=countries, department=department)


async def flagged_people(
    session: AsyncSession,
    *, department: str | None, channels: Sequence[str], countries: Sequence[str] | None, after: str | None = None,
    limit: int,
) -> tuple[list[RowMapping], str | None]:  # fmt: skip
    """(active people with a flagged address, by department and name; whom to go on after, or None).

    Each: `id`, `name`, `title`, `site`, `department`; `flagged`, a list of `kind`, `address`, `reason`, `channels` and
    `since` (RFC 3339); `routes`, channel -> address, is what still reaches them over `channels` (`unreachable_people`).
    """
    found = await repository.flagged_people(
        session, department=department, after=after, limit=limit + 1, channels=channels, allowed=countries
    )
    return found[:limit], found[limit - 1]["id"] if len(found) > limit else None


async def flagged_counts(session: AsyncSession, department: str | None = None) -> list[RowMapping]:
    """Each department in which somebody active has a flagged address: `department`, `people`, and how many addresses
    the network refused (`to_mend`) or whose holders opted out (`opted_out`, none of them in both)."""
    return await repository.flagged_counts(session, department)


def _same_flag(person: Mapping[str, Any], kind: str, since: str) -> None:
    """Raises Changed when the contact point has flags by now, and none of them is from that moment."""
    flags: list[dict[str, Any]] = next(
        (entry["flags"] for entry in person["contact_points"] if entry["kind"] == kind), []
    )
    found = {flag["since"] for flag in flags if flag["reason"] != "opted_out"}
    try:
        shown = iso(datetime.fromisoformat(since))
    except ValueError:
        shown = None
    if found and shown not in found:
        raise Changed(
            "This number was changed and refused again after you opened the page, so nothing was lifted. Look at it as "
            "it is now.",
            changed=[{"what": f"{person['name']}'s number refused", "by": "the network", "at": max(found)}],
        )


async def retry_contact_point(
    session: AsyncSession, clock: Clock, actor: Actor, employee_id: str, kind: str, *, since: str = ""
) -> dict[str, Any]:
    """Lifts what the network said of a person's address, because it was wrong: the next message uses it again.

    Returns the contact point as `list_people` gives it. Lifting what is not flagged changes nothing. Raises NotFound,
    Forbidden for a lead of another department, and Conflict where all there is to lift is the holder's own choice.
    `since`: when the flag was set that the page showed; Changed when the number has only others by now.
    """
    point = await repository.contact_point(session, employee_id, kind)
    if point is None:
        raise NotFound(
            f"There is no {kind[:20]} contact for employee id {employee_id[:100]}. Check the id and the kind."
        )
    require_department(actor, point["department"])
    if since:
        _same_flag(await get_person(session, employee_id), kind, since)
    lifted = await repository.lift_refusals(session, point["address"])
    person = await get_person(session, employee_id)
    shown: dict[str, Any] = next(entry for entry in person["contact_points"] if entry["kind"] == kind)
    if lifted:
        await audit.append(
            session, stream=audit.SYSTEM, at=clock.now(), actor=actor.label, kind="contact_point.retried",
            data={"person": point["person_id"], "contact_point": point["id"], "lifted": lifted},
        )  # fmt: skip
    elif shown["flags"]:
        raise Conflict(
            "They texted STOP, so this number gets no texts. Only they can undo it, by texting START to our number."
        )
    return shown
