"""Tables of the directory: who there is, where they work, and how each can be reached."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.channels.kinds import KINDS, sql_list
from app.kernel.columns import identity, moment, number, reference


class Department(SQLModel, table=True):
    """A department, known by the first spelling seen; `key` is that spelling casefolded."""

    __tablename__ = "department"

    id: int | None = Field(default=None, sa_column=identity())
    name: str
    key: str = Field(unique=True)


class Person(SQLModel, table=True):
    """One employee. Whoever has left has `active = false`: that one fact ends sends, sessions, links and roles."""

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("employee_id <> '' AND name <> ''", name="named"),
        Index("ix_person_department_id_active", "department_id", "active"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    employee_id: str = Field(unique=True)
    name: str
    department_id: int = Field(sa_column=reference("department.id"))
    title: str | None = None
    site: str | None = None
    manager_id: int | None = Field(default=None, sa_column=reference("person.id", nullable=True, index=True))
    language: str | None = None
    time_zone: str | None = None
    shift: str | None = None
    active: bool = True
    left_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(sa_column=moment())
    updated_at: datetime = Field(sa_column=moment())
    latest_version_id: int | None = Field(default=None, sa_column=number())


ERASED = "erased person"
"""The name of somebody whose name was erased, everywhere that it stood."""


class PersonVersion(SQLModel, table=True):
    """What was said of a person from `since` on, until their next version. Written by the database alone.

    A trigger on `person` makes one whenever any of these changes; `person.latest_version_id` is the latest. Those of
    one statement share `change`, the first one's id; an entry of the audit stream `people` holds their digest. Never
    changed, but that `person_erase_name` takes the name away: the digest is of its salted hash, so it still holds.
    """

    __tablename__ = "person_version"
    __table_args__ = (
        UniqueConstraint("person_id", "id"),
        CheckConstraint(f"salt IS NOT NULL OR name = '{ERASED}'", name="erased"),
        Index("ix_person_version_change", "change"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    person_id: int = Field(sa_column=reference("person.id"))
    since: datetime = Field(sa_column=moment())
    name: str
    salt: str | None = None
    name_hash: str
    department_id: int = Field(sa_column=reference("department.id"))
    site: str | None = None
    title: str | None = None
    manager_id: int | None = Field(default=None, sa_column=reference("person.id", nullable=True))
    active: bool
    change: int = Field(sa_column=number())


class ContactPoint(SQLModel, table=True):
    """One address of one person. `position` is the order in which they are tried (0 first).

    `address` is E.164 for `mobile` and `phone`, lower-case for `email`. `country` is the number's ISO code.
    `can_text` is false for a number that its numbering plan calls a fixed line.
    """

    __tablename__ = "contact_point"
    __table_args__ = (
        UniqueConstraint("person_id", "kind"),
        CheckConstraint("kind IN ('mobile', 'phone', 'email')", name="kind"),
        CheckConstraint("(kind = 'email') = (country IS NULL)", name="country"),
        Index("ix_contact_point_address", "address"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    person_id: int = Field(sa_column=reference("person.id", ondelete="CASCADE"))
    kind: str
    position: int
    address: str
    country: str | None = None
    can_text: bool = False


class Suppression(SQLModel, table=True):
    """Why an address must not be used on a channel. By address, so that it outlives a re-import of its person.

    `opted_out` is lifted by START alone, unless `by_account` recorded it on the holder's behalf; `invalid` and
    `landline` stay with the number until the person has another one, or until somebody who may says that the network
    was wrong.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        UniqueConstraint("address", "channel", "reason"),
        CheckConstraint(f"channel IN ({sql_list(KINDS)})", name="channel"),
        CheckConstraint("reason IN ('opted_out', 'invalid', 'landline')", name="reason"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    address: str
    channel: str
    reason: str
    since: datetime = Field(sa_column=moment())
    by_account: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))


class ContactNote(SQLModel, table=True):
    """Why somebody opted an address of another person out, or in again. The audit trail names it by its id."""

    __tablename__ = "contact_note"
    __table_args__ = (CheckConstraint("kind IN ('mobile', 'phone', 'email')", name="kind"),)

    id: int | None = Field(default=None, sa_column=identity())
    person_id: int = Field(sa_column=reference("person.id", index=True, ondelete="CASCADE"))
    kind: str
    opted_out: bool
    reason: str
    by_account: int = Field(sa_column=reference("account.id"))
    at: datetime = Field(sa_column=moment())
