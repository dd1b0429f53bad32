"""Tables of what people tell us: inbound messages as they came, field reports, help requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.channels.media import Medium, clean
from app.kernel.columns import array, as_they_were, identity, moment, number, reference


class InboundMessage(SQLModel, table=True):
    """One text as it came, handled once by its SID. `outcome` says what became of it, `answer` what we said.

    `incident_id` is the incident of a text that answered or reacted to something.

    `media`: what came with it, as `app.channels.media.Medium`; the media themselves stay with the carrier.
    """

    __tablename__ = "inbound_message"
    __table_args__ = (
        CheckConstraint("jsonb_typeof(media) = 'array'", name="media"),
        Index("ix_inbound_message_reaction", "incident_id", postgresql_where="outcome = 'reaction'"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    sid: str = Field(unique=True)
    sender: str = Field(index=True)
    body: str
    opt_out_type: str | None = None
    received_at: datetime = Field(sa_column=moment())
    person_id: int | None = Field(default=None, sa_column=reference("person.id", nullable=True))
    outcome: str
    answer: str | None = None
    incident_id: int | None = Field(default=None, sa_column=reference("incident.id", nullable=True))
    media: list[dict[str, str]] = Field(default_factory=list, sa_column=array())


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
    """What the front line tells us, whole. Without a person it came from a shared phone: someone at this number.

    `maybe_help` and `maybe_stop` say what the words may mean and never change; somebody settles each, or the person's
    own later answer does (then `help_settled_by` is null). `help_request_id`: the request that possible help became.
    `media`: what came with the words, as in InboundMessage.
    """

    __tablename__ = "field_report"
    __table_args__ = (
        as_they_were(),
        CheckConstraint("(person_id IS NULL) = (person_version_id IS NULL)", name="person_version"),
        CheckConstraint("via IN ('sms', 'email', 'page')", name="via"),
        CheckConstraint("jsonb_typeof(media) = 'array'", name="media"),
        CheckConstraint("help_settled_by IS NULL OR help_settled_at IS NOT NULL", name="help_settled"),
        CheckConstraint("stop_settled_by IS NULL OR stop_settled_at IS NOT NULL", name="stop_settled"),
        CheckConstraint("help_request_id IS NULL OR help_settled_at IS NOT NULL", name="became_help"),
        Index("ix_field_report_maybe_help", "incident_id", postgresql_where="maybe_help AND help_settled_at IS NULL"),
        Index("ix_field_report_maybe_stop", "incident_id", postgresql_where="maybe_stop AND stop_settled_at IS NULL"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int | None = Field(default=None, sa_column=reference("incident.id", nullable=True, index=True))
    person_id: int | None = Field(default=None, sa_column=number(nullable=True))
    person_version_id: int | None = Field(default=None, sa_column=number(nullable=True))
    number: str | None = None
    text: str
    maybe_help: bool = False
    via: str
    at: datetime = Field(sa_column=moment())
    inbound_id: int | None = Field(default=None, sa_column=reference("inbound_message.id", nullable=True))
    maybe_stop: bool = False
    media: list[dict[str, str]] = Field(default_factory=list, sa_column=array())
    help_request_id: int | None = Field(default=None, sa_column=reference("help_request.id", nullable=True))
    help_settled_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    help_settled_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    stop_settled_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    stop_settled_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))


@dataclass(frozen=True)
class Inbound:
    """A text as the carrier gave it to us. `opt_out_type` is set when the carrier itself dealt with the word.

    `media` is what came with it. `found_at`: it did not reach us and was found in the carrier's list; then nobody waits
    for an answer any more, and this is when it was sent.
    """

    sid: str
    sender: str
    body: str
    opt_out_type: str | None = None
    media: tuple[Medium, ...] = ()
    found_at: datetime | None = None

    def __post_init__(self) -> None:
        # Half a character (a lone surrogate) is what JSON may hold and no database takes: the rest is still an answer.
        object.__setattr__(self, "body", self.body.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        object.__setattr__(self, "media", clean(self.media))


@dataclass(frozen=True)
class Handled:
    """What became of a text. `drill`: the answer belongs to drills alone and is marked so.

    `incident` (id, key) is the one that it answered or belongs to.
    """

    outcome: str
    answer: str | None = None
    person_id: int | None = None
    drill: bool = False
    incident: tuple[int, str] | None = None


@dataclass(frozen=True)
class NewReport:
    """A field report to be kept. Its columns are explained at `FieldReport`; `media` is what came with the words."""

    text: str
    via: str
    incident_id: int | None
    person_id: int | None
    number: str | None = None
    maybe_help: bool = False
    maybe_stop: bool = False
    media: tuple[Medium, ...] = ()
    inbound_id: int | None = None


_UNTOLD = ("incident_id", "person_id")
_UNTOLD_OPEN = "closed_at IS NULL AND delivery_id IS NULL"


class HelpRequest(SQLModel, table=True):
    """A `need_help` that somebody owns until it is closed. At most one open for a delivery.

    Without a delivery it came from a field report of somebody who was told nothing in this incident.
    `told_rung` is how far up it has been told; at `climb_at` the next rung is, unless somebody has taken it.
    """

    __tablename__ = "help_request"
    __table_args__ = (
        as_they_were(),
        CheckConstraint("(taken_by IS NULL) = (taken_at IS NULL)", name="taken"),
        Index("ix_help_request_climb_at", "climb_at", postgresql_where="climb_at IS NOT NULL"),
        Index("uq_help_request_open", "delivery_id", unique=True, postgresql_where="closed_at IS NULL"),
        Index("uq_help_request_untold_open", *_UNTOLD, unique=True, postgresql_where=_UNTOLD_OPEN),
    )

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int = Field(sa_column=reference("incident.id", index=True))
    delivery_id: int | None = Field(default=None, sa_column=reference("delivery.id", nullable=True))
    person_id: int = Field(sa_column=number())
    person_version_id: int | None = Field(default=None, sa_column=number())
    opened_at: datetime = Field(sa_column=moment())
    told_rung: int = -1
    climb_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    taken_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    taken_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    closed_by: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    closed_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    outcome: str | None = None
