"""Facts as form fields: from stored values to what stands in a field, and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.kernel.errors import FieldError
from app.playbooks.facts import format_fact, from_text
from app.playbooks.schema import SITES, Fact, Playbook
from app.web.forms import Form

PREFIX = "fact."
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2})[:.h](\d{2})", re.ASCII)

Raw = dict[str, list[str]]
"""Fact name -> what stands in its field; several values for several ticked boxes."""


@dataclass
class Field:
    """One fact as the form shows it. `values` is what stands in it now."""

    name: str
    label: str
    kind: str
    help: str
    required: bool
    example: str
    values: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    many: bool = False
    unit: str = ""
    longest: int = 0
    default: str = ""
    error: str = ""

    @property
    def value(self) -> str:
        return self.values[0] if self.values else ""


def label(name: str) -> str:
    """`next_update` as people read it: Next update."""
    return name.replace("_", " ").capitalize()


def raw_values(playbook: Playbook, values: Mapping[str, Any], zone: ZoneInfo) -> Raw:
    """Stored values as they stand in fields; times in the house's zone."""
    raw: Raw = {}
    for name, fact in playbook.facts.items():
        value = values.get(name)
        if value is None:
            continue
        if fact.type == "time":
            raw[name] = [f"{datetime.fromisoformat(str(value)).astimezone(zone):%Y-%m-%dT%H:%M}"]
        elif isinstance(value, list):
            raw[name] = [str(item) for item in value]
        else:
            raw[name] = [str(value)]
    return raw


def raw_form(playbook: Playbook, form: Form) -> Raw:
    """What was typed and ticked, exactly."""
    return {name: form.values[PREFIX + name] for name in playbook.facts if form.has(PREFIX + name)}


def given(playbook: Playbook, raw: Raw, *, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """The JSON values that validation takes; what cannot be read stays text, so that it can say what would be right.

    A form shows every fact, so one that is left empty is taken back (None).
    """
    found: dict[str, Any] = {}
    for name, fact in playbook.facts.items():
        values = [value for value in raw.get(name, []) if value.strip()]
        if not values:
            found[name] = None
        elif fact.type == "choice":
            found[name] = values if fact.many else values[0]
        elif fact.type == "time":
            found[name] = read_time(values[0], zone=zone, now=now)
        else:
            found[name] = from_text(fact, values[0])
    return found


def read_time(text: str, *, zone: ZoneInfo, now: datetime) -> str:
    """`2026-03-02T14:20` in the house's zone, or `14:20` for the next time that the clock says so, as RFC 3339."""
    typed = text.strip()
    if _LOCAL.fullmatch(typed):
        try:
            return datetime.fromisoformat(typed).replace(tzinfo=zone).isoformat()
        except ValueError:
            return typed
    if (match := _CLOCK.fullmatch(typed)) and int(match[1]) < 24 and int(match[2]) < 60:
        there = now.astimezone(zone).replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
        return (there if there > now else there + timedelta(days=1)).isoformat()
    return typed


def fields(
    playbook: Playbook, raw: Raw, *, sites: Sequence[str], examples: Mapping[str, Any], zone: ZoneInfo, now: datetime,
    errors: Sequence[FieldError] = (),
) -> list[Field]:  # fmt: skip
    """Every fact as a field, in the playbook's order, each with what is wrong with it."""
    wrong = {entry.field: entry.message for entry in errors}
    found = []
    for name, fact in playbook.facts.items():
        message = wrong.get(f"facts.{name}", "")
        found.append(
            Field(
                name=name,
                label=label(name),
                kind=_kind(fact),
                help=fact.help,
                required=fact.required,
                example=_example(fact, examples.get(name), zone, now),
                values=list(raw.get(name, [])),
                choices=_choices(fact, sites, raw.get(name, [])),
                many=fact.many,
                unit=fact.unit or "",
                longest=int(fact.max or 0) if fact.type == "text" else 0,
                default=fact.default or "",
                error=_plain(fact, message, examples.get(name), zone, now) if message else "",
            )
        )
    return found


def _kind(fact: Fact) -> str:
    if fact.type == "choice":
        return "boxes" if fact.many else "one_of"
    return fact.type


def _choices(fact: Fact, sites: Sequence[str], chosen: Sequence[str]) -> list[str]:
    if fact.type != "choice":
        return []
    offered = list(sites) if fact.from_ == SITES else list(fact.choices or [])
    # What was chosen stays on the page even when it is no longer on offer: a field is never emptied silently.
    return offered + [value for value in chosen if value.strip() and value not in offered]


def _example(fact: Fact, example: Any, zone: ZoneInfo, now: datetime) -> str:
    if example is None:
        return ""
    if fact.type == "time":
        return format_fact(fact, example, zone=zone, now=now)
    return ", ".join(example) if isinstance(example, list) else str(example)


def _plain(fact: Fact, message: str, example: Any, zone: ZoneInfo, now: datetime) -> str:
    """The refusal in a form's terms: nobody types an offset or quotes into a field."""
    if fact.type == "time" and example is not None:
        what = message.partition(";")[0]
        what = "is not a time" if what.startswith("has no offset") else what
        clock = f"{datetime.fromisoformat(str(example)).astimezone(zone):%H:%M}"
        ahead = " that lies ahead" if fact.future else ""
        return f"{what}; give a time{ahead}, such as {clock}"
    return message.replace("must be a number without quotes", "is not a number").replace("text in quotes", "text")
