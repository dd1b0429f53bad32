"""Table of the notices: one message to one person that is no bulletin."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from app.kernel.columns import document, identity, moment, reference


class Notice(SQLModel, table=True):
    """What one person is told, as the lines that came together in it. It goes out at `due_at`, not before.

    `abouts` are the ids of what the lines are about, in the sense of `kind` (help requests, say).
    """

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("kind ~ '^[a-z_]+$'", name="kind"),
        CheckConstraint("jsonb_array_length(lines) BETWEEN 1 AND 1000", name="lines"),
        Index("ix_notice_person_id_due_at", "person_id", "due_at"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    person_id: int = Field(sa_column=reference("person.id"))
    kind: str
    subject: str
    lines: list[str] = Field(sa_column=document())
    abouts: list[int] = Field(sa_column=document())
    created_at: datetime = Field(sa_column=moment())
    due_at: datetime = Field(sa_column=moment())
