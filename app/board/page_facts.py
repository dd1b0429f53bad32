"""Facts as form fields: from stored values to what stands in a field, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.kernel.errors import FieldError
from app.playbooks.facts import format_fact, from_text
from app.playbooks.schema import SITES, Fact, Playbook
from app.web import time_field
from app.web.forms import Form

PREFIX = "fact."

Raw = dict[str, list[str]]
"""Fact name -> what stands in its field; several values for several ticked boxes, and for a time those of `Typed`."""


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
    time: time_field.Shown = field(default_factory=time_field.Shown)

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
            shown = time_field.of_moment(str(value), zone)
            raw[name] = [shown.text, shown.was]
        elif isinstance(value, list):
            raw[name] = [str(item) for item in value]
        else:
            raw[name] = [str(value)]
    return raw


def raw_form(playbook: Playbook, form: Form) -> Raw:
    """What was typed and ticked, exactly."""
    raw = {name: form.values[PREFIX + name] for name in playbook.facts if form.has(PREFIX + name)}
    for name in raw:
        if playbook.facts[name].type == "time":
            typed = time_field.typed(form, PREFIX + name)
            raw[name] = [typed.text, typed.was, typed.offset]
    return raw


def remembered(raw: Raw) -> str:
    """What the form shows, to be sent back with it."""
    return json.dumps(raw)


def recalled(text: str) -> Raw | None:
    """What the form showed, as `remembered` wrote it; None for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    kept = {str(name): values for name, values in found.items() if isinstance(values, list)}
    return kept if all(isinstance(value, str) for values in kept.values() for value in values) else None


def merged(playbook: Playbook, *, typed: Raw, shown: Raw, present: Raw) -> Raw:
    """What the user changed in the form stays; everything else comes as it stands now."""
    found: Raw = {}
    for name, fact in playbook.facts.items():
        mine, before = typed.get(name, []), shown.get(name, [])
        if fact.type == "time":
            untouched = mine[:1] == before[:1] and not any(mine[2:])
        else:
            untouched = [value for value in mine if value.strip()] == before
        if values := present.get(name) if untouched else mine:
            found[name] = values
    return found


def given(playbook: Playbook, raw: Raw, *, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """The JSON values that validation takes; what cannot be read stays text, so that it can say what would be right.

    A form shows every fact, so one that is left empty is taken back (None).
    """
    found: dict[str, Any] = {}
    for name, fact in playbook.facts.items():
        if fact.type == "time":
            found[name] = _time(raw.get(name, []), zone, now) or None
            continue
        values = [value for value in raw.get(name, []) if value.strip()]
        if not values:
            found[name] = None
        elif fact.type == "choice":
            found[name] = values if fact.many else values[0]
        else:
            found[name] = from_text(fact, values[0])
    return found


def _time(values: Sequence[str], zone: ZoneInfo, now: datetime) -> str:
    """A time that cannot be told stays as it was typed, and validation refuses it."""
    typed = time_field.Typed(*values) if values else time_field.Typed("")
    try:
        return time_field.read(typed, zone=zone, now=now)
    except time_field.TimeProblem:
        return typed.text


def _time_problem(values: Sequence[str], zone: ZoneInfo, now: datetime) -> str:
    """Why a time cannot be told; '' when it can."""
    try:
        time_field.read(time_field.Typed(*values) if values else time_field.Typed(""), zone=zone, now=now)
    except time_field.TimeProblem as problem:
        return str(problem)
    return ""


def fields(
    playbook: Playbook, raw: Raw, *, sites: Sequence[str], examples: Mapping[str, Any], zone: ZoneInfo, now: datetime,
    errors: Sequence[FieldError] = (),
) -> list[Field]:  # fmt: skip
    """Every fact as a field, in the playbook's order, each with what is wrong with it."""
    wrong = {entry.field: entry.message for entry in errors}
    found = []
    for name, fact in playbook.facts.items():
        message = wrong.get(f"facts.{name}", "")
        mine = raw.get(name, [])
        time = fact.type == "time"
        if message:
            unclear = _time_problem(mine, zone, now) if time else ""
            message = unclear or _plain(fact, message, examples.get(name), zone, now)
        found.append(
            Field(
                name=name,
                label=label(name),
                kind=_kind(fact),
                help=fact.help,
                required=fact.required,
                example=_example(fact, examples.get(name), zone, now),
                values=list(mine[:1] if time else mine),
                choices=_choices(fact, sites, mine),
                many=fact.many,
                unit=fact.unit or "",
                longest=int(fact.max or 0) if fact.type == "text" else 0,
                default=fact.default or "",
                error=message,
                time=time_field.of_typed(time_field.Typed(*mine), zone) if time and mine else time_field.Shown(),
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
