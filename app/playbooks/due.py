"""When the next bulletin is due: at the time that staff were promised, or by the cadence where none was. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.playbooks.schema import Playbook, Severity

FIRST_WORDS = timedelta(minutes=5)
"""The first bulletin is due this soon after the declaration, whatever the severity."""


def promised(playbook: Playbook, facts: Mapping[str, Any]) -> datetime | None:
    """The next update's time as a bulletin with these facts tells staff: the playbook's first time that must lie ahead.

    None where the playbook has no such fact, or the bulletin left it out.
    """
    for name, fact in playbook.facts.items():
        if fact.type == "time" and fact.future and facts.get(name):
            return datetime.fromisoformat(str(facts[name]))
    return None


@dataclass(frozen=True)
class Told:
    """The last bulletin that went out. `all_clear`: it said that all is over, and was not withdrawn."""

    sent_at: datetime
    facts: Mapping[str, Any]
    all_clear: bool


def next_due(
    playbook: Playbook, last: Told | None, *, declared_at: datetime, severity: Severity, time_scale: float
) -> datetime | None:
    """When the next bulletin of an open incident is due; None once the all-clear is out.

    A promised time is absolute: `time_scale` does not divide it, and no change of severity moves it. Staff wait for it.
    """
    if last is None:
        return declared_at + FIRST_WORDS / time_scale
    if last.all_clear:
        return None
    return promised(playbook, last.facts) or last.sent_at + playbook.cadence(severity) / time_scale
