"""SQL of the field reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row, rows
from app.replies.models import NewReport


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
    session: AsyncSession, incident_id: int, *, before: int | None, limit: int, department: str | None
) -> Sequence[RowMapping]:
    """The newest first. `department` is a department's folded name."""
    return await rows(
        session,
        """
        SELECT f.id, f.text, f.maybe_help AND f.help_settled_at IS NULL AS maybe_help,
               f.maybe_stop AND f.stop_settled_at IS NULL AS maybe_stop, f.media, f.via, f.at, f.number,
               p.employee_id AS person_id, v.name, v.site, v.title, dep.name AS department
        FROM field_report f LEFT JOIN person p ON p.id = f.person_id
        LEFT JOIN person_version v ON v.id = f.person_version_id LEFT JOIN department dep ON dep.id = v.department_id
        WHERE f.incident_id = :incident AND (CAST(:before AS bigint) IS NULL OR f.id < :before)
          AND (CAST(:department AS text) IS NULL OR dep.key = :department)
        ORDER BY f.id DESC LIMIT :limit
        """,
        {"incident": incident_id, "before": before, "limit": limit, "department": department},
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
