"""No number, address or secret ever stands in a log line, and every line of the test run is read for them."""

from __future__ import annotations

import io
import json
import logging

import pytest

from app.kernel import logs
from tests import log_guard

SAID = [
    "text to +12065550177 failed",
    "GET /Messages.json?To=%2B12065550177",
    "a mail to ada.lovelace@example.org bounced",
    "opened https://muster.example.org/a/abcdefghij234567abcd",
    "POST /webhooks/twilio/status/abcdefghij234567abcd",
    "https://muster.example.org/sign-in/AbCdEfGhIjKlMnOpQrSt",
    "Authorization: Bearer muster_AbCdEfGhIjKlMnOpQrStUvWx",
    "postgresql://muster:hunter2@db/muster",
]


def written(terminal: bool, record: logging.LogRecord) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.formatter(terminal=terminal))
    handler.handle(record)
    return out.getvalue()


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("terminal", [False, True])
def test_numbers_and_secrets_never_reach_a_line(said: str, terminal: bool) -> None:
    assert log_guard.offence(said), "the guard itself must know it"
    try:
        raise ValueError(said)
    except ValueError as error:
        failure = (ValueError, error, error.__traceback__)
    plain = logging.LogRecord("muster.x", logging.INFO, __file__, 1, "%s", (said,), None)
    traced = logging.LogRecord("muster.x", logging.ERROR, __file__, 1, "it failed", (), failure)
    extra = logging.LogRecord("muster.x", logging.INFO, __file__, 1, "more", (), None)
    extra.detail = {"inside": [said]}
    for record in (plain, traced, extra):
        line = written(terminal, record)
        # The source line of a traceback is code, which holds no data; this test's own is the exception.
        assert log_guard.offence(line) is None, line


def test_off_a_terminal_each_event_is_one_json_line() -> None:
    record = logging.LogRecord("muster.x", logging.WARNING, __file__, 1, "a\nb", (), None)
    found = json.loads(written(False, record))
    assert (found["logger"], found["level"], found["event"]) == ("muster.x", "warning", "a\nb")
    assert "timestamp" in found


def test_the_guard_reads_what_this_run_logs(caplog: pytest.LogCaptureFixture) -> None:
    before = log_guard.GUARD.lines
    logging.getLogger("muster.test").info("a line of no consequence")
    assert log_guard.GUARD.lines == before + 1
    # Redacted before it is written, so nothing offends.
    logging.getLogger("muster.test").warning("to +12065550177")
    assert log_guard.GUARD.take() == []
    log_guard.GUARD.see("to +12065550177")
    assert len(log_guard.GUARD.take()) == 1
