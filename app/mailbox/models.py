"""Tables of the mailbox: how far it was read, and every mail that was taken, once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column
from sqlmodel import Field, SQLModel

from app.kernel.columns import identity, moment, reference
from app.mailbox.parse import Kind

_KINDS = ", ".join(f"'{kind}'" for kind in Kind)


class MailboxPlace(SQLModel, table=True):
    """How far one mailbox was read: everything up to `uid`, for as long as its UIDVALIDITY (RFC 9051) is this one.

    `name` stands for server, user and folder, and tells none of them.
    """

    __tablename__ = "mailbox_place"

    name: str = Field(primary_key=True)
    uidvalidity: int = Field(sa_column=Column(BigInteger, nullable=False))
    uid: int = Field(sa_column=Column(BigInteger, nullable=False))
    read_at: datetime = Field(sa_column=moment())


class ReceivedMail(SQLModel, table=True):
    """One mail that was taken, whatever it was. `key` is the same for every copy of it, so it is handled once.

    `outcome` says what became of it, `reason` why where that needs saying. `attempt_id` is the mail of ours that it
    answers or returns; what a person wrote is in `inbound_id`. `at` is when the mail server had it.
    """

    __tablename__ = "received_mail"
    __table_args__ = (CheckConstraint(f"kind IN ({_KINDS})", name="kind"),)

    id: int | None = Field(default=None, sa_column=identity())
    key: str = Field(unique=True)
    kind: str
    outcome: str
    reason: str | None = None
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempt_id: int | None = Field(default=None, sa_column=reference("attempt.id", nullable=True))
    inbound_id: int | None = Field(default=None, sa_column=reference("inbound_message.id", nullable=True))
    at: datetime = Field(sa_column=moment())
    taken_at: datetime = Field(sa_column=moment())
