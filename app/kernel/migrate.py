"""Brings the database's schema up to date, also with a send in flight, and says whether it is up to date."""

from __future__ import annotations

import ast
import logging
import re
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from app.kernel.db import sqlalchemy_url
from app.kernel.errors import Unavailable

log = logging.getLogger("muster.migrate")

FOLDER = Path(__file__).resolve().parents[2] / "alembic"

PATIENCE_SECONDS = 120.0
"""How long locks that others hold are waited for in all, a little at a time."""

_NAMES = re.compile(r"^(revision|down_revision)\b[^=\n]*= *(.+)$", re.MULTILINE)

_BUSY = frozenset({"55P03", "40P01"})
"""SQLSTATE: a lock was not to be had in time; a deadlock, and we were the one to give way."""


def upgrade(url: str, *, patience: float = PATIENCE_SECONDS, folder: Path = FOLDER) -> None:
    """Applies every migration that is missing; safe when several processes do it at once.

    A lock that others hold is waited for two seconds at a time, so that what comes after us waits no longer than
    that; in between, sends go on. Each migration is one transaction. Raises Unavailable after `patience` seconds.
    """
    # A fifth of a command's start, and nearly every command only asks whether there is anything to do.
    from alembic.config import Config

    from alembic import command

    engine = create_engine(sqlalchemy_url(url), connect_args={"application_name": "muster-migrate"})
    ends = time.monotonic() + patience
    pause = 0.5
    try:
        while True:
            try:
                with engine.connect() as connection:
                    config = Config()
                    config.set_main_option("script_location", str(folder).replace("%", "%%"))
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
                return
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _BUSY:
                    raise
                if time.monotonic() + pause > ends:
                    raise Unavailable(
                        "The schema is not up to date yet: a transaction has held a lock that it needs for too long. "
                        "Nothing is half done. Look for it in pg_stat_activity, end it, then run: muster migrate"
                    ) from error
                log.warning("the schema waits for a lock that others hold; trying again")
            time.sleep(pause)
            pause = min(5.0, pause * 2)
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether every migration that this version knows is applied. Raises DBAPIError."""
    engine = create_engine(sqlalchemy_url(url), connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            begun = connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
            there = set(connection.scalars(text("SELECT version_num FROM alembic_version"))) if begun else set()
    finally:
        engine.dispose()
    return newest(FOLDER) <= there


def newest(folder: Path) -> set[str]:
    """The migrations that no other one follows, read from the files without running them."""
    known: set[str] = set()
    followed: set[str] = set()
    for file in (folder / "versions").glob("*.py"):
        names = {name: ast.literal_eval(value) for name, value in _NAMES.findall(file.read_text(encoding="utf-8"))}
        known.add(names["revision"])
        before = names["down_revision"]
        followed.update((before,) if isinstance(before, str) else before or ())
    return known - followed
