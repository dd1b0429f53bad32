"""Advisory locks live in one place; a second feature with the same key would wait for the first."""

from __future__ import annotations

import re

from app.kernel.locks import Lock
from tests.conftest import ROOT


def test_no_key_is_written_anywhere_else() -> None:
    assert len(set(Lock)) == len(Lock.__members__)
    for file in (ROOT / "app").rglob("*.py"):
        if file.name != "locks.py":
            assert not re.search(r"advisory\w*lock\(\d|\b727472\d", file.read_text(encoding="utf-8")), file
