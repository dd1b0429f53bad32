"""SQL of the notices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import rows, run
from app.kernel.locks import Lock


async def lock_people(session: AsyncSession, person_ids: Sequence[int]) -> None:
    """Always in the same order, so that nobody waits in a ring."""
    await run(
        session,
        """SELECT pg_advisory_xact_lock(:room, each.place) FROM (
             SELECT DISTINCT CAST(id % 2147483647 AS int) AS place FROM unnest(CAST(:people AS bigint[])) AS p (id)
             ORDER BY 1) each""",
        {"room": Lock.PERSON.value, "people": list(person_ids)},
    )


async def due_times(session: AsyncSession, person_ids: Sequence[int], *, since: datetime) -> Sequence[RowMapping]:
    """(person_id, kind, due_at): when these people's notices went out, or will."""
    return await rows(
        session,
        "SELECT person_id, kind, due_at FROM notice WHERE person_id = ANY(:people) AND due_at > :since",
        {"people": list(person_ids), "since": since},
    )


async def insert(session: AsyncSession, made: Sequence[Mapping[str, Any]], *, now: datetime) -> list[int]:
    """One row for each of `made` (person_id, kind, subject, line, about, due_at); their ids in the same order."""
    found = await rows(
        session,
        """INSERT INTO notice (person_id, kind, subject, lines, abouts, created_at, due_at)
           SELECT n.person_id, n.kind, n.subject, jsonb_build_array(n.line),
                  CASE WHEN n.about IS NULL THEN '[]'::jsonb ELSE jsonb_build_array(n.about) END, :now, n.due_at
           FROM unnest(CAST(:people AS bigint[]), CAST(:kinds AS text[]), CAST(:subjects AS text[]),
                       CAST(:lines AS text[]), CAST(:abouts AS bigint[]), CAST(:due AS timestamptz[]))
             WITH ORDINALITY AS n (person_id, kind, subject, line, about, due_at, place)
           ORDER BY n.place RETURNING id""",
        {
            "people": [entry["person_id"] for entry in made],
            "kinds": [entry["kind"] for entry in made],
            "subjects": [entry["subject"] for entry in made],
            "lines": [entry["line"] for entry in made],
            "abouts": [entry["about"] for entry in made],
            "due": [entry["due_at"] for entry in made],
            "now": now,
        },
    )
    # The database numbers rows in the order of the SELECT.
    return sorted(int(entry["id"]) for entry in found)


async def add_lines(session: AsyncSession, lines: Sequence[tuple[int, str, int | None]]) -> None:
    """(notice id, line, about): one more line in notices that have not gone out; the same line twice is one."""
    await run(
        session,
        """UPDATE notice n SET lines = n.lines || jsonb_build_array(more.line),
                  abouts = n.abouts || CASE WHEN more.about IS NULL THEN '[]'::jsonb
                    ELSE jsonb_build_array(more.about) END
           FROM unnest(CAST(:ids AS bigint[]), CAST(:lines AS text[]), CAST(:abouts AS bigint[]))
             AS more (id, line, about)
           WHERE n.id = more.id AND NOT n.lines @> jsonb_build_array(more.line)""",
        {
            "ids": [notice_id for notice_id, _, _ in lines],
            "lines": [line for _, line, _ in lines],
            "abouts": [about for _, _, about in lines],
        },
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
