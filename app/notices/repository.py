"""SQL of the notices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row, rows, run

_PERSON_LOCK = 727472004
"""With the person's id: notices to one person are made one after the other, so that the limit holds."""


async def lock_person(session: AsyncSession, person_id: int) -> None:
    await run(
        session,
        "SELECT pg_advisory_xact_lock(:room, CAST(:person % 2147483647 AS int))",
        {"room": _PERSON_LOCK, "person": person_id},
    )


async def due_times(session: AsyncSession, person_id: int, *, since: datetime) -> Sequence[datetime]:
    """When this person's notices went out, or will."""
    found = await rows(
        session,
        "SELECT due_at FROM notice WHERE person_id = :person AND due_at > :since",
        {"person": person_id, "since": since},
    )
    return [entry["due_at"] for entry in found]


async def insert(
    session: AsyncSession, *, person_id: int, kind: str, subject: str, line: str, about: int | None, now: datetime,
    due_at: datetime,
) -> int:  # fmt: skip
    found = await row(
        session,
        """INSERT INTO notice (person_id, kind, subject, lines, abouts, created_at, due_at)
           VALUES (:person, :kind, :subject, CAST(:lines AS jsonb), CAST(:abouts AS jsonb), :now, :due) RETURNING id""",
        {
            "person": person_id, "kind": kind, "subject": subject, "lines": json.dumps([line]),
            "abouts": json.dumps([about] if about is not None else []), "now": now, "due": due_at,
        },
    )  # fmt: skip
    assert found
    return int(found["id"])


async def add_line(session: AsyncSession, notice_id: int, *, line: str, about: int | None) -> None:
    """One more line in a notice that has not gone out; the same line twice is one."""
    await run(
        session,
        """UPDATE notice SET lines = lines || CAST(:line AS jsonb), abouts = abouts || CAST(:about AS jsonb)
           WHERE id = :id AND NOT lines @> CAST(:line AS jsonb)""",
        {"id": notice_id, "line": json.dumps([line]), "about": json.dumps([about] if about is not None else [])},
    )


async def about(session: AsyncSession, kind: str, thing: int) -> Sequence[int]:
    """The ids of the people who were told about this."""
    found = await rows(
        session,
        """SELECT person_id FROM notice WHERE kind = :kind AND abouts @> CAST(:thing AS jsonb)
           GROUP BY person_id ORDER BY min(id)""",
        {"kind": kind, "thing": json.dumps([thing])},
    )
    return [entry["person_id"] for entry in found]
