"""A short seed of `make soak`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_two_minutes_of_everything_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--minutes", "2", "--seed", "7"],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
