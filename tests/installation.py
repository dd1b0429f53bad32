"""A real installation: `muster up` as real processes on free ports, with an embedded database and a silent carrier."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from app.kernel.postgres import EmbeddedPostgres
from tests import log_guard
from tests.conftest import PEOPLE_600, ROOT
from tests.patience import patience
from tests.stack import free_port

START_SECONDS = 60.0


class Installation:
    """Started, killed and started again as an operator (or a power cut) would."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port, simulator, smtp = free_port(), free_port(), free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MUSTER_", "TWILIO_"))},
            "MUSTER_DATA_DIR": str(folder / "data"),
            "MUSTER_PORT": str(self.port),
            "MUSTER_SIMULATOR_PORT": str(simulator),
            "MUSTER_SIMULATOR_SMTP_PORT": str(smtp),
            "MUSTER_SETTLE_SECONDS": "5",
            "MUSTER_PLAYBOOKS_DIR": str(_one_playbook(folder)),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        self.api = httpx2.Client(verify=False, base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self.carrier = httpx2.Client(
            verify=False, base_url=f"http://127.0.0.1:{simulator}", timeout=30, trust_env=False
        )

    def muster(self, *arguments: str) -> str:
        """One command; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=patience(90), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "up"], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        self.until(self.ready, seconds=START_SECONDS, every=0.1)

    def ready(self) -> bool:
        try:
            return self.api.get("/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    def until(self, true: Callable[[], bool], *, seconds: float, every: float = 0.05) -> float:
        """Waits for something that must come to hold, looking every so many seconds; returns how long it took."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() < began + patience(seconds), (
                f"not so within {patience(seconds)} s; log: {self.log.read_text()[-3000:]}"
            )
            time.sleep(every)
        return time.monotonic() - began

    def children(self) -> dict[str, psutil.Process]:
        """Our processes by what they do: up, web, worker, simulator, postgres."""
        assert self.process
        found = {"up": psutil.Process(self.process.pid)}
        for child in found["up"].children():
            words = child.cmdline()
            if "app.cli" in words:
                found[words[words.index("app.cli") + 1]] = child
        return found

    def postmaster(self) -> psutil.Process:
        """The embedded database's first process."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if words and words[0].endswith("/postgres") and self._ours(process):
                return process
        raise AssertionError("no embedded database is running")

    def _ours(self, process: psutil.Process) -> bool:
        place = (self.folder / "data" / "postgres" / "place").read_text().split()[0]
        return any(place in word for word in process.cmdline())

    def kill_all(self) -> None:
        """The power goes: everything at once, the database too."""
        assert self.process
        victims = [*self.children().values()]
        postmaster = self.postmaster()
        victims += [postmaster, *postmaster.children(recursive=True)]
        for victim in victims:
            try:
                victim.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        self.process.wait(20)
        psutil.wait_procs(victims, timeout=patience(20))

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)

    def hire(self) -> None:
        """600 people, and a token to tell them with."""
        self.api.headers["Authorization"] = f"Bearer {self.muster('tokens', 'create', 'test', '--role', 'admin')}"
        imported = self.call(
            "POST", "/people/imports?country=US", content=PEOPLE_600.read_bytes(), headers={"Content-Type": "text/csv"}
        )
        assert imported["created"] > 500

    def prepare(self) -> str:
        """An incident with an approved bulletin; returns the bulletin's path."""
        playbook = self.call("GET", "/playbooks/global-vendor-outage")
        facts = {fact["name"]: fact["example"] for fact in playbook["facts"] if fact["name"] != "sites"}
        declaration = {"playbook": playbook["slug"], "severity": "SEV1", "facts": facts}
        incident = self.call("POST", "/incidents", json=declaration)
        path = f"/incidents/{incident['key']}/bulletins"
        number = self.call("POST", path, json={"stage": "investigating", "facts": {}})["number"]
        self.call("POST", f"{path}/{number}/approve", json={"accept_warnings": True})
        return f"{path}/{number}"

    def call(self, method: str, path: str, **more: Any) -> Any:
        response = self.api.request(method, f"/api/v1{path}", **more)
        assert response.status_code < 400, response.text
        return response.json()

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.carrier.get("/simulator/stats").json()
        return answer

    def forget(self) -> None:
        """The carrier begins anew, its counts at nothing."""
        self.carrier.post("/simulator/reset").raise_for_status()

    def slow_carrier(self, milliseconds: int) -> None:
        self.carrier.post("/simulator/faults", json={"latency_ms": milliseconds}).raise_for_status()

    def board(self, bulletin: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.call("GET", f"{bulletin}/board")
        except (httpx2.HTTPError, AssertionError):
            return {}
        return found

    def recipients(self, bulletin: str) -> list[dict[str, Any]]:
        items = self.call("GET", f"{bulletin}/recipients?limit=1000")["items"]
        return list(items)


def _one_playbook(folder: Path) -> Path:
    """Of those that ship, the one that is used here: a start need not read the others."""
    made = folder / "playbooks"
    made.mkdir()
    shutil.copy(ROOT / "playbooks" / "global-vendor-outage.yaml", made)
    return made


@contextmanager
def installation(*, before: Callable[[Path], object] | None = None, **settings: str) -> Iterator[Installation]:
    """A started installation in a short folder of its own; stopped and removed afterwards.

    `before` is called with the data directory, before anything is started.
    """
    folder = Path(tempfile.mkdtemp(prefix="mst"))
    if before:
        before(folder / "data")
    made = Installation(folder, **settings)
    try:
        made.start()
        yield made
    finally:
        made.api.close()
        made.carrier.close()
        made.stop()
        log_guard.GUARD.see(made.log.read_text(errors="replace"))
        embedded = EmbeddedPostgres(folder / "data")
        embedded.start()
        embedded.discard()
        shutil.rmtree(folder, ignore_errors=True)


def told(items: list[dict[str, Any]]) -> list[str]:
    """The provider message ids of every text that was accepted."""
    return [
        attempt["provider_message_id"]
        for item in items
        for attempt in item["attempts"]
        if attempt["channel"] == "sms" and attempt["provider_message_id"]
    ]


def shown(value: Any) -> str:
    return json.dumps(value, indent=1)[:3000]
