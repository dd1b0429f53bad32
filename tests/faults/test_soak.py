"""Short seeds of `make soak`: a few seconds with everything in them for `.ci/run`, a minute for `make faults`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.faults.schedule import EVERY, schedule
from tests.soak import troubled_seconds

pytestmark = pytest.mark.slow


def test_everything_happens_in_the_short_seed() -> None:
    """Two workers killed, stopped and cut off, the database restarted, the carrier killed, its receipts shuffled."""
    shown = re.search(r"MINUTES=([\d.]+) SEED=(\d+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert shown
    events = schedule(int(shown[2]), troubled_seconds(float(shown[1])))
    assert {event.kind for event in events} == set(EVERY)
    assert len({event.fault[0] for event in events if event.kind == "trouble"}) >= 3


@pytest.mark.faults
def test_a_minute_of_everything_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--minutes", "2", "--seed", "7"],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 0, duplicates 0, answers lost 0, answers made up 0" in done.stdout
