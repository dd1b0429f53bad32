"""Migrated databases with nothing in them, used again and again: making one takes longer than most tests."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.databases import create_database, drop_database

MANY_ROWS = 2000
"""Beyond this, a new database is quicker than one that carries the old rows' remains."""

_SHAPE = """
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O')
"""
_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_ROWS = "SELECT {name} AS name, (SELECT count(*) FROM (SELECT FROM {table} LIMIT {limit}) AS found) AS rows"


@dataclass
class Spare:
    """Databases of one server that no test uses just now."""

    server_url: str
    template: str
    _free: list[str] = field(default_factory=list)
    _shape: object = None
    _count: sql.Composed | None = None
    _held: dict[str, psycopg.Connection[tuple[Any, ...]]] = field(default_factory=dict)
    """A connection to each: one that has seen every table before empties them in a fraction of the time."""

    def take(self) -> str:
        """The URL of a migrated database with nothing in it."""
        if self._free:
            return self._free.pop()
        url = create_database(self.server_url, f"t_{uuid.uuid4().hex[:12]}", template=self.template)
        if self._shape is None:
            with psycopg.connect(url) as connection:
                self._shape = connection.execute(_SHAPE).fetchone()
                self._count = _counting([name for (name,) in connection.execute(_TABLES).fetchall()])
        return url

    def give_back(self, url: str) -> None:
        """Empties it for the next one; whoever is still connected is thrown out."""
        if self._emptied(url):
            self._free.append(url)
        else:
            self._let_go(url)
            drop_database(self.server_url, urlsplit(url).path.removeprefix("/"))

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[str]:
        url = self.take()
        try:
            yield url
        finally:
            self.give_back(url)

    def close(self) -> None:
        for url in list(self._held):
            self._let_go(url)

    def _emptied(self, url: str) -> bool:
        assert self._count is not None
        try:
            connection = self._connection(url)
            connection.execute(_OTHERS, (connection.info.backend_pid,))
            if connection.execute(_SHAPE).fetchone() != self._shape:
                return False
            for name, rows in connection.execute(self._count).fetchall():
                if rows > MANY_ROWS:
                    return False
                if rows:
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
        except psycopg.OperationalError:  # locked for too long, or cut off
            return False
        return True

    def _connection(self, url: str) -> psycopg.Connection[tuple[Any, ...]]:
        """The one to this database, or a new one when a test has ended it."""
        if url in self._held:
            with contextlib.suppress(psycopg.Error):
                self._held[url].execute("SELECT")
                return self._held[url]
            self._let_go(url)
        self._held[url] = connection = psycopg.connect(url, autocommit=True)
        # Without triggers and foreign keys, so that the order does not matter and the record can be emptied.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET lock_timeout = '2s'")
        return connection

    def _let_go(self, url: str) -> None:
        if connection := self._held.pop(url, None):
            connection.close()


def _counting(tables: list[str]) -> sql.Composed:
    """Asks for the rows of all of these at once, as (name, rows); beyond MANY_ROWS they are not counted on."""
    return sql.SQL(" UNION ALL ").join(
        sql.SQL(_ROWS).format(name=sql.Literal(name), table=sql.Identifier(name), limit=sql.Literal(MANY_ROWS + 1))
        for name in tables
    )
