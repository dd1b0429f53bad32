"""People as they were: which version of a person stands for them in what an incident shows.

A row that shows somebody has a `person_version_id`, set by the database when the row is written; an entry of the
record names the versions of its people in `versions`. What is still to be done reads `person` itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.directory.models import ERASED
from app.kernel.audit import Also
from app.kernel.db import row, rows

VERSIONS = "versions"
"""Where an entry of the record says which version of each of its people it means: `{"5": 17}`, by person."""


def as_now(person_ids: Sequence[int]) -> Also:
    """What an entry about these people holds besides: their versions at this moment."""
    return Also(
        f"""(SELECT jsonb_build_object('{VERSIONS}', coalesce(jsonb_object_agg(p.id, p.latest_version_id), '{{}}'))
             FROM person p WHERE p.id = ANY(CAST(:people AS bigint[])))""",
        {"people": sorted(set(person_ids))},
    )


def _then_sql(person: str, data: str, at: str) -> str:
    """The id of the version of a person that an entry means: `person`, `data` and `at` are SQL of ours.

    Entries of earlier releases name no version: then it is the one of that time.
    """
    return f"""coalesce(({data} -> '{VERSIONS}' ->> ({person})::text)::bigint,
      (SELECT max(pv.id) FROM person_version pv WHERE pv.person_id = {person} AND pv.since <= {at}),
      (SELECT min(pv.id) FROM person_version pv WHERE pv.person_id = {person}))"""


PERSON_THEN_SQL = _then_sql("(e.data ->> 'person')::bigint", "e.data", "e.at")
ACTOR_THEN_SQL = _then_sql("substring(e.actor FROM '^person:([0-9]+)$')::bigint", "e.data", "e.at")
"""The version of the person that entry `e` of the record is about, and of the one who did it."""


@dataclass(frozen=True)
class Named:
    """Somebody in an entry: the employer's id, and the name that they had then."""

    person_id: str
    name: str


UNKNOWN = Named("", "somebody no longer on record")


@dataclass(frozen=True)
class Mention:
    """A person in an entry of a time, with the version that it names, if any."""

    person_id: int
    version_id: int | None
    at: datetime


def mention(person_id: int, entry: Mapping[str, object]) -> Mention:
    """`entry` has `data` and `at`."""
    data, at = entry["data"], entry["at"]
    assert isinstance(data, Mapping)
    assert isinstance(at, datetime)
    return Mention(person_id, data.get(VERSIONS, {}).get(str(person_id)), at)


async def named(session: AsyncSession, mentions: Sequence[Mention]) -> dict[Mention, Named]:
    """Who they were, in one statement; whoever is not there is left out."""
    wanted = list(dict.fromkeys(mentions))
    if not wanted:
        return {}
    found = await rows(
        session,
        """SELECT w.place, p.employee_id, v.name
           FROM unnest(CAST(:people AS bigint[]), CAST(:versions AS bigint[]), CAST(:ats AS timestamptz[]))
             WITH ORDINALITY AS w (person, version, at, place)
           JOIN person p ON p.id = w.person
           JOIN person_version v ON v.person_id = p.id AND v.id = coalesce(w.version,
             (SELECT max(pv.id) FROM person_version pv WHERE pv.person_id = p.id AND pv.since <= w.at),
             (SELECT min(pv.id) FROM person_version pv WHERE pv.person_id = p.id))""",
        {
            "people": [one.person_id for one in wanted],
            "versions": [one.version_id for one in wanted],
            "ats": [one.at for one in wanted],
        },
    )
    return {wanted[entry["place"] - 1]: Named(entry["employee_id"], entry["name"]) for entry in found}


async def erase_name(session: AsyncSession, person_id: int, *, actor: str, at: datetime) -> bool:
    """Takes somebody's name out of the directory and of all that it ever was; False when there is nobody.

    Wherever the name stood it says "erased person"; the rest of what was said of them then stays, and so do counts.
    """
    found = await row(
        session,
        "SELECT person_erase_name(:person, :actor, :at) AS done",
        {"person": person_id, "actor": actor, "at": at},
    )
    return bool(found and found["done"])


async def verify(session: AsyncSession) -> str | None:
    """Compares every version with what the chained record says. None when all hold, else a sentence about the first."""
    bad = await row(
        session,
        f"""
        WITH there AS (
          SELECT v.change, count(*) AS people, encode(sha256(convert_to(
                   string_agg(person_version_line(v, d.name), chr(10) ORDER BY v.id), 'UTF8')), 'hex') AS sha256
          FROM person_version v JOIN department d ON d.id = v.department_id GROUP BY v.change
        ), said AS (
          SELECT seq, (data ->> 'change')::bigint AS change, data ->> 'sha256' AS sha256
          FROM audit_entry WHERE stream = 'people' AND kind = 'people.versions'
        )
        SELECT said.seq, there.change,
               CASE WHEN said.seq IS NULL THEN 'it holds versions of people that were never recorded'
                    WHEN there.change IS NULL THEN 'the versions of people that it recorded are missing'
                    ELSE 'people were changed after it recorded them' END AS why
        FROM said FULL JOIN there ON there.change = said.change
        WHERE said.sha256 IS DISTINCT FROM there.sha256
        UNION ALL
        SELECT NULL, v.change, 'a name was erased without an entry that says so' FROM person_version v
        WHERE v.salt IS NULL AND (v.name <> '{ERASED}' OR NOT EXISTS (
          SELECT FROM audit_entry e WHERE e.stream = 'people' AND e.kind = 'person.name_erased'
            AND (e.data ->> 'person')::bigint = v.person_id))
        ORDER BY 1 NULLS LAST, 2 LIMIT 1
        """,
    )
    if bad is None:
        return None
    where = "the directory" if bad["seq"] is None else f"people entry {bad['seq']}"
    return f"{where}: {bad['why']}"
