"""The one database: engine, transactions, and the restricted role that our connections take on."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import TextClause, event, text
from sqlalchemy.engine import ExceptionContext, RowMapping
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

log = logging.getLogger("muster.db")

APP_ROLE = "muster_app"
"""The role without UPDATE and DELETE on append-only tables; migrations create it and grant it."""

IDLE_SECONDS = 10
"""How long a transaction may wait for its own process. One that was stopped, or whose machine is gone without a word,
holds up whoever wants the same rows, and so keeps them no longer than a lease lasts."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def sqlalchemy_url(url: str) -> str:
    """`postgresql://...` as people write it, with the driver that we use."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


class Database:
    """Opens transactions. One instance a process, closed with `close`."""

    def __init__(self, url: str, *, pool_size: int = 10, pooled: bool = True) -> None:
        self.url = url
        common: dict[str, Any] = {
            "connect_args": {
                "connect_timeout": 5,
                "application_name": "muster",
                "options": "-c timezone=UTC -c jit=off -c statement_timeout=60000 "
                f"-c idle_in_transaction_session_timeout={IDLE_SECONDS * 1000}",
                # A prepared statement belongs to one server process; poolers between us and it may switch.
                "prepare_threshold": 5,
            }
        }
        if pooled:
            self.engine: AsyncEngine = create_async_engine(
                sqlalchemy_url(url), pool_size=pool_size, max_overflow=pool_size, pool_timeout=10,
                pool_pre_ping=True, pool_recycle=1800, **common,
            )  # fmt: skip
        else:
            self.engine = create_async_engine(sqlalchemy_url(url), poolclass=NullPool, **common)
        event.listen(self.engine.sync_engine, "connect", _take_role)
        event.listen(self.engine.sync_engine, "handle_error", _forget_old_plans)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self._sessions() as session, session.begin():
            yield session

    async def time(self) -> datetime:
        async with self.begin() as session:
            moment: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
            return moment

    async def ready(self, *, within: float = 2.0) -> bool:
        """Whether a statement is answered within so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self.time()
        except Exception as error:  # any reason at all means: not ready
            log.info("database not ready: %s", type(error).__name__)
            return False
        return True

    async def close(self) -> None:
        await self.engine.dispose()


def _take_role(connection: Any, _record: Any) -> None:
    """Takes on the restricted role where it exists; before the first migration it does not."""
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %s", (APP_ROLE,))
        row = cursor.fetchone()
        if row and row[0]:
            cursor.execute(f"SET ROLE {APP_ROLE}")
        connection.commit()
    finally:
        cursor.close()


def _forget_old_plans(context: ExceptionContext) -> None:
    """After a migration beside us, statements prepared before it fail once: then every connection is made anew."""
    error = context.original_exception
    if getattr(error, "sqlstate", None) == "0A000" and "cached plan" in str(error):
        context.is_disconnect = True


async def driver_connection(session: AsyncSession) -> psycopg.AsyncConnection[Any]:
    """The psycopg connection under this session's transaction: for COPY and for deferring jobs inside it."""
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)
    return connection


@functools.lru_cache(maxsize=2000)
def _statement(sql: str) -> TextClause:
    """Looking for the parameters in a long text is a fifth of a statement's work here: once is enough."""
    return text(sql)


async def rows(session: AsyncSession, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
    """All rows of one statement, as mappings."""
    return (await session.execute(_statement(sql), dict(parameters or {}))).mappings().all()


async def row(session: AsyncSession, sql: str, parameters: Mapping[str, Any] | None = None) -> RowMapping | None:
    """The first row of one statement, or None."""
    return (await session.execute(_statement(sql), dict(parameters or {}))).mappings().first()


async def run(session: AsyncSession, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
    """Runs one statement; returns how many rows it touched."""
    result = await session.execute(_statement(sql), dict(parameters or {}))
    return int(getattr(result, "rowcount", 0) or 0)


MANY_ROWS = 1000


async def recount(session: AsyncSession, *tables: str, added: int) -> None:
    """Has the planner count these tables, at the end of a transaction that added so many rows; nothing for a few.

    When autovacuum looks at a table while many rows of it are not committed yet, it counts none of them in pages that
    are there. What asks for everybody then takes time with their square, until it looks again: with 10,000 people a
    preview 15 seconds and the board more than a minute, instead of 0.1. An autovacuum that is at it gives way after a
    second; what is not counted within some seconds stays as it is, with a warning in the log: the rows matter more.
    Counting is the owner's right, and not the restricted role's; a database that is not ours only warns.
    """
    if added < MANY_ROWS:
        return
    names = ("role", "lock_timeout", "statement_timeout")
    before = await row(session, "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names))
    assert before
    try:
        async with session.begin_nested():
            await run(session, "SET LOCAL ROLE none")
            await run(session, "SET LOCAL lock_timeout = '3s'")
            await run(session, "SET LOCAL statement_timeout = '10s'")
            await run(session, f"ANALYZE {', '.join(tables)}")
            for name in names:
                await run(session, "SELECT set_config(:name, :value, true)", {"name": name, "value": before[name]})
    except OperationalError:
        log.warning("not counted after a large change; for some minutes, asking for everybody may be slow: %s", tables)


async def notify(session: AsyncSession, channel: str, payload: str) -> None:
    """Tells listeners on every machine when this transaction commits; equal notices within it are folded."""
    await session.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})
