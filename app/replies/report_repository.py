"""SQL of the field reports, and of what becomes of those that may be a call for help."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels import media
from app.channels.media import Medium
from app.kernel.db import row, rows, run
from app.replies.models import NewReport

_AT_THE_NUMBER = """FROM contact_point c JOIN person x ON x.id = c.person_id AND x.active
  JOIN department xd ON xd.id = x.department_id
  WHERE c.address = f.number AND c.kind IN ('mobile', 'phone')"""
"""The people who have the number of report `f`, with their departments: people `x` of departments `xd`."""

OPEN_HELP = "f.maybe_help AND f.help_settled_at IS NULL"
OPEN_STOP = "f.maybe_stop AND f.stop_settled_at IS NULL"

SEEN = f"""(CAST(:department AS text) IS NULL OR dep.key = :department
  OR (f.person_id IS NULL AND EXISTS (SELECT {_AT_THE_NUMBER} AND xd.key = :department))
  OR ({OPEN_HELP} AND EXISTS (SELECT FROM person y JOIN department yd ON yd.id = y.department_id
                              WHERE y.id = f.person_id AND yd.key = :department)))"""
"""Whether a department sees report `f` of a person who was in `dep`: its own people's, and those from a phone that one
of its people shares. What may be a call for help is also for the department that the person is in now."""


@dataclass(frozen=True)
class Candidate:
    """Somebody who has the number that a report came from. `person_id` is the employer's id."""

    person_id: str
    name: str
    department: str
    site: str | None


@dataclass(frozen=True)
class Report:
    """A field report as it stands. `person_id` is the employer's id, `call` the E.164 number of who sent it.

    `name` is None for one from a shared phone; while it may be a call for help, `candidates` are the people who have
    that number. `maybe_help` and `maybe_stop` end when somebody settles them: `cleared_at` and `cleared_by` tell of
    possible help that was none, `help_request_id` is the request that it became.
    """

    id: int
    text: str
    media: tuple[Medium, ...]
    via: str
    at: datetime
    person_id: str | None
    name: str | None
    title: str | None
    department: str | None
    site: str | None
    call: str | None
    maybe_help: bool
    maybe_stop: bool
    cleared_at: datetime | None
    cleared_by: str | None
    help_request_id: int | None
    candidates: tuple[Candidate, ...]


_REPORTS = f"""
  SELECT f.id, f.text, f.media, f.via, f.at,
         p.employee_id AS person_id, v.name, v.title, dep.name AS department, v.site,
         coalesce(f.number, (SELECT c.address FROM contact_point c WHERE c.person_id = f.person_id
           AND c.kind IN ('mobile', 'phone') ORDER BY c.position LIMIT 1)) AS call,
         {OPEN_HELP} AS maybe_help, {OPEN_STOP} AS maybe_stop, f.help_request_id,
         CASE WHEN f.maybe_help AND f.help_request_id IS NULL THEN f.help_settled_at END AS cleared_at,
         CASE WHEN f.maybe_help AND f.help_request_id IS NULL THEN settled.name END AS cleared_by,
         CASE WHEN f.person_id IS NULL AND {OPEN_HELP} THEN (
           SELECT jsonb_agg(jsonb_build_object('person_id', x.employee_id, 'name', x.name, 'department', xd.name,
             'site', x.site) ORDER BY x.name, x.employee_id)
           {_AT_THE_NUMBER} AND (CAST(:department AS text) IS NULL OR xd.key = :department)) END AS candidates,
         count(*) OVER () AS in_all
  FROM field_report f LEFT JOIN person p ON p.id = f.person_id
  LEFT JOIN person_version v ON v.id = f.person_version_id LEFT JOIN department dep ON dep.id = v.department_id
  LEFT JOIN account settled ON settled.id = f.help_settled_by
"""


@dataclass(frozen=True)
class Kept:
    """A report as it is decided about. `person` is our key, None when several people share its number."""

    id: int
    incident_id: int | None
    person: int | None
    number: str | None
    maybe_help: bool
    maybe_stop: bool
    help_request_id: int | None


async def add(session: AsyncSession, report: NewReport, *, at: datetime) -> int:
    """Keeps a report; its id."""
    found = await row(
        session,
        """INSERT INTO field_report (incident_id, person_id, number, text, maybe_help, maybe_stop, media, via, at,
                                     inbound_id)
           VALUES (:incident, :person, :number, :text, :help, :stop, CAST(:media AS jsonb), :via, :at, :inbound)
           RETURNING id""",
        {
            "incident": report.incident_id,
            "person": report.person_id,
            "number": report.number,
            "text": report.text,
            "help": report.maybe_help,
            "stop": report.maybe_stop,
            "media": json.dumps([medium.as_dict() for medium in report.media]),
            "via": report.via,
            "at": at,
            "inbound": report.inbound_id,
        },
    )
    assert found
    return int(found["id"])


async def kept(session: AsyncSession, inbound_id: int) -> bool:
    """Whether a report was made of this text."""
    return (
        await row(session, "SELECT 1 AS one FROM field_report WHERE inbound_id = :id", {"id": inbound_id}) is not None
    )


async def of_incident(
    session: AsyncSession,
    incident_id: int,
    *,
    department: str | None,
    before: int | None = None,
    report_id: int | None = None,
    limit: int = 1,
) -> tuple[list[Report], int]:
    """(reports, the newest first; how many there are in all). `department` is a department's folded name."""
    found = await rows(
        session,
        f"""{_REPORTS} WHERE f.incident_id = :incident AND {SEEN}
              AND (CAST(:before AS bigint) IS NULL OR f.id < :before)
              AND (CAST(:report AS bigint) IS NULL OR f.id = :report)
            ORDER BY f.id DESC LIMIT :limit""",
        {"incident": incident_id, "before": before, "limit": limit, "department": department, "report": report_id},
    )
    return _read(found)


async def possible_help(
    session: AsyncSession, incident_id: int | None, *, department: str | None, limit: int
) -> tuple[list[Report], int]:
    """(reports that may be a call for help and that nobody has settled, the oldest first; how many there are in all).

    `incident_id` None: those that belong to no incident.
    """
    found = await rows(
        session,
        f"""{_REPORTS} WHERE f.incident_id IS NOT DISTINCT FROM CAST(:incident AS bigint) AND {OPEN_HELP} AND {SEEN}
            ORDER BY f.at, f.id LIMIT :limit""",
        {"incident": incident_id, "department": department, "limit": limit},
    )
    return _read(found)


def _read(found: Sequence[RowMapping]) -> tuple[list[Report], int]:
    listed = []
    for entry in found:
        values: dict[str, Any] = {name: value for name, value in entry.items() if name != "in_all"}
        values["media"] = media.read(entry["media"])
        values["candidates"] = tuple(Candidate(**one) for one in entry["candidates"] or ())
        listed.append(Report(**values))
    return listed, int(found[0]["in_all"]) if found else 0


async def find(
    session: AsyncSession, report_id: int, *, incident_id: int | None, department: str | None, anywhere: bool = False
) -> Kept | None:
    """A report of this incident, or of none yet (`anywhere`: of any), locked; None when it is not the department's."""
    found = await row(
        session,
        f"""SELECT f.id, f.incident_id, f.person_id AS person, f.number, {OPEN_HELP} AS maybe_help,
                   {OPEN_STOP} AS maybe_stop, f.help_request_id
            FROM field_report f LEFT JOIN person_version v ON v.id = f.person_version_id
            LEFT JOIN department dep ON dep.id = v.department_id
            WHERE f.id = :id AND {SEEN}
              AND (:anywhere OR f.incident_id IS NULL OR f.incident_id = CAST(:incident AS bigint))
            FOR UPDATE OF f""",
        {"id": report_id, "incident": incident_id, "department": department, "anywhere": anywhere},
    )
    return Kept(**found) if found else None


async def candidates(session: AsyncSession, person_keys: Sequence[int]) -> list[Candidate]:
    found = await rows(
        session,
        """SELECT p.employee_id AS person_id, p.name, d.name AS department, p.site
           FROM person p JOIN department d ON d.id = p.department_id WHERE p.id = ANY(:people)
           ORDER BY p.name, p.employee_id""",
        {"people": list(person_keys)},
    )
    return [Candidate(**entry) for entry in found]


async def active_person(session: AsyncSession, employee_id: str) -> RowMapping | None:
    """Our key and the department of somebody who is here."""
    return await row(
        session,
        """SELECT p.id, d.name AS department FROM person p JOIN department d ON d.id = p.department_id
           WHERE p.employee_id = :person AND p.active""",
        {"person": employee_id},
    )


async def last_delivery(session: AsyncSession, incident_id: int, person: int) -> int | None:
    """What somebody was told last in an incident; None when they were told nothing."""
    found = await row(
        session,
        """SELECT d.id FROM delivery d JOIN bulletin b ON b.id = d.bulletin_id
           WHERE d.incident_id = :incident AND d.person_id = :person AND b.sent_at IS NOT NULL
           ORDER BY b.number DESC LIMIT 1""",
        {"incident": incident_id, "person": person},
    )
    return int(found["id"]) if found else None


async def settle_help(
    session: AsyncSession,
    report_id: int,
    *,
    account_id: int,
    now: datetime,
    incident_id: int | None = None,
    help_request_id: int | None = None,
) -> None:
    """Possible help is decided about: it became this request of this incident, or (None) was no call for help."""
    await run(
        session,
        """UPDATE field_report SET help_settled_at = :now, help_settled_by = :account, help_request_id = :request,
                  incident_id = coalesce(incident_id, :incident) WHERE id = :id""",
        {"id": report_id, "now": now, "account": account_id, "request": help_request_id, "incident": incident_id},
    )


async def settle_by_answer(
    session: AsyncSession, *, incident_id: int, person: int, help_request_id: int, now: datetime
) -> int:
    """The person has asked for help in so many words: what may have been a call for help was one. How many."""
    return await run(
        session,
        f"""UPDATE field_report f SET help_settled_at = :now, help_request_id = :request
            WHERE f.incident_id = :incident AND f.person_id = :person AND {OPEN_HELP}""",
        {"incident": incident_id, "person": person, "request": help_request_id, "now": now},
    )


ASKED_BACK = ("asked_who", "asked_which_question", "unknown_code", "no_question")
"""What became of a text that was an answer, only not plainly whose or to what."""


async def clear_asked_back(
    session: AsyncSession, numbers: Sequence[str], *, now: datetime, helped: bool
) -> Sequence[int]:
    """Settles the possible help of answers from this number that were asked back; the incidents of those reports.

    `helped`: that of a carrier's HELP, too.
    """
    found = await rows(
        session,
        """UPDATE field_report f SET help_settled_at = :now FROM inbound_message m
           WHERE m.id = f.inbound_id AND m.outcome = ANY(:asked) AND f.number = ANY(:numbers)
             AND f.maybe_help AND f.help_settled_at IS NULL RETURNING f.incident_id""",
        {"now": now, "numbers": list(numbers), "asked": [*ASKED_BACK, *(["asked_which"] if helped else [])]},
    )
    return sorted({entry["incident_id"] for entry in found if entry["incident_id"] is not None})


@dataclass(frozen=True)
class StopToTell:
    """Whom to tell of what may be an opt-out. `leads` are our keys of people; `name` is None for a shared phone."""

    incident_id: int
    name: str | None
    department: str | None
    text: str
    leads: tuple[int, ...]


@dataclass(frozen=True)
class PossibleStop:
    """A report that may be an opt-out, with the contact point to opt out: `person_id` (the employer's) and `kind`.

    Both are None when nobody has the number any more, or when it did not come from a number.
    """

    id: int
    text: str
    at: datetime
    name: str | None
    department: str | None
    site: str | None
    key: str | None
    person_id: str | None
    kind: str | None


async def stop_to_tell(session: AsyncSession, report_id: int) -> StopToTell | None:
    """None when the report belongs to no incident: then there is nothing under which anybody could be told."""
    found = await row(
        session,
        f"""
        SELECT f.incident_id, p.name, d.name AS department, f.text, ARRAY(
          SELECT DISTINCT l.id FROM person l JOIN account a ON a.person_employee_id = l.employee_id
            AND a.disabled_at IS NULL AND a.role = 'department_lead'
          WHERE l.active AND l.id IS DISTINCT FROM f.person_id AND (a.department = d.name OR (f.person_id IS NULL
            AND a.department IN (SELECT xd.name {_AT_THE_NUMBER}))) ORDER BY l.id LIMIT 5) AS leads
        FROM field_report f LEFT JOIN person p ON p.id = f.person_id LEFT JOIN department d ON d.id = p.department_id
        WHERE f.id = :id AND f.incident_id IS NOT NULL""",
        {"id": report_id},
    )
    return StopToTell(**{**found, "leads": tuple(found["leads"])}) if found else None


async def possible_stops(
    session: AsyncSession, *, department: str | None, limit: int
) -> tuple[list[PossibleStop], int]:
    """(what may be an opt-out and nobody has settled, the oldest first; how many there are in all)."""
    found = await rows(
        session,
        f"""
        SELECT f.id, f.text, f.at, v.name, dep.name AS department, v.site, i.key, held.person_id, held.kind,
               count(*) OVER () AS in_all
        FROM field_report f LEFT JOIN person_version v ON v.id = f.person_version_id
        LEFT JOIN department dep ON dep.id = v.department_id LEFT JOIN incident i ON i.id = f.incident_id
        LEFT JOIN LATERAL (
          SELECT x.employee_id AS person_id, c.kind FROM contact_point c
          JOIN person x ON x.id = c.person_id AND x.active JOIN department xd ON xd.id = x.department_id
          WHERE c.kind IN ('mobile', 'phone') AND CASE WHEN f.number IS NULL THEN c.person_id = f.person_id
            ELSE c.address = f.number AND (f.person_id IS NULL OR c.person_id = f.person_id) END
            AND (CAST(:department AS text) IS NULL OR xd.key = :department)
          ORDER BY c.position, x.id LIMIT 1) held ON true
        WHERE {OPEN_STOP} AND {SEEN} ORDER BY f.at, f.id LIMIT :limit""",
        {"department": department, "limit": limit},
    )
    listed = [PossibleStop(**{name: value for name, value in e.items() if name != "in_all"}) for e in found]
    return listed, int(found[0]["in_all"]) if found else 0


async def settle_stop(session: AsyncSession, report_id: int, *, account_id: int, now: datetime) -> None:
    """A report meant no opt-out."""
    await run(
        session,
        "UPDATE field_report SET stop_settled_at = :now, stop_settled_by = :account WHERE id = :id",
        {"id": report_id, "now": now, "account": account_id},
    )


async def settle_stops(
    session: AsyncSession, numbers: Sequence[str], person: int, *, account_id: int, now: datetime
) -> int:
    """What this person or these numbers said that may have been an opt-out was one; how many reports."""
    return await run(
        session,
        f"""UPDATE field_report f SET stop_settled_at = :now, stop_settled_by = :account
            WHERE {OPEN_STOP} AND (f.person_id = :person OR f.number = ANY(:numbers))""",
        {"person": person, "numbers": list(numbers), "account": account_id, "now": now},
    )
