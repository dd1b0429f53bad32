"""Tables of the playbooks: every revision ever used, and which one is current."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from app.kernel.columns import identity, moment, ordered_document, reference


class PlaybookRevision(SQLModel, table=True):
    """An immutable version. `content` is the checked playbook, `source` the YAML as it was written.

    The order in `content` means something: of audiences, the first that fits gives the script; facts are asked in it.
    """

    __tablename__ = "playbook_revision"
    __table_args__ = (UniqueConstraint("slug", "revision"), UniqueConstraint("slug", "sha256"))

    id: int | None = Field(default=None, sa_column=identity())
    slug: str
    revision: int
    sha256: str
    title: str
    content: dict[str, Any] = Field(sa_column=ordered_document())
    source: str
    created_at: datetime = Field(sa_column=moment())


class Playbook(SQLModel, table=True):
    """A slug and its current revision. `removed_at`: its file is gone; running incidents keep their revision."""

    __tablename__ = "playbook"

    slug: str = Field(primary_key=True)
    revision_id: int = Field(sa_column=reference("playbook_revision.id"))
    removed_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
