"""Tables of readiness: which workers are alive, and whether each provider answered when last asked."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.kernel.columns import moment


class WorkerHeartbeat(SQLModel, table=True):
    __tablename__ = "worker_heartbeat"

    worker: str = Field(primary_key=True)
    at: datetime = Field(sa_column=moment())


class ProviderHealth(SQLModel, table=True):
    __tablename__ = "provider_health"

    provider: str = Field(primary_key=True)
    ok: bool
    detail: str
    checked_at: datetime = Field(sa_column=moment())
