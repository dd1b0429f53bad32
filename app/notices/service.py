"""Notices: what one person is told, never more often than the rules allow, and nothing of it lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.notices import repository, rules

lock_person = repository.lock_person
told_about = repository.about
add_line = repository.add_line


async def make(
    session: AsyncSession, *, person_id: int, kind: str, subject: str, line: str, about: int | None, now: datetime
) -> tuple[int, datetime]:
    """A new notice: (id, when it may go out). Call it with the person locked."""
    earlier = await repository.due_times(session, person_id, since=now - rules.WINDOW)
    due = rules.due_at(now, earlier)
    notice_id = await repository.insert(
        session, person_id=person_id, kind=kind, subject=subject, line=line, about=about, now=now, due_at=due
    )
    return notice_id, due
