"""SQL of the incidents."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.directory.versions import ACTOR_THEN_SQL, PERSON_THEN_SQL
from app.kernel.db import row, rows, run

INCIDENT_KINDS = ("declared", "status_changed", "severity_changed", "commander_changed", "bulletin_sent")
"""Entries that change what an incident's answer shows and people decide: a sent bulletin brings its facts."""
BULLETIN_KINDS = ("bulletin_drafted", "bulletin_approved", "bulletin_sent", "bulletin_cancelled")


def _quoted(kinds: Collection[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


# The sum keeps the planner from walking back through a large send's answers to find the largest number.
VERSION = f"""(SELECT max(e.seq + 0) FROM audit_entry e
  WHERE e.stream = i.key AND e.kind IN ({_quoted(INCIDENT_KINDS)}))"""
BULLETIN_VERSION = f"""(SELECT max(e.seq + 0) FROM audit_entry e WHERE e.stream = i.key
  AND (e.kind = 'severity_changed' OR (e.kind IN ({_quoted(BULLETIN_KINDS)})
       AND CAST(e.data ->> 'bulletin' AS int) = b.number)))"""
"""Of the incident `i` and of its bulletin `b`. Read in the same statement as what they are the version of."""

_SELECT = f"""
  SELECT i.*, r.slug AS playbook, r.revision AS playbook_revision, r.title AS playbook_title,
         a.name AS declared_by_name,
         cp.employee_id AS commander_person_id, coalesce(cv.name, ca.name) AS commander_name,
         ra.account_id AS commander_account_id, ra.assumed_at AS commander_since,
         (SELECT count(*) FROM help_request h WHERE h.incident_id = i.id AND h.closed_at IS NULL) AS open_help,
         (SELECT count(*) FROM field_report f WHERE f.incident_id = i.id AND f.maybe_help
            AND f.help_settled_at IS NULL) AS possible_help,
         last.stage AS last_stage, last.state AS last_state, last.sent_at AS last_sent_at, last.facts AS last_facts,
         {VERSION} AS version, (SELECT h.seq FROM audit_head h WHERE h.stream = i.key) AS position
  FROM incident i
  JOIN playbook_revision r ON r.id = i.revision_id
  JOIN account a ON a.id = i.declared_by
  LEFT JOIN role_assignment ra ON ra.incident_id = i.id AND ra.role = 'incident_commander' AND ra.released_at IS NULL
  LEFT JOIN person cp ON cp.id = ra.person_id
  LEFT JOIN person_version cv ON cv.id = ra.person_version_id
  LEFT JOIN account ca ON ca.id = ra.account_id
  LEFT JOIN LATERAL (
    SELECT b.stage, b.state, b.sent_at, b.facts FROM bulletin b WHERE b.incident_id = i.id AND b.sent_at IS NOT NULL
    ORDER BY b.number DESC LIMIT 1) last ON true
"""


async def next_key(session: AsyncSession, year: int) -> str:
    """The next incident key of the year; gapless, because the row stays locked until the declaration commits."""
    found = await row(
        session,
        """INSERT INTO incident_number (year, last) VALUES (:year, 1)
           ON CONFLICT (year) DO UPDATE SET last = incident_number.last + 1 RETURNING last""",
        {"year": year},
    )
    assert found
    return f"INC-{year}-{found['last']:04d}"


async def insert(
    session: AsyncSession,
    *, key: str, revision_id: int, title: str, severity: str, facts: Mapping[str, Any], drill: bool, simulated: bool,
    declared_by: int, now: datetime,
) -> int:  # fmt: skip
    found = await row(
        session,
        """INSERT INTO incident (key, revision_id, title, status, severity, facts, drill, simulated, declared_by,
                                 declared_at)
           VALUES (:key, :revision, :title, 'declared', :severity, CAST(:facts AS jsonb), :drill, :simulated, :by,
                   :now) RETURNING id""",
        {
            "key": key, "revision": revision_id, "title": title, "severity": severity, "facts": json.dumps(facts),
            "drill": drill, "simulated": simulated, "by": declared_by, "now": now,
        },
    )  # fmt: skip
    assert found
    return int(found["id"])


# FOR NO KEY UPDATE, here and wherever a row is held that others refer to: rows that refer to it may be added meanwhile.
# FOR UPDATE would keep them waiting, and close a ring with whoever holds the timeline already.
async def by_key(session: AsyncSession, key: str, *, lock: bool = False) -> RowMapping | None:
    return await row(session, f"{_SELECT} WHERE i.key = :key {'FOR NO KEY UPDATE OF i' if lock else ''}", {"key": key})


async def page(session: AsyncSession, *, status: str | None, before: int | None, limit: int) -> Sequence[RowMapping]:
    """Newest first. `status` may also be `open`."""
    return await rows(
        session,
        f"""{_SELECT} WHERE (CAST(:before AS bigint) IS NULL OR i.id < :before)
            AND (CAST(:status AS text) IS NULL OR i.status = :status OR (:status = 'open' AND i.closed_at IS NULL))
            ORDER BY i.id DESC LIMIT :limit""",
        {"before": before, "status": status, "limit": limit},
    )


async def hold_declarations(session: AsyncSession) -> None:
    """Until this transaction ends nobody else looks for incidents that are alike: two at once see each other."""
    await run(session, "SELECT pg_advisory_xact_lock(hashtext('muster.declare'))")


async def change(
    session: AsyncSession, incident_id: int, *, status: str, severity: str, now: datetime, resolved_at: datetime | None
) -> None:
    await run(
        session,
        """UPDATE incident SET status = :status, severity = :severity, resolved_at = :resolved,
                  closed_at = CASE WHEN CAST(:status AS varchar) = 'closed' THEN CAST(:now AS timestamptz) END
           WHERE id = :id""",
        {"status": status, "severity": severity, "now": now, "resolved": resolved_at, "id": incident_id},
    )


@dataclass(frozen=True)
class Change:
    """One entry of the timeline as it is told to whoever looked before. `actor` is the record's name for them."""

    kind: str
    data: dict[str, Any]
    at: datetime
    actor: str
    by: str
    person: str | None
    reason: str | None


@dataclass(frozen=True)
class Subject:
    """What is looked at: entries of the `kinds`, and those of `own` that are about this bulletin."""

    kinds: Collection[str]
    own: Collection[str] = ()
    bulletin: int | None = None

    def parameters(self, key: str) -> dict[str, Any]:
        return {"key": key, "kinds": list(self.kinds), "own": list(self.own), "bulletin": self.bulletin}


_ABOUT = """e.stream = :key AND (e.kind = ANY(CAST(:kinds AS text[])) OR (e.kind = ANY(CAST(:own AS text[]))
  AND CAST(e.data ->> 'bulletin' AS int) = :bulletin))"""


async def version(session: AsyncSession, key: str, subject: Subject) -> int:
    """The number of the last entry about it."""
    found = await row(
        session, f"SELECT max(e.seq + 0) AS version FROM audit_entry e WHERE {_ABOUT}", subject.parameters(key)
    )
    return int(found["version"] or 0) if found else 0


async def changes(session: AsyncSession, key: str, subject: Subject, *, after: int) -> list[Change]:
    """The entries about it after this number, in order, with names."""
    found = await rows(
        session,
        f"""SELECT e.kind, e.data, e.at, e.actor, p.name AS person, n.text AS reason,
                   coalesce(a.name, who.name, CASE e.actor WHEN 'system' THEN 'Muster' ELSE e.actor END) AS by
            FROM audit_entry e JOIN incident i ON i.key = e.stream
            LEFT JOIN account a ON e.actor = 'account:' || a.id
            LEFT JOIN person_version who ON who.id = {ACTOR_THEN_SQL}
            LEFT JOIN person_version p ON p.id = {PERSON_THEN_SQL}
            LEFT JOIN incident_note n ON n.id = CAST(e.data ->> 'note' AS bigint) AND n.incident_id = i.id
            WHERE {_ABOUT} AND e.seq > :after ORDER BY e.seq""",
        subject.parameters(key) | {"after": after},
    )
    return [Change(**entry) for entry in found]


async def set_facts(session: AsyncSession, incident_id: int, facts: Mapping[str, Any]) -> None:
    await run(
        session,
        "UPDATE incident SET facts = CAST(:facts AS jsonb) WHERE id = :id",
        {"facts": json.dumps(facts), "id": incident_id},
    )


async def assign_commander(
    session: AsyncSession, incident_id: int, *, person_id: int | None, account_id: int | None, now: datetime
) -> None:
    await run(
        session,
        """UPDATE role_assignment SET released_at = :now
           WHERE incident_id = :id AND role = 'incident_commander' AND released_at IS NULL""",
        {"id": incident_id, "now": now},
    )
    await run(
        session,
        """INSERT INTO role_assignment (incident_id, role, person_id, account_id, assumed_at)
           VALUES (:id, 'incident_commander', :person, :account, :now)""",
        {"id": incident_id, "person": person_id, "account": account_id, "now": now},
    )


async def add_note(session: AsyncSession, incident_id: int, text: str) -> int:
    found = await row(
        session,
        "INSERT INTO incident_note (incident_id, text) VALUES (:id, :text) RETURNING id",
        {"id": incident_id, "text": text},
    )
    assert found
    return int(found["id"])


async def notes(session: AsyncSession, incident_id: int) -> dict[int, str]:
    found = await rows(session, "SELECT id, text FROM incident_note WHERE incident_id = :id", {"id": incident_id})
    return {entry["id"]: entry["text"] for entry in found}


async def person(session: AsyncSession, employee_id: str) -> RowMapping | None:
    return await row(session, "SELECT id, name, active FROM person WHERE employee_id = :id", {"id": employee_id})
