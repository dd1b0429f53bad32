"""When the next bulletin is due: as promised to staff, by the cadence where nothing was promised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.playbooks.due import Told, next_due, promised
from app.playbooks.schema import Severity

from .sample import playbook

START = datetime(2026, 3, 2, 3, tzinfo=UTC)
SENT = START + timedelta(minutes=3)
PROMISE = {"next_update": "2026-03-02T03:40:00Z"}


def due(
    facts: dict[str, Any] | None, *, severity: Severity = "SEV1", all_clear: bool = False, time_scale: float = 1.0
) -> datetime | None:
    last = Told(SENT, facts, all_clear) if facts is not None else None
    return next_due(playbook(), last, declared_at=START, severity=severity, time_scale=time_scale)


def test_staff_were_told_a_time_so_that_is_when_the_next_is_due() -> None:
    assert due(PROMISE) == START + timedelta(minutes=40)
    assert due(PROMISE, severity="SEV3") == START + timedelta(minutes=40), "another severity takes no promise back"
    assert due(PROMISE, time_scale=60) == START + timedelta(minutes=40), "an absolute time is not scaled"


def test_without_a_promise_the_cadence_of_the_severity_holds() -> None:
    assert due({}) == SENT + timedelta(minutes=20)
    assert due({"next_update": None}, severity="SEV2") == SENT + timedelta(minutes=60)
    assert due({}, time_scale=60) == SENT + timedelta(seconds=20)


def test_the_first_is_due_five_minutes_after_the_declaration_and_none_after_the_all_clear() -> None:
    assert due(None) == START + timedelta(minutes=5)
    assert due(None, time_scale=60) == START + timedelta(seconds=5)
    assert due(PROMISE, all_clear=True) is None


def test_a_promise_is_the_first_time_that_must_lie_ahead() -> None:
    assert promised(playbook(), PROMISE | {"hit": 3}) == START + timedelta(minutes=40)
    assert promised(playbook(), {"hit": 3}) is None
