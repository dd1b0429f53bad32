"""A backup of the database in one file, and bringing it back: `pg_dump` and `pg_restore` of the wheel's PostgreSQL.

The dump is one consistent snapshot, taken while everything runs. A restore is one transaction: all of it or nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.kernel import postgres_place
from app.kernel.db import APP_ROLE
from app.kernel.errors import Conflict, MusterError, NotFound, Unavailable

APPLICATION = "muster-backup"

_HELD = ("person", "incident", "account", "audit_entry")
"""Tables whose rows nobody may lose by mistake; without any, a database counts as empty."""

_BEFORE = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC;\n"
_AFTER = f"""
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
    GRANT USAGE ON SCHEMA public TO {APP_ROLE};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP_ROLE};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP_ROLE};
  END IF;
END $$;
ANALYZE;
"""


def backup(url: str, file: Path) -> int:
    """Writes the whole database to `file`, readable by its owner alone; returns its size in bytes.

    The file is there whole or not at all. Raises Unavailable with what PostgreSQL said, OSError for the file.
    """
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600, exist_ok=False)
    try:
        _run(url, ["pg_dump", "--format=custom", "--no-owner", f"--file={fresh}"])
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    return file.stat().st_size


def restore(url: str, file: Path, *, force: bool = False) -> int:
    """Makes the database what `file` holds, in one transaction; returns how many messages wait in it to be sent.

    Raises NotFound when the file is no backup, Conflict when somebody works with the database, or when it holds
    people or incidents and `force` is not given, Unavailable with what PostgreSQL said; the database is then as it was.
    """
    listed = _contents(url, file)
    privileges = _prepare(url, force=force)
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "contents"
        # Whoever owns the tables there need not exist here; the same privileges are given again below.
        chosen.write_text("\n".join(line for line in listed if " DEFAULT ACL " not in line), encoding="utf-8")
        command = ["--no-owner", f"--use-list={chosen}", "--file=-", str(file)]
        if not privileges:
            command.insert(0, "--no-privileges")
        _load(url, command)
    with psycopg.connect(url, connect_timeout=5, application_name=APPLICATION) as connection:
        waiting = connection.execute(
            "SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id JOIN incident i ON "
            "i.id = d.incident_id WHERE a.state IN ('queued', 'handing_over') AND i.closed_at IS NULL"
        ).fetchone()
    return int(waiting[0]) if waiting else 0


def _contents(url: str, file: Path) -> list[str]:
    if not file.is_file():
        raise NotFound(f"{file} is not a file; name one that muster backup wrote.")
    with contextlib.suppress(Unavailable):
        listed = _run(url, ["pg_restore", "--list", str(file)], connect=False).splitlines()
        if any("TABLE DATA public audit_entry" in line for line in listed):
            return listed
    raise NotFound(f"{file} is not a backup of Muster's; name one that muster backup wrote.")


def _prepare(url: str, *, force: bool) -> bool:
    """Looks before anything is lost, and makes the restricted role; returns whether that role is there."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5, application_name=APPLICATION) as connection:
        others = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        ).fetchone()
        if others and others[0]:
            raise Conflict("Somebody works with this database; stop every web and worker, then restore.")
        for table in _HELD:
            if connection.execute("SELECT to_regclass(%s)", [f"public.{table}"]).fetchone() == (None,):
                continue
            if not force and connection.execute(f"SELECT 1 FROM public.{table} LIMIT 1").fetchone():
                raise Conflict(
                    "This database is not empty, and a restore replaces everything in it; take a backup of it first, "
                    "then restore with --force."
                )
        with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.InsufficientPrivilege):
            connection.execute(f"CREATE ROLE {APP_ROLE} NOLOGIN")
        there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() is not None
        if there:
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"GRANT {APP_ROLE} TO current_user")
        return there


def _load(url: str, command: list[str]) -> None:
    """pg_restore writes the statements, psql runs them all in one transaction."""
    psql = ["psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    with tempfile.TemporaryFile() as said:
        writing = subprocess.Popen(  # noqa: S603 (our own programs)
            [_program("pg_restore"), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
            env=_environment(url),
        )  # fmt: skip
        running = subprocess.Popen(  # noqa: S603 (our own programs)
            [_program(psql[0]), *psql[1:], "--file=-", f"--dbname={_without_password(url)}"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=_environment(url),
        )  # fmt: skip
        assert writing.stdout is not None
        assert running.stdin is not None
        broken = False
        with writing.stdout, contextlib.suppress(BrokenPipeError), running.stdin as there:
            there.write(_BEFORE.encode())
            for piece in _statements(writing.stdout):
                there.write(piece)
            # An end that pg_restore did not reach must not be taken for one: then the transaction is never committed.
            broken = writing.wait() != 0
            there.write(b"\nSELECT 1 / 0;\n" if broken else _AFTER.encode())
        if running.wait() != 0 or broken:
            raise Unavailable(f"The backup could not be restored, and nothing was changed: {_last_line(said)}")


def _statements(source: IO[bytes]) -> Iterator[bytes]:
    """The statements as written, but for a setting in their head that servers before PostgreSQL 17 do not know."""
    for _ in range(60):
        line = source.readline()
        if not line.startswith(b"SET transaction_timeout"):
            yield line
    while piece := source.read(1 << 20):
        yield piece


def _run(url: str, command: list[str], *, connect: bool = True) -> str:
    more = [f"--dbname={_without_password(url)}"] if connect else []
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(  # noqa: S603 (our own programs)
            [_program(command[0]), *command[1:], *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
            env=_environment(url), check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise Unavailable(f"{command[0]} could not do it: {_last_line(said)}")
    return done.stdout.decode("utf-8", "replace")


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if "rror" in line or "FATAL" in line]
    return (lines[0] if lines else "it does not say why").strip()[:300]


def _program(name: str) -> str:
    """The wheel's own, or the system's where the wheel lacks it. Raises Unavailable."""
    with contextlib.suppress(MusterError):
        own = postgres_place.programs() / "bin" / name
        if own.exists():
            return str(own)
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed here; install PostgreSQL's client programs.")
    return found


def _without_password(url: str) -> str:
    """Anybody on the machine can read a command line."""
    return make_conninfo(**{key: str(value) for key, value in conninfo_to_dict(url).items() if key != "password"})


def _environment(url: str) -> dict[str, str]:
    password = conninfo_to_dict(url).get("password")
    own = {"PATH": os.defpath, "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10", "PGAPPNAME": APPLICATION}
    return own | ({"PGPASSWORD": str(password)} if password else {})
