"""The table of requests that must have one effect however often they are sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from app.kernel.columns import document, identity, moment


class IdempotencyKey(SQLModel, table=True):
    __tablename__ = "idempotency_key"
    __table_args__ = (UniqueConstraint("account_id", "operation", "key"),)

    id: int | None = Field(default=None, sa_column=identity())
    account_id: int
    operation: str
    key: str
    body_hash: str
    status: int | None = None
    answer: dict[str, Any] | None = Field(default=None, sa_column=document(nullable=True))
    created_at: datetime = Field(sa_column=moment())
