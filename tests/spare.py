"""Migrated databases with nothing in them, used again and again: making one takes longer than most tests."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from app.kernel.postgres import create_database, drop_database

MANY_ROWS = 2000
"""Beyond this, a new database is quicker than one that carries the old rows' remains."""

_SHAPE = """
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O')
"""
_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


@dataclass
class Spare:
    """Databases of one server that no test uses just now."""

    server_url: str
    template: str
    _free: list[str] = field(default_factory=list)
    _shape: object = None

    def take(self) -> str:
        """The URL of a migrated database with nothing in it."""
        if self._free:
            return self._free.pop()
        url = create_database(self.server_url, f"t_{uuid.uuid4().hex[:12]}", template=self.template)
        if self._shape is None:
            with psycopg.connect(url) as connection:
                self._shape = connection.execute(_SHAPE).fetchone()
        return url

    def give_back(self, url: str) -> None:
        """Empties it for the next one; whoever is still connected is thrown out."""
        if self._emptied(url):
            self._free.append(url)
        else:
            drop_database(self.server_url, urlsplit(url).path.removeprefix("/"))

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[str]:
        url = self.take()
        try:
            yield url
        finally:
            self.give_back(url)

    def _emptied(self, url: str) -> bool:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_OTHERS, (connection.info.backend_pid,))
                if connection.execute(_SHAPE).fetchone() != self._shape:
                    return False
                # Without triggers and foreign keys, so that the order does not matter and the record can be emptied.
                connection.execute("SET session_replication_role = replica")
                connection.execute("SET lock_timeout = '2s'")
                for (name,) in connection.execute(_TABLES).fetchall():
                    table = sql.Identifier(name)
                    rows = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
                    if rows and rows[0] > MANY_ROWS:
                        return False
                    if rows and rows[0]:
                        connection.execute(sql.SQL("DELETE FROM {}").format(table))
                connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
        except psycopg.Error:
            return False
        return True
