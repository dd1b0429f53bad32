"""Tables of the deliveries: one message to one person, each provider call for it, and the response to it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.channels.kinds import KINDS, sql_list
from app.deliveries.states import State
from app.kernel.columns import as_they_were, identity, moment, number, reference

RESPONSES = ("ok", "need_help", "cannot")
VIAS = ("sms", "email", "page", "voice", "in_person", "phone")
"""How an answer came. `voice`: a key pressed in a call of ours; `phone`: somebody called them and recorded it."""

_STATES = ", ".join(f"'{state}'" for state in State)


class LadderStep(SQLModel, table=True):
    """One step of a sent bulletin's ladder: a channel to try, or whom to tell that a person has not answered.

    `after_seconds` counts from the send, time scale already applied.
    """

    __tablename__ = "ladder_step"

    bulletin_id: int = Field(sa_column=reference("bulletin.id"))
    rung: int
    channel: str | None = None
    tell: str | None = None
    after_seconds: float

    __table_args__ = (
        UniqueConstraint("bulletin_id", "rung"),
        CheckConstraint(f"channel IN ({sql_list(KINDS)})", name="channel"),
        CheckConstraint("tell IN ('manager', 'department_lead', 'commander')", name="tell"),
        CheckConstraint("(channel IS NULL) <> (tell IS NULL)", name="one_kind"),
        CheckConstraint("rung >= 0 AND after_seconds >= 0", name="rung"),
    )
    __mapper_args__ = {"primary_key": ["bulletin_id", "rung"]}


class QuietWindow(SQLModel, table=True):
    """Hours in which texts and calls of one sent bulletin wait, for people whose time zone is spelled so ('': none).

    Worked out at the send for as long as the ladder lasts; at a severity whose messages do not wait there is none.
    """

    __tablename__ = "quiet_window"

    bulletin_id: int = Field(sa_column=reference("bulletin.id"))
    zone: str
    starts_at: datetime = Field(sa_column=moment())
    ends_at: datetime = Field(sa_column=moment())

    __table_args__ = (
        PrimaryKeyConstraint("bulletin_id", "zone", "starts_at"),
        CheckConstraint("ends_at > starts_at", name="hours"),
    )
    __mapper_args__ = {"primary_key": ["bulletin_id", "zone", "starts_at"]}


class Delivery(SQLModel, table=True):
    """One bulletin or one notice to one person, whatever channels it takes.

    `response` is the latest of the person's acknowledgments. `next_rung` and `next_step_at` say which channel of the
    ladder is due when, `next_tell_rung` and `next_tell_at` who is told when that there is no answer; both empty when
    nothing of the kind is left. They are apart because a failure moves on to the next channel at once, past whoever
    is told later. `reply_address` is the number that answers by SMS come
    from; `code_seq` counts on that number, so `code` is unique on it among open incidents.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        as_they_were(),
        UniqueConstraint("bulletin_id", "person_id"),
        UniqueConstraint("notice_id"),
        CheckConstraint("(bulletin_id IS NULL) <> (notice_id IS NULL)", name="one_message"),
        CheckConstraint("response IN ('ok', 'need_help', 'cannot')", name="response"),
        CheckConstraint("(response IS NULL) = (responded_at IS NULL)", name="responded"),
        CheckConstraint("(next_rung IS NULL) = (next_step_at IS NULL)", name="next_step"),
        CheckConstraint("(next_tell_rung IS NULL) = (next_tell_at IS NULL)", name="next_tell"),
        CheckConstraint("(cancelled_at IS NULL) = (cancel_reason IS NULL)", name="cancelled"),
        Index("ix_delivery_person_id", "person_id"),
        Index("ix_delivery_incident_id", "incident_id"),
        UniqueConstraint("reply_address", "code_seq"),
        Index("ix_delivery_next_step_at", "next_step_at", postgresql_where=text("next_step_at IS NOT NULL")),
        Index("ix_delivery_next_tell_at", "next_tell_at", postgresql_where=text("next_tell_at IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_column=identity())
    bulletin_id: int | None = Field(default=None, sa_column=reference("bulletin.id", nullable=True))
    notice_id: int | None = Field(default=None, sa_column=reference("notice.id", nullable=True))
    incident_id: int = Field(sa_column=reference("incident.id"))
    person_id: int = Field(sa_column=number())
    person_version_id: int | None = Field(default=None, sa_column=number())
    audience: str
    language: str = ""
    code: str
    code_seq: int
    reply_address: str | None = None
    created_at: datetime = Field(sa_column=moment())
    handed_over_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    next_rung: int | None = None
    next_step_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    next_tell_rung: int | None = None
    next_tell_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    response: str | None = None
    responded_via: str | None = None
    responded_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    cancelled_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    cancel_reason: str | None = None
    unreachable_reason: str | None = None


class Attempt(SQLModel, table=True):
    """One provider call. `fence` counts the workers that took it on; a result with an older fence changes nothing.

    No byte of it leaves after `write_by`: so the time of an unknown call is known, whatever became of its worker.
    `begun_at` is set just before a message leaves whose provider keeps no records: without it nothing has left.
    At `ask_at` the provider is asked how it goes, because no callback has said so; `asked` counts how often it was.
    `held_until` is when the quiet hours end that it waits for, or waited for: until then it does not grow old.
    `parts` is how many the text is charged and paced as. `priority` 0 goes first. `seq` numbers the attempts of one
    step (a retry is a new row, with a new token).
    """

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("delivery_id", "rung", "seq"),
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        CheckConstraint(f"channel IN ({sql_list(KINDS)})", name="channel"),
        CheckConstraint("state <> 'handing_over' OR lease_until IS NOT NULL", name="leased"),
        CheckConstraint("state <> 'unknown' OR unknown_since IS NOT NULL", name="unknown"),
        CheckConstraint("state <> 'accepted' OR provider_message_id IS NOT NULL", name="accepted"),
        Index("ix_attempt_queued", "priority", "not_before", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_attempt_handing_over", "lease_until", postgresql_where=text("state = 'handing_over'")),
        Index("ix_attempt_unknown", "unknown_since", postgresql_where=text("state = 'unknown'")),
        Index("ix_attempt_ask_at", "ask_at", postgresql_where=text("ask_at IS NOT NULL")),
        Index("ix_attempt_accepted_at", "channel", "accepted_at", postgresql_where=text("accepted_at IS NOT NULL")),
        Index(
            "uq_attempt_provider_message_id", "provider_message_id", unique=True,
            postgresql_where=text("provider_message_id IS NOT NULL"),
        ),
    )  # fmt: skip

    id: int | None = Field(default=None, sa_column=identity())
    delivery_id: int = Field(sa_column=reference("delivery.id"))
    rung: int
    seq: int = 0
    channel: str
    address: str
    state: str
    priority: int = 5
    not_before: datetime = Field(sa_column=moment())
    held_until: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    fence: int = 0
    lease_until: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    worker: str | None = None
    tries: int = 0
    provider_message_id: str | None = None
    error_code: int | None = None
    reason: str | None = None
    created_at: datetime = Field(sa_column=moment())
    handed_over_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    write_by: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    begun_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    accepted_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    unknown_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    ask_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    asked: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    parts: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    updated_at: datetime = Field(sa_column=moment())


class Pace(SQLModel, table=True):
    """How many parts a channel's sender may still send, as of `at`. Kept only where it has a rate."""

    __tablename__ = "pace"

    channel: str = Field(primary_key=True)
    tokens: float
    at: datetime = Field(sa_column=moment())


class Escalation(SQLModel, table=True):
    """One person was told, by one notice, that another has not answered. The same two never come twice."""

    __tablename__ = "escalation"
    __table_args__ = (
        UniqueConstraint("delivery_id", "person_id"),
        CheckConstraint("tell IN ('manager', 'department_lead', 'commander')", name="tell"),
        Index("ix_escalation_notice_id", "notice_id"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    delivery_id: int = Field(sa_column=reference("delivery.id"))
    rung: int
    tell: str
    person_id: int = Field(sa_column=reference("person.id"))
    notice_id: int = Field(sa_column=reference("notice.id"))
    at: datetime = Field(sa_column=moment())


class Callback(SQLModel, table=True):
    """A status as the provider told it. Appended once for each distinct fact; the attempt's state follows."""

    __tablename__ = "callback"
    __table_args__ = (
        UniqueConstraint("provider_message_id", "status", "error_code", postgresql_nulls_not_distinct=True),
        Index("ix_callback_attempt_id", "attempt_id"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    attempt_id: int = Field(sa_column=reference("attempt.id"))
    provider_message_id: str
    status: str
    error_code: int | None = None
    received_at: datetime = Field(sa_column=moment())


class Acknowledgment(SQLModel, table=True):
    """A deliberate act of one person, or of somebody on their behalf (`account_id`). Never changed, never removed."""

    __tablename__ = "acknowledgment"
    __table_args__ = (
        CheckConstraint("response IN ('ok', 'need_help', 'cannot')", name="response"),
        CheckConstraint("via IN ('sms', 'email', 'page', 'voice', 'in_person', 'phone')", name="via"),
        CheckConstraint("via IN ('sms', 'email', 'page', 'voice') OR account_id IS NOT NULL", name="on_behalf"),
        Index("ix_acknowledgment_delivery_id", "delivery_id"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    delivery_id: int = Field(sa_column=reference("delivery.id"))
    response: str
    via: str
    at: datetime = Field(sa_column=moment())
    recorded_at: datetime = Field(sa_column=moment())
    account_id: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    note: str | None = None
    late: bool = False
