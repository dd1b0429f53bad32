"""Every command as a real process: what it prints, how it ends, and one plain line when it cannot."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest

from app.kernel.postgres import EmbeddedPostgres
from tests.cli.shell import Shell
from tests.conftest import ROOT
from tests.directory import damaged
from tests.directory.sheets import workbook

LATER = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
FACTS = (
    "--fact", "vendor=Northwind", "--fact", "what_is_down=tills = scanners", "--fact", "what_works=cash, phones",
    "--fact", f"next_update={LATER}",
)  # fmt: skip


def declared(shell: Shell, *more: str) -> str:
    out = shell.here("declare", "global-vendor-outage", "--severity", "SEV2", *FACTS, "--json", *more).fine()
    return str(json.loads(out)["key"])


def test_migrate_makes_an_empty_database_whole_and_does_nothing_the_second_time(shell: Shell) -> None:
    with psycopg.connect(shell.url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE fresh")
    url = shell.database("fresh")
    own = {"MUSTER_DATABASE_URL": url, "MUSTER_SECRET_KEY": "a key of our own, long enough"}
    # A database of one's own is never changed without being asked.
    assert "muster migrate" in shell.here("audit", "verify", settings=own).refused()
    assert shell.muster("migrate", settings=own).fine().strip() == "The schema is up to date."
    with psycopg.connect(url) as owner:
        before = owner.execute("SELECT version_num FROM alembic_version").fetchall()
    assert shell.here("migrate", settings=own).fine().strip() == "The schema is up to date."
    with psycopg.connect(url) as owner:
        assert owner.execute("SELECT version_num FROM alembic_version").fetchall() == before
    shell.here("audit", "verify", settings=own).fine()


def test_an_embedded_database_is_brought_up_to_date_by_the_first_command(tmp_path: Path) -> None:
    """And the last one out stops the server."""
    data = Path(tempfile.mkdtemp(prefix="muster-new-")) / "data"
    fresh = Shell.on(data, tmp_path, "")
    try:
        token = fresh.muster("tokens", "create", "first", "--role", "admin").fine()
        assert token.strip()
        assert fresh.here("audit", "verify").fine().strip() == "Every entry of the record holds."
    finally:
        embedded = EmbeddedPostgres(data)
        embedded.start()
        embedded.discard()
        shutil.rmtree(data.parent, ignore_errors=True)


def test_doctor_says_what_keeps_us_from_reaching_people(shell: Shell) -> None:
    plain, as_json = shell.here("doctor"), shell.muster("doctor", "--json")
    assert plain.code == as_json.code == 1
    found = {entry["name"]: entry for entry in json.loads(as_json.out)}
    for entry in found.values():
        assert set(entry) == {"name", "ok", "detail"}
    assert found["database"]["ok"] is True
    assert found["schema"]["ok"] is True
    assert found["people"]["ok"] is True
    assert found["playbooks"]["ok"] is True
    # Nobody runs a worker or the simulator here: a send would not go out, and it says so with what to do.
    assert found["worker"]["ok"] is False
    assert "muster worker" in found["worker"]["detail"]
    assert found["sms"]["ok"] is False
    assert found["email"]["ok"] is False
    assert "simulator" in found["providers"]["detail"]
    assert found["mailbox"]["ok"] is None
    assert "bounces and mail answers go unread" in found["mailbox"]["detail"]
    # The countries of the numbers in the directory, who cannot be reached, and what is not set.
    assert "US 10" in found["countries"]["detail"]
    assert "S4" in found["unreachable"]["detail"]
    for name in ("MUSTER_ALARM_EMAIL", "MUSTER_ALARM_SMS", "MUSTER_HEARTBEAT_URL"):
        assert name in found["alarms"]["detail"]
    for name, entry in found.items():
        assert f"{name}: {entry['detail']}" in plain.out
    assert "+1206" not in plain.out


def test_doctor_without_its_database_says_so_and_nothing_else(shell: Shell) -> None:
    away = {"MUSTER_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/db", "MUSTER_SECRET_KEY": "k" * 20}
    ended = shell.here("doctor", "--json", settings=away)
    assert ended.code == 1
    [finding] = json.loads(ended.out)
    assert (finding["name"], finding["ok"]) == ("database", False)
    assert "MUSTER_DATABASE_URL" in finding["detail"]
    assert "hunter2" not in ended.out + ended.err


def test_playbooks_check_finds_everything_at_its_place(shell: Shell, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    text = (ROOT / "playbooks" / "global-vendor-outage.yaml").read_text(encoding="utf-8")
    text = text.replace("slug: global-vendor-outage", "slug: broken", 1)
    text = text.replace("Down: ${what_is_down}", "Down: ${what_is_dwn}", 1).replace("cadence: 20m", "cadence: soon", 1)
    broken.write_text(text, encoding="utf-8")
    fine = shell.here("playbooks", "check")
    plain = shell.muster("playbooks", "check", str(broken))
    as_json = shell.here("playbooks", "check", str(tmp_path), "--json")
    nowhere = shell.here("playbooks", "check", str(tmp_path / "none.yaml"))
    assert "6 playbooks are in order" in fine.fine()
    assert plain.code == as_json.code == 1
    lines = text.splitlines()
    places = []
    for line in plain.err.splitlines():
        found = re.fullmatch(r"(.+broken\.yaml):(\d+):(\d+): (.+)", line)
        assert found, line
        places.append((int(found[2]), int(found[3])))
        assert found[4].strip()
    assert any("what_is_dwn" in lines[line - 1] for line, _ in places)
    assert any("cadence: soon" in lines[line - 1] for line, _ in places)
    listed = [entry for entry in json.loads(as_json.out) if entry["severity"] == "error"]
    assert [(entry["line"], entry["column"]) for entry in listed] == places
    assert nowhere.code == 1
    assert "none.yaml" in nowhere.err
    assert "Traceback" not in nowhere.err


def test_people_import_reports_and_keeps_only_what_it_should(shell: Shell, tmp_path: Path) -> None:
    """On a database of its own: it deactivates people."""
    with psycopg.connect(shell.url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE people")
    own = {
        "MUSTER_DATABASE_URL": shell.database("people"),
        "MUSTER_SECRET_KEY": "a key of our own, long enough",
    }
    shell.here("migrate", settings=own).fine()
    file = str(ROOT / "tests" / "data" / "people-600.csv")

    dry = shell.here("people", "import", file, "--country", "US", "--dry-run", settings=own).fine()
    assert dry.splitlines()[-1].startswith("Would be: 594 created, 0 updated, 0 unchanged, 0 deactivated")
    report = json.loads(shell.muster("people", "import", file, "--country", "us", "--json", settings=own).fine())
    assert (report["created"], len(report["rejected"])) == (594, 6)
    assert report["rejected"][0].keys() == {"line", "id", "column", "reason"}
    again = shell.here("people", "import", file, "--country", "US", settings=own).fine().splitlines()
    assert again[-1].startswith("0 created, 0 updated, 594 unchanged")
    assert any(line.startswith("line 43, E00042, name: ") for line in again)

    spoilt = shell.here("people", "import", str(damaged.FILE), "--dry-run", "--json", settings=own).fine()
    assert json.loads(spoilt) == damaged.REPORT | {"dry_run": True}
    book = tmp_path / "staff.xlsx"
    book.write_bytes(workbook([("id", "name", "department"), (1001, "Ann", "IT")], name="Staff", hidden=["Lists"]))
    asked = ("people", "import", str(book), "--dry-run", "--sheet")
    assert shell.here(*asked, "staff", settings=own).fine().startswith("Would be: 1 created")
    assert '"Staff"' in shell.here(*asked, "Payroll", settings=own).refused()

    few = tmp_path / "few.csv"
    few.write_text("id,name,department\nE00001,Farid Williams,Customer Service\n", encoding="utf-8")
    refused = shell.here("people", "import", str(few), "--complete", settings=own).refused()
    assert "force" in refused
    done = shell.here("people", "import", str(few), "--complete", "--force", "--json", settings=own).fine()
    assert json.loads(done)["deactivated"] > 500
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"id;name\n1;\xff\xfe\n")
    assert shell.here("people", "import", str(bad), settings=own).refused()
    assert "no-such.csv" in shell.here("people", "import", "no-such.csv", settings=own).refused()


def test_declare_prints_the_key_and_says_everything_that_is_wrong_in_one_line(shell: Shell) -> None:
    named = ("--drill", "--title", "Tills down")
    plain = shell.muster("declare", "global-vendor-outage", "--severity", "SEV2", *FACTS, *named)
    as_json = shell.here("declare", "global-vendor-outage", *FACTS, "--fact", "sites=Dallas, Seattle", "--json")
    bad = ("--fact", "vendr=x", "--fact", "next_update=noon")
    wrong = shell.here("declare", "global-vendor-outage", "--severity", "SEV8", *bad)
    double = ("--fact", "vendor=a", "--fact", "vendor=b", "--fact", "loose")
    twice = shell.here("declare", "global-vendor-outage", *double)
    unknown = shell.here("declare", "no-such-plan")
    assert re.fullmatch(r"INC-\d{4}-\d{4}  SEV2  Tills down\n", plain.fine())
    incident = json.loads(as_json.fine())
    assert incident["severity"] == "SEV1"
    assert incident["facts"]["sites"] == ["Dallas", "Seattle"]
    assert incident["facts"]["what_is_down"] == "tills = scanners"
    line = wrong.refused()
    for name in ("severity", "facts.vendr", "facts.next_update", "facts.vendor", "facts.what_works"):
        assert f"{name}: " in line
    assert "twice" in twice.refused()
    assert "global-vendor-outage" in unknown.refused()


def test_a_bulletin_from_draft_to_sent(shell: Shell) -> None:
    key = declared(shell, "--drill")
    early = shell.here("bulletins", "send", key, "1").refused()
    assert "1" in early
    drafted = shell.muster("bulletins", "draft", key, "--stage", "investigating", "--fact", "vendor=Contoso").fine()
    first = drafted.splitlines()[0]
    assert first == f"{key} bulletin 1: draft, investigating"
    assert "12 people: 10 by sms, 1 by email; 1 cannot be reached" in drafted
    assert "Contoso" in drafted
    assert "DRILL" in drafted
    assert "not approved" in shell.here("bulletins", "send", key, "1").refused()
    approved = shell.here("bulletins", "approve", key, "1", "--accept-warnings", "--json").fine()
    assert json.loads(approved)["state"] == "approved"
    sent = json.loads(shell.muster("bulletins", "send", key, "1", "--json").fine())
    assert sent["state"] == "sent"
    assert json.loads(shell.here("bulletins", "send", key, "1", "--json").fine()) == sent
    shown = shell.muster("board", key).fine()
    assert shown.startswith(f"DRILL  {key}  SEV2  declared")
    assert "Bulletin 1 (investigating), 12 people:" in shown
    assert "no usable contact point" in shown
    seen = json.loads(shell.here("board", key, "--json").fine())
    assert (seen["board"]["total"], seen["incident"]["key"]) == (12, key)
    assert shell.here("board", "--once").fine().startswith("DRILL  INC-")
    assert "9" in shell.here("board", key, "--bulletin", "9").refused()
    wrong = shell.here("bulletins", "draft", key, "--stage", "later", "--audience", "nobody", "--fact", "x=1").refused()
    for name in ("stage", "audiences", "facts.x"):
        assert f"{name}: " in wrong


def test_two_people_at_the_terminal_approve_what_a_playbook_wants_two_people_for(shell: Shell, tmp_path: Path) -> None:
    text = (ROOT / "playbooks" / "global-vendor-outage.yaml").read_text(encoding="utf-8")
    changed = text.replace("slug: global-vendor-outage", "slug: two-people").replace(
        "  SEV2:\n", "  SEV2:\n    approval: {other_person: true}\n", 1
    )
    (tmp_path / "two-people.yaml").write_text(changed, encoding="utf-8")
    folder = {"MUSTER_PLAYBOOKS_DIR": str(tmp_path)}
    whose = {
        role: folder | {"MUSTER_TOKEN": shell.here("tokens", "create", role, "--role", role).fine().strip()}
        for role in ("commander", "communications_lead", "viewer")
    }
    declare = ("declare", "two-people", "--severity", "SEV2", *FACTS, "--json")
    assert "may not" in shell.here(*declare, settings=whose["viewer"]).refused()
    assert "MUSTER_TOKEN" in shell.here(*declare, settings=folder | {"MUSTER_TOKEN": "muster_wrong"}).refused()
    key = json.loads(shell.here(*declare, settings=whose["commander"]).fine())["key"]
    shell.here("bulletins", "draft", key, settings=whose["commander"]).fine()
    approve = ("bulletins", "approve", key, "1", "--accept-warnings", "--json")
    own = shell.here(*approve, settings=whose["commander"]).refused()
    assert "another person" in own
    assert "MUSTER_TOKEN" in own
    approved = json.loads(shell.here(*approve, settings=whose["communications_lead"]).fine())
    assert approved["state"] == "approved"
    assert "may not" in shell.here("bulletins", "send", key, "1", settings=whose["viewer"]).refused()


def test_a_fact_of_several_choices_may_be_given_once_for_each(shell: Shell) -> None:
    facts = ("--fact", "what_works=cash", "--fact", "charged_twice=none seen", "--fact", f"next_update={LATER}")
    each = ("--fact", "what_fails=contactless", "--fact", "what_fails=refunds", "--fact", "what_fails=")
    out = shell.here("declare", "payment-outage", "--severity", "SEV3", *facts, *each, "--json").fine()
    assert json.loads(out)["facts"]["what_fails"] == ["contactless", "refunds"]


def test_a_token_is_printed_alone_and_works(shell: Shell) -> None:
    ended = shell.muster("tokens", "create", "the night desk", "--role", "commander", "--person", "I1")
    token = ended.fine()
    assert re.fullmatch(r"\S{20,}\n", token)
    assert ended.err == ""
    wrong = shell.here("tokens", "create", "x", "--role", "king")
    lost = shell.here("tokens", "create", "x", "--role", "department_lead")
    left = shell.here("tokens", "create", "x", "--role", "viewer", "--person", "L1")
    assert "communications_lead" in wrong.refused()
    assert "department" in lost.refused()
    assert "has left" in left.refused()
    with psycopg.connect(shell.url) as owner:
        # Only its hash is kept.
        kept = owner.execute("SELECT hash FROM api_token").fetchall()
    assert all(token.strip() not in entry[0] for entry in kept)


def test_the_token_and_the_link_open_the_running_program(shell: Shell) -> None:
    token = shell.here("tokens", "create", "watcher", "--role", "viewer")
    link = shell.muster("signin", "Ana", "--role", "admin")
    assert re.fullmatch(re.escape(shell.base_url) + r"/sign-in/\S{20,}\n", link.fine())
    web = shell.start("web")
    try:
        with shell.api(token.fine().strip()) as api:
            until_answered(api)
            assert api.get("/api/v1/incidents").status_code == 200
            assert api.get("/readyz").status_code == 503  # no worker, so a send would not go out
        with httpx2.Client(verify=False, base_url=shell.base_url, trust_env=False, timeout=30) as browser:
            page = browser.get(link.out.strip())
            assert page.status_code == 200
            pressed = browser.post(link.out.strip())
            assert pressed.status_code == 303
            assert browser.get("/", headers={"Accept": "text/html"}).status_code == 200
        with httpx2.Client(verify=False, base_url=shell.base_url, trust_env=False, timeout=30) as second:
            assert second.post(link.out.strip()).status_code == 401
    finally:
        web.terminate()
        assert web.wait(30) in (0, -15)


def until_answered(api: httpx2.Client) -> None:
    """Waits for the web process to answer; fails when it does not in time."""
    ends = time.monotonic() + 60
    while True:
        try:
            if api.get("/healthz").status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < ends, "the web process does not answer"
        time.sleep(0.1)


def test_the_review_is_written_in_each_form(shell: Shell, tmp_path: Path) -> None:
    key = declared(shell, "--title", "For the record")
    shell.muster("review", "export", key, "--format", "md", "--out", str(tmp_path / "r.md")).fine()
    for form in ("json", "csv"):
        shell.here("review", "export", key, "--format", form, "--out", str(tmp_path / f"r.{form}")).fine()
    assert "For the record" in shell.muster("review", "export", key, "--out", "-").fine()
    refused = {
        "xlsx": ("--format", "xlsx", "--out", str(tmp_path / "r.xlsx")),
        "docx": ("--format", "docx", "--out", str(tmp_path / "r.docx")),
        "no/folder": ("--out", str(tmp_path / "no" / "folder" / "r.md")),
    }
    for what, arguments in refused.items():
        assert what in shell.here("review", "export", key, *arguments).refused()
    nowhere = shell.here("review", "export", "INC-1999-0001", "--out", str(tmp_path / "r.none"))
    assert "INC-1999-0001" in nowhere.refused()
    assert "For the record" in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert key in json.dumps(json.loads((tmp_path / "r.json").read_text(encoding="utf-8")))
    assert (tmp_path / "r.csv").read_text(encoding="utf-8-sig").count(",") > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json", "r.md"]


def test_audit_verify_names_the_first_bad_entry(shell: Shell) -> None:
    """On a copy: the record of the other tests stays whole."""
    key = declared(shell)
    with psycopg.connect(shell.database("postgres"), autocommit=True) as owner:
        owner.execute("DROP DATABASE IF EXISTS tampered")
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'muster'")
        owner.execute("CREATE DATABASE tampered TEMPLATE muster")
    url = shell.database("tampered")
    own = {"MUSTER_DATABASE_URL": url, "MUSTER_SECRET_KEY": "a key of our own, long enough"}
    assert shell.here("audit", "verify", settings=own).fine().strip() == "Every entry of the record holds."
    with psycopg.connect(url) as owner:
        owner.execute("ALTER TABLE person_version DISABLE TRIGGER ALL")
        owner.execute("UPDATE person_version SET name = name || '!'")
    assert "people were changed after it recorded them" in shell.here("audit", "verify", settings=own).refused()
    with psycopg.connect(url) as owner:
        owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        owner.execute("UPDATE audit_entry SET actor = 'account:999' WHERE stream = %s AND seq = 1", (key,))
    line = shell.muster("audit", "verify", settings=own).refused()
    assert line.startswith(f"{key} entry 1: ")
    as_json = shell.here("audit", "verify", "--json", settings=own)
    assert as_json.code == 1
    assert json.loads(as_json.out) == {"ok": False, "first_bad": line}
    with psycopg.connect(url) as owner:
        owner.execute("DELETE FROM audit_entry WHERE stream = %s", (key,))
    assert key in shell.here("audit", "verify", settings=own).refused()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("declare",),
        ("declare", "x", "--severty", "SEV1"),
        ("declare", "x", "--fact"),
        ("bulletins", "send", "INC-2026-0001", "two"),
        ("tokens", "create", "x"),
        ("people", "import", "x.csv", "--country", "USA"),
        ("review", "export", "INC-2026-0001"),
        ("playbooks", "chek"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_usage_is_one_line_and_exit_code_2(shell: Shell, arguments: tuple[str, ...]) -> None:
    line = shell.here(*arguments).refused(2)
    assert "--help" in line


def test_without_a_command_the_list_of_commands_is_shown(shell: Shell) -> None:
    bare, asked = shell.here(), shell.muster("--help")
    assert bare.code == 2
    assert asked.code == 0
    for command in ("up", "demo", "web", "worker", "simulator", "migrate", "doctor", "playbooks", "people", "declare",
                    "bulletins", "tokens", "signin", "review", "audit"):  # fmt: skip
        assert re.search(rf"^\W*{command}\b", asked.out, re.MULTILINE), command
        assert command in bare.out


def test_a_number_too_large_is_refused_in_words(shell: Shell) -> None:
    for number in ("99999999999999999999999", "-1", "0"):
        ended = shell.here("bulletins", "send", "INC-2026-0001", number)
        assert ended.code in (1, 2)
        assert len(ended.err.splitlines()) == 1, ended.err


def test_a_real_process_ends_in_one_line_too(shell: Shell) -> None:
    used, refused = shell.all(("declare",), ("bulletins", "approve", "INC-1999-0001", "1"))
    assert "--help" in used.refused(2)
    assert "INC-1999-0001" in refused.refused()
