"""Tables of access: accounts, their tokens, one-time sign-in links and sessions. Secrets are kept hashed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from app.kernel.columns import identity, moment, reference

ROLES = ("admin", "commander", "communications_lead", "department_lead", "viewer")


class Account(SQLModel, table=True):
    """Somebody (or some program) that may act, in one role. A department lead acts for one department.

    `person_employee_id` ties it to a person: when that person leaves, the account ends. It is the employer's
    id and not a foreign key because access sits below the directory.
    """

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(
            "role IN ('admin', 'commander', 'communications_lead', 'department_lead', 'viewer')", name="role"
        ),
        CheckConstraint("(role = 'department_lead') = (department IS NOT NULL)", name="department"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    name: str
    role: str
    person_employee_id: str | None = Field(default=None, index=True)
    department: str | None = None
    created_at: datetime = Field(sa_column=moment())
    disabled_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class ApiToken(SQLModel, table=True):
    __tablename__ = "api_token"

    id: int | None = Field(default=None, sa_column=identity())
    account_id: int = Field(sa_column=reference("account.id", index=True))
    hash: str = Field(unique=True)
    created_at: datetime = Field(sa_column=moment())
    revoked_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class SignInLink(SQLModel, table=True):
    """Good once, until `expires_at`."""

    __tablename__ = "sign_in_link"

    id: int | None = Field(default=None, sa_column=identity())
    account_id: int = Field(sa_column=reference("account.id", index=True))
    hash: str = Field(unique=True)
    expires_at: datetime = Field(sa_column=moment())
    used_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class Session(SQLModel, table=True):
    """A signed-in browser."""

    __tablename__ = "session"

    id: int | None = Field(default=None, sa_column=identity())
    account_id: int = Field(sa_column=reference("account.id", index=True))
    hash: str = Field(unique=True)
    created_at: datetime = Field(sa_column=moment())
    expires_at: datetime = Field(sa_column=moment())
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
