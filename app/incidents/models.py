"""Tables of the incidents. The timeline is the incident's audit stream, named by its key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from app.kernel.columns import as_they_were, document, identity, moment, number, reference

STATUSES = ("declared", "investigating", "identified", "monitoring", "resolved", "closed")
SEVERITIES = ("SEV1", "SEV2", "SEV3", "SEV4")


class IncidentNumber(SQLModel, table=True):
    """The last number given in a year; its row lock makes the keys gapless."""

    __tablename__ = "incident_number"

    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    last: int


class Incident(SQLModel, table=True):
    __tablename__ = "incident"
    __table_args__ = (
        CheckConstraint(
            "status IN ('declared', 'investigating', 'identified', 'monitoring', 'resolved', 'closed')", name="status"
        ),
        CheckConstraint("severity IN ('SEV1', 'SEV2', 'SEV3', 'SEV4')", name="severity"),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        CheckConstraint("title <> ''", name="titled"),
        Index("ix_incident_open", "id", postgresql_where=text("closed_at IS NULL")),
    )

    id: int | None = Field(default=None, sa_column=identity())
    key: str = Field(unique=True)
    revision_id: int = Field(sa_column=reference("playbook_revision.id"))
    title: str
    status: str
    severity: str
    facts: dict[str, Any] = Field(sa_column=document())
    drill: bool
    simulated: bool
    declared_by: int = Field(sa_column=reference("account.id"))
    declared_at: datetime = Field(sa_column=moment())
    resolved_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    closed_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class RoleAssignment(SQLModel, table=True):
    """Who holds an incident role, from when to when. Held by a person of the directory or by an account."""

    __tablename__ = "role_assignment"
    __table_args__ = (
        as_they_were(),
        CheckConstraint("(person_id IS NULL) = (person_version_id IS NULL)", name="person_version"),
        CheckConstraint("role IN ('incident_commander', 'communications_lead', 'department_lead')", name="role"),
        CheckConstraint("person_id IS NOT NULL OR account_id IS NOT NULL", name="holder"),
        Index(
            "uq_role_assignment_commander", "incident_id", unique=True,
            postgresql_where=text("role = 'incident_commander' AND released_at IS NULL"),
        ),
    )  # fmt: skip

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int = Field(sa_column=reference("incident.id", index=True))
    role: str
    person_id: int | None = Field(default=None, sa_column=number(nullable=True))
    person_version_id: int | None = Field(default=None, sa_column=number(nullable=True))
    account_id: int | None = Field(default=None, sa_column=reference("account.id", nullable=True))
    assumed_at: datetime = Field(sa_column=moment())
    released_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class IncidentNote(SQLModel, table=True):
    """Free text that belongs to a timeline entry (a reason, a title). Erasable; the entry holds only its id."""

    __tablename__ = "incident_note"

    id: int | None = Field(default=None, sa_column=identity())
    incident_id: int = Field(sa_column=reference("incident.id", index=True))
    text: str
