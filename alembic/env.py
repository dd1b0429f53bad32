"""How migrations connect: `muster migrate` passes a live connection; `alembic` alone reads MUSTER_DATABASE_URL."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection

from alembic import context
from app.kernel.db import sqlalchemy_url
from app.tables import metadata


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """The job engine's own tables are its package's business."""
    return not (type_ == "table" and name is not None and name.startswith("procrastinate_"))


def run(connection: Connection) -> None:
    # One migrator at a time; the others wait here and then find nothing to do.
    connection.execute(text("SELECT pg_advisory_lock(727472001)"))
    # A migration that waits for a lock behind a long transaction would stop everybody who comes after it: so it
    # waits briefly, and whoever called tries again (app.kernel.migrate).
    connection.execute(text("SET lock_timeout = '2s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name,
        compare_type=True,
        transaction_per_migration=True,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    finally:
        connection.rollback()  # of a migration that failed; nothing is left to undo after one that did not
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_unlock(727472001)"))
        connection.commit()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(sqlalchemy_url(os.environ["MUSTER_DATABASE_URL"]))
    with engine.connect() as fresh:
        run(fresh)
    engine.dispose()
