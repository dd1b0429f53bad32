"""Tables of what people tell us: inbound messages as they came, field reports, help requests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.kernel.columns import identity, moment, reference


class InboundMessage(SQLModel, table=True):
    """One text as it came, handled once by its SID. `outcome` says what became of it, `answer` what we said."""

    __tablename__ = "inbound_message"

    id: int | None = Field(default=None, sa_column=identity())
    sid: str = Field(unique=True)
    sender: str = Field(index=True)
    body: str
    opt_out_type: str | None = None
    received_at: datetime = Field(sa_column=moment())
    person_id: int | None = Field(default=None, sa_column=reference("person.id", nullable=True))
    outcome: str
    answer: str | None = None


class Keypress(SQLModel, table=True):
    """A key pressed in a call of ours, handled once for each turn of the call: what the provider repeats adds nothing.

    `outcome` says what became of it.
    """

    __tablename__ = "keypress"
    __table_args__ = (UniqueConstraint("call_sid", "turn"),)

    id: int | None = Field(default=None, sa_column=identity())
    attempt_id: int = Field(sa_column=reference("attempt.id", index=True))
    call_sid: str
    turn: int
    keys: str
    outcome: str
    pressed_at: datetime = Field(sa_column=moment())


class FieldReport(SQLModel, table=True):
    """What the front line tells us, whole. Without a person it came from a shared phone: somebody at this number."""

    __tablename__ = "field_report"
    __table_args__ = (CheckConstraint("via IN ('sms', 'page')", name="via"),)

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int | None = Field(default=None, sa_column=reference("incident.id", nullable=True, index=True))
    person_id: int | None = Field(default=None, sa_column=reference("person.id", nullable=True))
    number: str | None = None
    text: str
    maybe_help: bool = False
    via: str
    at: datetime = Field(sa_column=moment())
    inbound_id: int | None = Field(default=None, sa_column=reference("inbound_message.id", nullable=True))


class HelpRequest(SQLModel, table=True):
    """A `need_help` that somebody owns until it is closed. At most one open for a delivery.

    `told_rung` is how far up it has been told; at `climb_at` the next rung is, unless somebody has taken it.
    """

    __tablename__ = "help_request"
    __table_args__ = (
        CheckConstraint("(taken_by IS NULL) = (taken_at IS NULL)", name="taken"),
        Index("ix_help_request_climb_at", "climb_at", postgresql_where="climb_at IS NOT NULL"),
        Index("uq_help_request_open", "delivery_id", unique=True, postgresql_where="closed_at IS NULL"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int = Field(sa_column=reference("incident.id", index=True))
    delivery_id: int = Field(sa_column=reference("delivery.id"))
    person_id: int = Field(sa_column=reference("person.id"))
    opened_at: datetime = Field(sa_column=moment())
    told_rung: int = -1
    climb_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    taken_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    taken_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    closed_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    closed_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    outcome: str | None = None
