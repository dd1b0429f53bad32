"""Tables of the bulletins: one approved status message, numbered within its incident, and its renderings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.kernel.columns import document, identity, moment, reference


class Bulletin(SQLModel, table=True):
    """After `sent_at` a trigger refuses every change but cancellation.

    `asks`: it is a question, to be answered; an all-clear is news (`playbooks.stages.asks`).

    `facts` are complete (incident's and its own); `audiences` in the playbook's order. `problems` holds the errors
    and warnings found when it was written. `corrects` is the number of the bulletin that this one puts right.
    """

    __tablename__ = "bulletin"
    __table_args__ = (
        UniqueConstraint("incident_id", "number"),
        CheckConstraint("state IN ('draft', 'approved', 'sent', 'cancelled')", name="state"),
        CheckConstraint("state <> 'sent' OR sent_at IS NOT NULL", name="sent"),
        CheckConstraint("stage IN ('investigating', 'identified', 'monitoring', 'resolved')", name="stage"),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("asks OR stage = 'resolved'", name="asks"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int = Field(sa_column=reference("incident.id"))
    number: int
    state: str
    stage: str
    severity: str
    facts: dict[str, Any] = Field(sa_column=document())
    audiences: list[str] = Field(sa_column=document())
    problems: list[dict[str, Any]] = Field(sa_column=document())
    warnings_accepted: bool = False
    corrects: int | None = None
    asks: bool = Field(default=True, sa_column_kwargs={"server_default": "true"})
    created_by: int = Field(sa_column=reference("account.id"))
    created_at: datetime = Field(sa_column=moment())
    approved_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    sent_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    sent_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    cancelled_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class Message(SQLModel, table=True):
    """A bulletin rendered for one audience and channel, facts substituted; code and link come per recipient.

    `language` is '' for the playbook's own. `segments`: how many parts a text has, as each person gets it.
    """

    __tablename__ = "message"
    __table_args__ = (UniqueConstraint("bulletin_id", "audience", "channel", "language"),)

    id: int | None = Field(default=None, sa_column=identity())
    bulletin_id: int = Field(sa_column=reference("bulletin.id", ondelete="CASCADE"))
    audience: str
    channel: str
    language: str = ""
    subject: str | None = None
    text: str
    segments: int | None = None


class Approval(SQLModel, table=True):
    __tablename__ = "approval"
    __table_args__ = (UniqueConstraint("bulletin_id", "account_id"),)

    id: int | None = Field(default=None, sa_column=identity())
    bulletin_id: int = Field(sa_column=reference("bulletin.id"))
    account_id: int = Field(sa_column=reference("account.id"))
    role: str
    at: datetime = Field(sa_column=moment())


class BulletinWriter(SQLModel, table=True):
    """Who has the page open on which an incident's next bulletin is written; true until `until`, unless renewed."""

    __tablename__ = "bulletin_writer"
    __table_args__ = (CheckConstraint("until >= since", name="ends"),)

    incident_id: int = Field(sa_column=Column(BigInteger, ForeignKey("incident.id"), primary_key=True))
    account_id: int = Field(sa_column=Column(BigInteger, ForeignKey("account.id"), primary_key=True))
    since: datetime = Field(sa_column=moment())
    until: datetime = Field(sa_column=moment())
