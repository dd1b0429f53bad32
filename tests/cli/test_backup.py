"""The database in one file and back: nothing lost, nothing replaced by mistake, all of it or nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import psycopg
import pytest

from tests.cli.shell import Shell
from tests.cli.test_commands import declared

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
# What our own processes write while they look.
_LIVELY = {"lease", "worker_heartbeat", "provider_health"}


def content(url: str) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    with psycopg.connect(url) as connection:
        names = [name for (name,) in connection.execute(_TABLES)]
        return {
            name: sorted(str(row) for row in connection.execute(f'SELECT t::text FROM "{name}" t'))
            for name in names
            if name not in _LIVELY
        }


def shape(url: str) -> list[tuple[object, ...]]:
    """Triggers, constraints, indexes, and what the restricted role may do."""
    with psycopg.connect(url) as connection:
        return [
            *connection.execute(
                "SELECT 'trigger', tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger "
                "WHERE NOT tgisinternal ORDER BY 2, 3"
            ),
            *connection.execute(
                "SELECT 'constraint', conrelid::regclass::text, conname, "
                # A check that is read again is written with other brackets.
                "CASE WHEN contype <> 'c' THEN pg_get_constraintdef(oid) END FROM pg_constraint "
                "WHERE connamespace = 'public'::regnamespace AND contype <> 't' ORDER BY 2, 3"
            ),
            *connection.execute(
                "SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 3"
            ),
            *connection.execute(
                "SELECT 'grant', table_name, privilege_type FROM information_schema.role_table_grants "
                "WHERE grantee = 'muster_app' AND table_schema = 'public' ORDER BY 2, 3"
            ),
            *connection.execute("SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
                                "ORDER BY 2"),
        ]  # fmt: skip


@pytest.fixture
def other(shell: Shell) -> dict[str, str]:
    """The settings of another, empty database."""
    with psycopg.connect(shell.url, autocommit=True) as owner:
        owner.execute("DROP DATABASE IF EXISTS other WITH (FORCE)")
        owner.execute("CREATE DATABASE other")
    return {"MUSTER_DATABASE_URL": shell.database("other"), "MUSTER_SECRET_KEY": "a key of our own, long enough"}


def test_a_backup_restored_elsewhere_is_the_same_to_the_last_row(shell: Shell, other: dict[str, str]) -> None:
    key = declared(shell, "--title", "Before the backup")
    file = shell.home / "all.backup"
    said = shell.here("backup", str(file)).fine()
    assert "secret key is not in it" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = content(shell.url)
    assert before["audit_entry"]
    assert "restored" in shell.here("restore", str(file), settings=other).fine()
    url = other["MUSTER_DATABASE_URL"]
    assert content(url) == before
    assert shape(url) == shape(shell.url)
    assert "holds" in shell.here("audit", "verify", settings=other).fine()
    # It goes on from there: numbers continue, and the record is still append-only.
    assert declared(Shell(shell.data, shell.home, url, shell.environment | other)) > key
    assert "holds" in shell.here("audit", "verify", settings=other).fine()
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE muster_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE audit_entry SET kind = 'x'")


def test_a_database_that_is_not_empty_is_replaced_only_when_asked(shell: Shell, other: dict[str, str]) -> None:
    file = shell.home / "again.backup"
    shell.here("backup", str(file)).fine()
    shell.here("restore", str(file), settings=other).fine()
    url = other["MUSTER_DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM suppression")
        connection.execute("INSERT INTO department (name, key) VALUES ('Only here', 'only here')")
    assert "--force" in shell.here("restore", str(file), settings=other).refused()
    assert any("Only here" in row for row in content(url)["department"])
    shell.here("restore", str(file), "--force", settings=other).fine()
    assert not any("Only here" in row for row in content(url)["department"])


def test_what_is_no_backup_changes_nothing(shell: Shell, other: dict[str, str]) -> None:
    file = shell.home / "good.backup"
    shell.here("backup", str(file)).fine()
    shell.here("restore", str(file), settings=other).fine()
    url = other["MUSTER_DATABASE_URL"]
    before = content(url)
    (shell.home / "text.backup").write_text("PGDMP and then nothing of the kind")
    # Cut off in the middle, as by a full disk: its list of contents is still whole.
    (shell.home / "cut.backup").write_bytes(file.read_bytes()[: -(file.stat().st_size // 8)])
    for name in ("text.backup", "cut.backup", "none.backup"):
        line = shell.here("restore", str(shell.home / name), "--force", settings=other).refused()
        assert "backup" in line
        assert content(url) == before, name


def test_a_restore_waits_for_nobody_and_pulls_the_ground_from_under_nobody(shell: Shell, other: dict[str, str]) -> None:
    file = shell.home / "busy.backup"
    shell.here("backup", str(file)).fine()
    with psycopg.connect(other["MUSTER_DATABASE_URL"]):
        assert "stop every web and worker" in shell.here("restore", str(file), settings=other).refused()


def test_a_backup_that_cannot_be_written_leaves_nothing_behind(shell: Shell, tmp_path: Path) -> None:
    line = shell.here("backup", str(tmp_path / "none" / "x.backup")).refused()
    assert "cannot be written" in line
    away = {"MUSTER_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/db", "MUSTER_SECRET_KEY": "k" * 20}
    shell.here("backup", str(tmp_path / "x.backup"), settings=away).refused()
    assert list(tmp_path.iterdir()) == []
