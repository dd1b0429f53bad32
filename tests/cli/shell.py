"""Commands as an operator types them, against an embedded database in a folder of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from app.cli import cli, run
from app.playbooks import service as playbooks
from tests import log_guard
from tests.conftest import ROOT
from tests.stack import free_port


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def fine(self) -> str:
        """What it printed; fails when it did not end well or said anything on stderr."""
        assert self.code == 0, (self.code, self.err[-2000:])
        assert "Traceback" not in self.err
        return self.out

    def refused(self, code: int = 1) -> str:
        """The one line on stderr of a command that could not do what was asked."""
        assert self.code == code, (self.code, self.out[-500:], self.err[-2000:])
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err[-2000:]
        assert self.out == ""
        return lines[0]


@dataclass
class Shell:
    """`data` is the data folder, `url` the database in it, held open so that commands need not start it each time."""

    data: Path
    home: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def on(cls, data: Path, home: Path, url: str) -> Shell:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            # The package is found here wherever it is installed, and the working folder holds nothing of ours.
            "PYTHONPATH": str(ROOT),
            "MUSTER_DATA_DIR": str(data),
            "MUSTER_PLAYBOOKS_DIR": str(ROOT / "playbooks"),
            "MUSTER_PORT": str(free_port()),
            "MUSTER_SIMULATOR_PORT": str(free_port()),
            "MUSTER_SIMULATOR_SMTP_PORT": str(free_port()),
        }
        return cls(data, home, url, environment)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['MUSTER_PORT']}"

    def muster(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Ended:
        """One command, as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=self.environment | dict(settings or {}), cwd=self.home, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        log_guard.GUARD.see(done.stderr.decode())
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def here(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Ended:
        """The same command line in this process: for the many ways of asking, each quicker than a process."""
        out, err, around = io.StringIO(), io.StringIO(), dict(os.environ)
        playbooks.forget_folder(ROOT / "playbooks")  # it remembers which database has them
        try:
            os.environ.clear()
            os.environ.update(self.environment | dict(settings or {}))
            with chdir(self.home), redirect_stdout(out), redirect_stderr(err):
                code = run(cli, list(arguments))
        finally:
            os.environ.clear()
            os.environ.update(around)
        return Ended(code, out.getvalue(), err.getvalue())

    def database(self, name: str) -> str:
        """The address of another database on the same server."""
        return self.url.replace("@/muster?", f"@/{name}?")

    def all(self, *commands: tuple[str, ...]) -> list[Ended]:
        """Several that do not wait for each other, two at a time."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda command: self.muster(*command), commands))

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """A process that stays: web or worker."""
        with (self.home / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "app.cli", command], env=self.environment, cwd=self.home, stdout=log, stderr=log
            )

    def api(self, token: str) -> httpx2.Client:
        return httpx2.Client(
            verify=False,
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=30,
        )
