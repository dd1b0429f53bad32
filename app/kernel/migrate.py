"""Brings the database's schema up to date, and says whether it is."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from alembic import command
from app.kernel.db import sqlalchemy_url

FOLDER = Path(__file__).resolve().parents[2] / "alembic"


def upgrade(url: str) -> None:
    """Applies every migration that is missing; safe when several processes do it at once."""
    engine = create_engine(sqlalchemy_url(url), connect_args={"application_name": "muster-migrate"})
    try:
        with engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether every migration that this version knows is applied."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    engine = create_engine(sqlalchemy_url(url), connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            there = set(MigrationContext.configure(connection).get_current_heads())
    finally:
        engine.dispose()
    return set(ScriptDirectory.from_config(config).get_heads()) <= there
