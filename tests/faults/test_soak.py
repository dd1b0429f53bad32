"""Short seeds of `make soak`: a few seconds with everything in them for the suite, two minutes for `make faults`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.faults.schedule import EVERY, schedule

pytestmark = pytest.mark.slow

SHORT = 15.0
SEED = 14


def _soak(seconds: float, seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--minutes", str((60 + seconds) / 60), "--seed", str(seed)],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_happens_in_the_short_seed() -> None:
    """Two workers killed, stopped and cut off, the database restarted, the carrier killed, its receipts shuffled."""
    events = schedule(SEED, SHORT)
    assert {event.kind for event in events} == set(EVERY)
    assert len({event.fault[0] for event in events if event.kind == "trouble"}) >= 3


def test_a_short_seed_of_everything_at_once() -> None:
    assert "lost 0, duplicates 0, answers lost 0, answers made up 0" in _soak(SHORT, SEED)


@pytest.mark.faults
def test_a_minute_of_everything_at_once() -> None:
    _soak(60, 7)
