"""A database of an earlier release: whoever was told of something there is shown as they are at the upgrade."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.kernel import migrate
from tests.databases import create_database, drop_database

FILL = """
INSERT INTO department (name, key) VALUES ('Stores', 'stores');
INSERT INTO person (employee_id, name, department_id, active, created_at, updated_at)
  SELECT n, 'Person ' || n, 1, n <> 7, '2026-03-01', '2026-03-02' FROM generate_series(1, 12000) n;
INSERT INTO account (name, role, created_at) VALUES ('Kim', 'commander', now());
INSERT INTO playbook_revision (slug, revision, sha256, title, content, source, created_at)
  VALUES ('a', 1, '', '', '{}', '', now());
INSERT INTO incident (key, revision_id, title, status, severity, facts, drill, simulated, declared_by, declared_at)
  VALUES ('INC-2026-0001', 1, 'Large', 'declared', 'SEV1', '{}', false, true, 1, now());
INSERT INTO role_assignment (incident_id, role, person_id, account_id, assumed_at)
  VALUES (1, 'incident_commander', 3, NULL, now()), (1, 'department_lead', NULL, 1, now());
INSERT INTO bulletin (incident_id, number, state, stage, severity, facts, audiences, problems, warnings_accepted,
                      created_by, created_at, sent_by, sent_at)
  VALUES (1, 1, 'sent', 'investigating', 'SEV1', '{}', '[]', '[]', true, 1, now(), 1, now());
INSERT INTO delivery (bulletin_id, incident_id, person_id, audience, language, code, code_seq, created_at)
  SELECT 1, 1, id, 'all', '', 'K7', 0, now() FROM person;
INSERT INTO help_request (incident_id, delivery_id, person_id, opened_at, told_rung) VALUES (1, 5, 5, now(), -1);
INSERT INTO field_report (incident_id, person_id, text, maybe_help, via, at)
  VALUES (1, 5, 'Water', false, 'sms', now()), (1, NULL, 'Who am I', false, 'sms', now());
"""
LEFT_OUT = """
SELECT (SELECT count(*) FROM person WHERE latest_version_id IS NULL)
  + (SELECT count(*) FROM delivery d LEFT JOIN person_version v ON v.id = d.person_version_id
     AND v.person_id = d.person_id WHERE v.id IS NULL)
  + (SELECT count(*) FROM field_report WHERE person_id IS NOT NULL AND person_version_id IS NULL)
"""


@pytest.fixture
def earlier(server_url: str, tmp_path: Path) -> Iterator[str]:
    """The database that the release before versions made, with a bulletin to many."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (folder / "versions").glob("*.py"):
        if file.name[:4].isdigit() and int(file.name[:4]) >= FIRST:
            file.unlink()
    name = f"e_{uuid.uuid4().hex[:12]}"
    url = create_database(server_url, name)
    migrate.upgrade(url, folder=folder)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode())
    yield url
    drop_database(server_url, name)


FIRST = next(
    int(file.name[:4]) for file in (migrate.FOLDER / "versions").glob("*_people_as_they_were.py")
)  # the migration that brought versions


def test_everybody_and_everything_that_is_there_gets_a_version(earlier: str) -> None:
    migrate.upgrade(earlier)
    with psycopg.connect(earlier) as connection:
        assert connection.execute(LEFT_OUT).fetchone() == (0,)
        found = connection.execute(
            "SELECT name, active, since < now() - interval '1 day' FROM person_version WHERE person_id IN (5, 7)"
        ).fetchall()
        assert sorted(found) == [("Person 5", True, True), ("Person 7", False, True)]
