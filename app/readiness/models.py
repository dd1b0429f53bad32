"""Tables of readiness: who is alive, whether each provider answered, and our own trouble with who was told of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from app.kernel.columns import identity, moment


class WorkerHeartbeat(SQLModel, table=True):
    __tablename__ = "worker_heartbeat"

    worker: str = Field(primary_key=True)
    at: datetime = Field(sa_column=moment())


class ProviderHealth(SQLModel, table=True):
    """What each channel's provider said last. `misconfigured`: it is there, and only an operator can mend it."""

    __tablename__ = "provider_health"

    provider: str = Field(primary_key=True)
    ok: bool
    detail: str
    misconfigured: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    checked_at: datetime = Field(sa_column=moment())


class Alarm(SQLModel, table=True):
    """One trouble of Muster's own, from when it began to when it was over. One open row for each cause.

    `seen_at` is when the cause last held. `announced_at`: it was decided to tell somebody; `told_at`: the first way
    took it. `detail` is what is told: never a number, a name or a secret.
    """

    __tablename__ = "alarm"
    __table_args__ = (
        Index("uq_alarm_open", "cause", unique=True, postgresql_where=text("resolved_at IS NULL")),
        Index("ix_alarm_announced_at", "announced_at"),
        CheckConstraint("told_at IS NULL OR announced_at IS NOT NULL", name="told"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    cause: str
    detail: str
    drill: bool = False
    opened_at: datetime = Field(sa_column=moment())
    seen_at: datetime = Field(sa_column=moment())
    announced_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    told_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    resolved_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class AlarmTelling(SQLModel, table=True):
    """One message about an alarm by one way (a channel): that it is there, or (`over`) that it is over."""

    __tablename__ = "alarm_telling"
    __table_args__ = (CheckConstraint("way IN ('email', 'sms')", name="way"),)

    alarm_id: int = Field(sa_column=Column(BigInteger, ForeignKey("alarm.id", ondelete="CASCADE"), primary_key=True))
    over: bool = Field(primary_key=True)
    way: str = Field(primary_key=True)
    tries: int = 0
    next_try_at: datetime = Field(sa_column=moment())
    told_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class HeartbeatPing(SQLModel, table=True):
    """When the outside monitor was last told that a send would go out. One row, named `heartbeat`."""

    __tablename__ = "heartbeat_ping"

    name: str = Field(primary_key=True)
    tried_at: datetime = Field(sa_column=moment())
    answered_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class WebhookCount(SQLModel, table=True):
    """How many webhooks were taken or refused, by minute; old minutes are folded into the first one, 1970."""

    __tablename__ = "webhook_count"
    __table_args__ = (CheckConstraint("kind IN ('taken', 'refused', 'refused_ours')", name="kind"),)

    minute: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    kind: str = Field(primary_key=True)
    many: int
