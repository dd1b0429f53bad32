"""Reads every log line that is written while tests run, as an operator would see it, for what must never be in one.

A test during which a line holds a phone number, a whole address or a secret fails; what is logged outside of tests
fails the run's last one.
"""

from __future__ import annotations

import csv
import logging
import re
from pathlib import Path

from app.kernel import logs

HERE = Path(__file__).parent

_NUMBER = re.compile(r"(?:\+|%2B)[0-9]{8,15}", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9][0-9 ().\-]{8,18}[0-9]")
_LINK = re.compile(r"/(?:a|status|sign-in|voice)/[A-Za-z0-9_\-]{16,}")
_TOKEN = re.compile(r"\bmuster_[A-Za-z0-9_\-]{20,}")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+\-]{2,}@[A-Za-z0-9\-]+\.[a-z]{2,}")
_PASSWORD = re.compile(r"://[^:/@\s]+:(?!\*\*\*@)[^@/\s]+@")
_SECRETS = ("a test's secret key", "the account's auth token", "hunter2", "s3cret")


def _people() -> frozenset[str]:
    """The digits of every number in the test data, as far as they say whose it is."""
    found = set()
    with (HERE / "data" / "people-600.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            for column in ("mobile", "phone"):
                digits = re.sub(r"\D", "", row.get(column) or "")
                if len(digits) >= 10:
                    found.add(digits[-10:])
    return frozenset(found)


PEOPLE = _people()


def offence(line: str) -> str | None:
    """What in this line must not be in a log; None for a clean one."""
    for what, pattern in (
        ("a phone number", _NUMBER), ("a link that is a secret", _LINK), ("a token", _TOKEN),
        ("a whole address", _ADDRESS), ("a password", _PASSWORD),
    ):  # fmt: skip
        if found := pattern.search(line):
            return f"{what}: {found[0]}"
    for secret in _SECRETS:
        if secret in line:
            return f"a secret: {secret}"
    for found in _DIGITS.finditer(line):
        if re.sub(r"\D", "", found[0])[-10:] in PEOPLE:
            return f"somebody's number: {found[0]}"
    return None


class LogGuard(logging.Handler):
    """A handler that renders as production does, and keeps what offends."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.formatter(terminal=False))
        self._found: list[str] = []
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        # A copy: the formatter changes a record, and other handlers read it too.
        self.see(self.format(logging.makeLogRecord(record.__dict__)))

    def see(self, text: str) -> None:
        """Also for what real processes wrote."""
        for line in text.splitlines():
            self.lines += 1
            if what := offence(line):
                self._found.append(f"{what}\n    in: {line[:600]}")

    def take(self) -> list[str]:
        """What offended since the last time."""
        found, self._found = self._found, []
        return found


GUARD = LogGuard()


def install() -> None:
    """On the root logger, at the levels that processes run with."""
    logging.getLogger().addHandler(GUARD)
    logging.getLogger("muster").setLevel(logging.INFO)
