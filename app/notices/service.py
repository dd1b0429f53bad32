"""Notices: what one person is told, never more often than the rules allow, and nothing of it lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.notices import repository, rules

lock_people = repository.lock_people
told_about = repository.about
add_lines = repository.add_lines


@dataclass(frozen=True)
class Telling:
    """Something to tell one person. `about` is the id of what it is about, in the sense of `kind`."""

    person_id: int
    incident_id: int
    kind: str
    subject: str
    line: str
    about: int | None = None


async def make(
    session: AsyncSession, tellings: Sequence[Telling],
    *, at: datetime, now: datetime, wanted: Callable[[int, datetime], datetime],
) -> list[tuple[int, datetime]]:  # fmt: skip
    """A new notice for each: (id, when it may go out), not before `at`. Call it with the people locked.

    `wanted(person_id, moment)` says when something that is free to go at a moment may reach that person.
    """
    people = {telling.person_id for telling in tellings}
    earlier: defaultdict[tuple[int, str], list[datetime]] = defaultdict(list)
    for entry in await repository.due_times(session, list(people), since=now - rules.WINDOW):
        earlier[entry["person_id"], entry["kind"]].append(entry["due_at"])
    made = []
    for telling in tellings:
        known = earlier[telling.person_id, telling.kind]
        due = wanted(telling.person_id, rules.due_at(wanted(telling.person_id, at), known))
        known.append(due)
        made.append(asdict(telling) | {"due_at": due})
    ids = await repository.insert(session, made, now=now)
    return list(zip(ids, (entry["due_at"] for entry in made), strict=True))
