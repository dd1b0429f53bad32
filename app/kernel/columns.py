"""Column shapes shared by every room's tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, ForeignKeyConstraint, Identity, text
from sqlalchemy.dialects.postgresql import JSON, JSONB


def identity() -> Any:
    """A 64-bit primary key that the database numbers."""
    return Column(BigInteger, Identity(always=True), primary_key=True)


def moment(*, nullable: bool = False) -> Any:
    """A point in time with its zone."""
    return Column(DateTime(timezone=True), nullable=nullable)


def reference(target: str, *, nullable: bool = False, index: bool = False, ondelete: str | None = None) -> Any:
    """A foreign key to another table's 64-bit key."""
    return Column(BigInteger, ForeignKey(target, ondelete=ondelete), nullable=nullable, index=index)


def number(*, nullable: bool = False) -> Any:
    """A 64-bit number that is no reference the database could check by itself."""
    return Column(BigInteger, nullable=nullable)


def as_they_were() -> ForeignKeyConstraint:
    """The reference of a row with `person_id` and `person_version_id`: a version of that very person."""
    return ForeignKeyConstraint(["person_id", "person_version_id"], ["person_version.person_id", "person_version.id"])


def document(*, nullable: bool = False) -> Any:
    """A JSON document."""
    return Column(JSONB, nullable=nullable)


def array() -> Any:
    """A JSON array, empty unless something is put in."""
    return Column(JSONB, nullable=False, server_default=text("'[]'"))


def ordered_document() -> Any:
    """A JSON document whose keys keep their order; `document` sorts them."""
    return Column(JSON, nullable=False)
