"""Every command that README.md and docs/ show runs, typed in the order of the document that shows it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
import typer

from app.cli import cli
from app.kernel.postgres import EmbeddedPostgres
from app.playbooks import service as playbooks
from tests import log_guard
from tests.api.company import CSV
from tests.cli.shell import Ended, Shell
from tests.conftest import ROOT
from tests.docs import shown
from tests.docs.shown import Shown

STANDS_FOR = {
    "muster COMMAND": "muster --help",
    "playbooks new SLUG": "playbooks new flooded-shop",
    "playbooks check [PATHS]": "playbooks check playbooks",
    "muster declare SLUG": "muster declare payment-outage --severity SEV2 --fact ...",
    "backup FILE": "backup all.backup",
    "restore FILE": "restore all.backup",
    "people import FILE": "people import people.csv",
    "board [KEY]": "board {key}",
    "draft KEY": "draft {key} --audience front_line",
    "KEY NUMBER": "{key} 2",
    "approve KEY": "approve {key}",
    "review export KEY": "review export {key} --out record.md",
    "create NAME --role": "create 'the night desk' --role",
    "create NAME": "create 'the night desk' --role viewer",
    "signin NAME": "signin 'Ada Lovelace'",
    "--role ROLE": "--role communications_lead",
    "MUSTER_TOKEN=...": "MUSTER_TOKEN={token}",
}
"""What a reader puts in the place of a placeholder, and adds where a table shows a command without its options;
from the top down. {key} is an incident that is declared before, with one bulletin drafted, {token} an API token;
`--fact ...` gives every fact of the playbook the value that it has as its example."""

READERS_FILES = ("people.csv", "my-plan.yaml")
"""What a reader brings along."""

STARTED_HERE = {("demo",), ("simulator", "--auto"), ("web",), ("worker",)}
"""Commands that stay: the demo runs while the others are typed, and starts these three."""

STARTED_ELSEWHERE = {("up",): "tests/installation.py", ("simulator",): "tests/installation.py"}
"""Commands that stay and that other tests start: `muster up`, and the silent simulator by it."""

CANNOT_RUN_HERE = {
    "cat > .env <<'END'": "the settings are made up, and would lead to providers that do not exist",
    "docker compose up --build": "needs Docker, and builds from a registry",
    "docker compose up --build --detach": "needs Docker, and builds from a registry",
    "python -m bench.scale_out": "takes minutes, and the machine to itself; `make faults` tries what it measures",
    "systemctl enable --now muster-web muster-worker@1 muster-worker@2": "needs systemd and an account on the machine",
}

STAY = {"up", "demo", "web", "worker", "simulator"}
ALL = [command for document in shown.DOCUMENTS for command in shown.commands(document)]
EMPTY = {"MUSTER_SECRET_KEY": "a key of our own, long enough"}


def kind(text: str) -> str | None:
    """Which of the tests below tries it; None for nobody."""
    if text in CANNOT_RUN_HERE:
        return "not here"
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return None
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    program = words[0].rpartition("/")[2] if words else ""
    if program == "python" and words[1:2] == ["-m"] and words[2].startswith("app."):
        return "python"
    if program not in ("muster", "make") or {"|", "||", "&&", ";", "&", ">", ">>", "<"} & set(words):
        return None
    return program


def typed(text: str, **known: str) -> tuple[dict[str, str], list[str]]:
    """(settings before it, arguments) of a command with its placeholders filled in."""
    for words, instead in STANDS_FOR.items():
        if re.search(rf"{re.escape(words)}(?![\w-])", text):
            text = text.replace(words, instead)
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    parts = shlex.split(text, comments=True)
    settings: dict[str, str] = {}
    while "=" in parts[0]:
        name, _, value = parts.pop(0).partition("=")
        settings[name] = value
    return settings, parts[1:]


@pytest.mark.parametrize("command", [c for c in ALL if kind(c.text) is None] or [None])
def test_every_shown_command_is_tried_by_somebody(command: Shown | None) -> None:
    assert command is None, (
        f"{command.place} is tried by nobody: show it as a plain `muster`, `make` or `python -m app...` command, "
        "or name it in CANNOT_RUN_HERE with the reason"
    )


def test_nothing_is_set_aside_that_no_document_shows() -> None:
    texts = {command.text for command in ALL}
    assert set(CANNOT_RUN_HERE) <= texts
    assert [words for words in STANDS_FOR if not any(words in text for text in texts)] == []
    stays = {tuple(typed(text)[1]) for text in texts if kind(text) == "muster"}
    assert (STARTED_HERE | set(STARTED_ELSEWHERE)) <= stays
    together = "".join(document.read_text(encoding="utf-8") for document in shown.DOCUMENTS)
    assert [name for name in (*READERS_FILES, *shown.AROUND) if name not in together] == []
    assert all('"up"' in (ROOT / where).read_text(encoding="utf-8") for where in STARTED_ELSEWHERE.values())


def test_every_shown_option_is_one_of_a_command() -> None:
    def options(group: Any) -> set[str]:
        own = {name for parameter in group.params for name in parameter.opts}
        return own.union(*map(options, getattr(group, "commands", {}).values()))

    known = options(typer.main.get_command(cli))
    for document in shown.DOCUMENTS:
        for token, line, _ in shown.code(document):
            if token.type == "code_inline" and token.content.startswith("--"):
                where = f"{document.relative_to(ROOT)}:{line}"
                assert token.content.split()[0] in known, f"{where}: no command has the option {token.content}"


def test_every_shown_make_target_is_there() -> None:
    """Without doing what they do: `make -n` says what it would do. A bare `make` really lists them."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    def make(*words: str) -> str:
        done = subprocess.run(["make", *words], cwd=ROOT, env=around, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"

    listed = make()
    for command in ALL:
        if kind(command.text) == "make":
            _, words = typed(command.text)
            for target in (word for word in words if "=" not in word):
                assert re.search(rf"^make {re.escape(target)} ", listed, re.MULTILINE), (
                    f"{command.place}: not in `make`"
                )
            if words:
                said = make("-n", *words)
                assert not said.startswith("failed: "), f"{command.place} {said}"
    assert "exec .venv/bin/muster demo" in make("-n", "demo")


def test_every_shown_module_runs(tmp_path: Path) -> None:
    """In a folder that is laid out as ours, with the shell's redirections."""
    (tmp_path / "docs").mkdir()
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for command in ALL:
        if kind(command.text) == "python":
            done = subprocess.run(
                ["sh", "-c", command.text], cwd=tmp_path, env=here, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command.place} {done.stderr[-1000:]}"
            for written in re.findall(r"> *(\S+)", command.text):
                assert (tmp_path / written).read_bytes() == (ROOT / written).read_bytes(), command.place


class Desk:
    """Where the reader sits: a folder with playbooks and a people file, in which the demo runs."""

    def __init__(self, shell: Shell, demo: subprocess.Popen[bytes]) -> None:
        self.shell, self.demo = shell, demo
        self.token = shell.here("tokens", "create", "reader", "--role", "admin").fine().strip()
        with shell.api(self.token) as api:
            self.facts = api.get("/api/v1/playbooks/payment-outage").json()["facts"]
            _close_everything(api)
        carrier = f"http://127.0.0.1:{shell.environment['MUSTER_SIMULATOR_PORT']}"
        httpx2.post(f"{carrier}/simulator/reset", trust_env=False).raise_for_status()
        # At a site of the reader's own people alone: a bulletin to their front line is quickly sent.
        shell.here("people", "import", "people.csv").fine()
        own = self.facts_given("--fact", "sites=Nordhavn")
        declared = shell.here("declare", "payment-outage", "--severity", "SEV3", "--drill", *own).fine()
        self.key = declared.split()[0]
        shell.here("bulletins", "draft", self.key, "--audience", "front_line").fine()
        self.restored: int | None = None
        """The block in which a backup was restored: what follows there is typed at that database."""

    def facts_given(self, *more: str) -> list[str]:
        """`--fact ...`, written out."""
        values = [(fact["name"], fact["example"]) for fact in self.facts if fact["name"] != "sites"]
        each = [(name, one) for name, value in values for one in (value if isinstance(value, list) else [value])]
        return [word for name, value in each for word in ("--fact", f"{name}={value}")] + list(more)

    def type(self, command: Shown) -> str | None:
        """Runs it; returns what is wrong with it, None when it ended well."""
        settings, words = typed(command.text, key=self.key, token=self.token)
        if words and words[0] in STAY:
            return self._stays(tuple(words))
        for place in [i for i, word in enumerate(words) if words[i - 1] == "--fact" and word == "..."]:
            words[place - 1 : place + 1] = self.facts_given()
        if words[:1] == ["restore"]:
            self._new_database()
            self.restored = command.block
        if self.restored == command.block:
            settings |= EMPTY | {"MUSTER_DATABASE_URL": self.shell.database("restored")}
        ended = self.shell.here(*words, settings=settings)
        return None if ended.code == 0 else f"exit code {ended.code}: {_said(ended)}"

    def _new_database(self) -> None:
        with psycopg.connect(self.shell.url, autocommit=True) as owner:
            owner.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")
            owner.execute("CREATE DATABASE restored")

    def _stays(self, words: tuple[str, ...]) -> str | None:
        if words in STARTED_ELSEWHERE:
            return None
        if words not in STARTED_HERE:
            return "it stays, and no test starts it like this: see STARTED_HERE and STARTED_ELSEWHERE"
        ours = [self.demo.pid, *(child.pid for child in psutil.Process(self.demo.pid).children())]
        lines = [psutil.Process(pid).cmdline() for pid in ours]
        return (
            None if any(tuple(line[-len(words) - 1 :]) == ("app.cli", *words) for line in lines) else "it does not run"
        )


def _said(ended: Ended) -> str:
    return " ".join((ended.err or ended.out).split())[-600:]


def _close_everything(api: httpx2.Client) -> None:
    """What the demo shows is over, so that its 571 people keep no processor busy while the others are typed."""
    over = {"status": "closed", "reason": "it was seen", "accept_open_help": True}
    for incident in api.get("/api/v1/incidents").json()["items"]:
        api.patch(f"/api/v1/incidents/{incident['key']}", json=over).raise_for_status()


@contextmanager
def desk() -> Iterator[Desk]:
    """The demo, started and ready; ends it as Ctrl-C does, and fails unless it ends well."""
    folder = Path(tempfile.mkdtemp(prefix="mst"))
    data, home = folder / "data", folder / "home"
    # Two that ship: reading a playbook takes long, and tests/playbooks reads the others.
    (home / "playbooks").mkdir(parents=True)
    for slug in ("global-vendor-outage", "payment-outage"):
        shutil.copy(ROOT / "playbooks" / f"{slug}.yaml", home / "playbooks")
    (home / "people.csv").write_text(CSV.replace("Seattle", "Nordhavn"), encoding="utf-8")
    playbooks.forget_folder(Path("playbooks"))
    embedded = EmbeddedPostgres(data)
    shell = Shell.on(data, home, embedded.start())
    # As after installing: every command is typed beside the playbooks folder.
    del shell.environment["MUSTER_PLAYBOOKS_DIR"]
    log = folder / "log"
    try:
        shell.here("playbooks", "new", "my-plan", "--out", "my-plan.yaml").fine()
        with log.open("wb") as out:
            demo = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "demo"], env=shell.environment, cwd=home, stdout=out, stderr=out
            )
        try:
            _until_told(demo, log)
            yield Desk(shell, demo)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0, log.read_text(errors="replace")[-3000:]
        finally:
            if demo.poll() is None:
                demo.terminate()
                demo.wait(60)
            # What it prints for its operator holds a link to sign in; what it logs must not.
            log_guard.GUARD.see("\n".join(line for line in log.read_text().splitlines() if line.startswith("{")))
    finally:
        embedded.stop(discard=True)
        shutil.rmtree(folder, ignore_errors=True)


def _until_told(demo: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 90
    while "Ctrl-C stops everything" not in log.read_text(errors="replace"):
        said = log.read_text(errors="replace")[-3000:]
        assert demo.poll() is None, f"the demo ended by itself: {said}"
        assert time.monotonic() < ends, f"the demo is not ready: {said}"
        time.sleep(0.1)


@pytest.mark.slow
def test_every_shown_muster_command_runs() -> None:
    """One installation for all; every document finds the folder as the first one found it."""
    wrong = []
    with desk() as reader:
        home = reader.shell.home
        before = set(home.rglob("*"))
        for document in shown.DOCUMENTS:
            ours = [command for command in shown.commands(document) if kind(command.text) == "muster"]
            wrong += [f"{command.place} {trouble}" for command in ours if (trouble := reader.type(command))]
            for made in sorted(set(home.rglob("*")) - before, reverse=True):
                made.unlink() if made.is_file() else made.rmdir()
    assert not wrong, "\n".join(["shown, but it does not run:", *wrong])
