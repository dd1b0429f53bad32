"""The migrations and the models are written apart; the database that each makes is the same."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine

from app.kernel.db import sqlalchemy_url
from app.tables import metadata
from tests.databases import create_database, drop_database

NAME = f"from_the_models_{os.getpid()}"
"""Tests of this module may run in several processes at once, all on one server."""

MADE = {
    "columns": """SELECT table_name, column_name, data_type, is_nullable, is_identity FROM information_schema.columns
                  WHERE table_schema = 'public'""",
    "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
                      WHERE connamespace = 'public'::regnamespace AND conrelid <> 0""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}
NOT_OURS = ("procrastinate_", "alembic_")


@pytest.fixture(scope="module")
def from_the_models(server_url: str) -> Iterator[str]:
    url = create_database(server_url, NAME)
    engine = create_engine(sqlalchemy_url(url))
    metadata.create_all(engine)
    engine.dispose()
    yield url
    drop_database(server_url, NAME)


def _made(url: str, query: str) -> set[tuple[str, ...]]:
    with psycopg.connect(url) as connection:
        found = connection.execute(query.encode()).fetchall()
    return {row for row in found if not row[0].startswith(NOT_OURS)}


@pytest.mark.parametrize("what", MADE)
def test_migrations_make_what_the_models_say(database_url: str, from_the_models: str, what: str) -> None:
    migrated, modelled = _made(database_url, MADE[what]), _made(from_the_models, MADE[what])
    assert len(modelled) > 50
    assert sorted(modelled - migrated) == [], "the models say so, and no migration makes it"
    assert sorted(migrated - modelled) == [], "a migration makes it, and no model says so"
