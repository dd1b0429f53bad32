"""The append-only record: one chained stream an incident (its timeline) and one for the system itself.

A trigger numbers each entry within its stream and chains its hash to the one before, under a lock on the
stream's head. So numbers follow commits: a reader's cursor never passes an unfinished transaction. Entries
hold ids, never names, numbers or free text; those sit in rows that can be erased.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from app.kernel.db import notify, row, rows, run

SYSTEM = "system"
"""The stream of what belongs to no incident: tokens, imports, sign-ins."""


class AuditHead(SQLModel, table=True):
    """The last number and hash of a stream. Compared by `verify`, so that a cut-off tail shows."""

    __tablename__ = "audit_head"

    stream: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: str


class AuditEntry(SQLModel, table=True):
    """One fact. `seq`, `prev_hash` and `hash` are set by the database."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        UniqueConstraint("stream", "seq"),
        Index("ix_audit_entry_stream_kind", "stream", "kind"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    stream: str
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    actor: str
    kind: str
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class Also:
    """What the database itself adds to an entry's data: a jsonb expression, with its parameters."""

    sql: str
    parameters: Mapping[str, Any]


async def append(
    session: AsyncSession,
    *, stream: str, at: datetime, actor: str, kind: str, data: dict[str, Any], also: Sequence[Also] = (),
) -> None:  # fmt: skip
    """Appends one entry in the caller's transaction."""
    values: dict[str, Any] = {"stream": stream, "at": at, "actor": actor, "kind": kind, "data": json.dumps(data)}
    for added in also:
        values |= added.parameters
    await run(
        session,
        f"""INSERT INTO audit_entry (stream, at, actor, kind, data)
            VALUES (:stream, :at, :actor, :kind, {" || ".join(["CAST(:data AS jsonb)", *(a.sql for a in also)])})""",
        values,
    )
    await notify(session, "muster_timeline", stream)


async def hold(session: AsyncSession, streams: Collection[str]) -> None:
    """From here on nobody else appends to these streams until the transaction ends. Held in the order of their names.

    Whoever locks rows under a stream and appends to it later holds it first, as most append first: one order of locks,
    so that no two transactions wait for each other.
    """
    await run(session, "SELECT audit_hold(CAST(:streams AS text[]))", {"streams": sorted(streams)})


async def entries(session: AsyncSession, stream: str, *, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
    """A stream's entries in order, from the one after number `after`."""
    found = await rows(
        session,
        """SELECT seq, at, actor, kind, data FROM audit_entry
           WHERE stream = :stream AND seq > :after ORDER BY seq LIMIT :limit""",
        {"stream": stream, "after": after, "limit": limit},
    )
    return [dict(entry) for entry in found]


async def verify(session: AsyncSession) -> str | None:
    """Recomputes every chain in the database. None when all hold, else a sentence naming the first bad entry."""
    bad = await row(
        session,
        """
        WITH chained AS (
          SELECT stream, seq, hash, prev_hash,
                 audit_hash(prev_hash, stream, seq, at, actor, kind, data) AS expected,
                 lag(hash, 1, '') OVER w AS before,
                 row_number() OVER w AS place
          FROM audit_entry WINDOW w AS (PARTITION BY stream ORDER BY seq)
        )
        SELECT stream, seq,
               CASE WHEN seq <> place THEN 'an entry before it is missing'
                    WHEN prev_hash <> before THEN 'it does not follow from the entry before it'
                    ELSE 'it was changed after it was written' END AS why
        FROM chained WHERE seq <> place OR prev_hash <> before OR hash <> expected
        ORDER BY stream, seq LIMIT 1
        """,
    )
    if bad:
        return f"{bad['stream']} entry {bad['seq']}: {bad['why']}"
    cut = await row(
        session,
        """
        SELECT coalesce(h.stream, e.stream) AS stream, e.seq, h.seq AS head FROM audit_head h
        FULL JOIN (SELECT DISTINCT ON (stream) stream, seq, hash FROM audit_entry ORDER BY stream, seq DESC) e
          ON e.stream = h.stream
        WHERE h.seq IS DISTINCT FROM e.seq OR h.hash IS DISTINCT FROM e.hash
        ORDER BY 1 LIMIT 1
        """,
    )
    if cut:
        return (
            f"{cut['stream']} entry {(cut['seq'] or 0) + 1}: missing; "
            f"the stream's head says that {cut['head'] or 0} were written"
        )
    return None
