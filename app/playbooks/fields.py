"""The kinds of value a playbook's fields hold: durations, dates, names, lines. Pure."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from app.playbooks.template import NAME_PATTERN

_DURATION: Final = re.compile(r"([0-9]{1,5})([smhd])", re.ASCII)
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST: Final = timedelta(days=366)


def parse_duration(value: object) -> timedelta:
    """`90s`, `20m`, `2h` or `1d` as a timedelta. Raises ValueError with what would be right."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"is a bare number; say its unit, such as {value}m for minutes or {value}s for seconds")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a duration; write a whole number and s, m, h or d, such as 90s, 20m, 2h or 1d")
    duration = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if duration > _LONGEST:
        raise ValueError("is longer than a year; write a shorter duration, such as 1d")
    return duration


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: `20m`, `90s`, `1d`."""
    seconds = int(value.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


def parse_clock(value: object) -> time:
    """`22:00` as a time of day. Raises ValueError with what would be right."""
    if isinstance(value, time):
        return value
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is not a time of day; write hours and minutes in quotes, such as "22:00" or "07:30"')
    return time(int(match[1]), int(match[2]))


def _one_line(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ValueError("has a line break; write it in one line (>- folds a long one)")
    return value


def _paragraphs(value: str) -> str:
    """Every line a paragraph, with an empty line between: the same whether written after | or after >-."""
    return "\n\n".join(line.strip() for line in value.splitlines() if line.strip())


def _date(value: object) -> date | None:
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else date.fromisoformat("")
    except ValueError:
        raise ValueError("is not a date; write it as 2026-05-31, or null for never") from None


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number without quotes")
    if not abs(value) <= 1e12:
        raise ValueError("is beyond any measure; write a number up to 1000000000000")
    return value


def _sites(value: object) -> list[str] | str:
    if isinstance(value, str) and re.fullmatch(rf"\${NAME_PATTERN}", value):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) and item.strip() for item in value):
        return [item.strip() for item in value]
    raise ValueError("must be a list of site names, or the name of a fact with from: directory.sites, such as $sites")


def _example(value: object) -> str | int | float | list[str] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return list(value)
    return _number(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,5}[smhd]$", "examples": ["90s", "20m", "2h", "1d"]}),
]
ClockTime = Annotated[
    time,
    BeforeValidator(parse_clock),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:00", "07:00"]}),
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}$", max_length=40)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=20)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), AfterValidator(_one_line)]
Paragraphs = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000), AfterValidator(_paragraphs)
]
Spoken = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Brief = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)]
Subject = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=150), AfterValidator(_one_line)
]
Unit = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20), AfterValidator(_one_line)]
Lines = Annotated[list[Line], Field(min_length=1, max_length=12)]
Names = Annotated[list[Line], Field(min_length=1, max_length=200)]
Number = Annotated[int | float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Date = Annotated[
    date,
    PlainValidator(_date),
    PlainSerializer(lambda value: None if value is None else value.isoformat(), return_type=str | None),
    WithJsonSchema({"type": ["string", "null"], "format": "date"}),
]
SitesOf = Annotated[
    list[str] | str,
    PlainValidator(_sites),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "string", "pattern": rf"^\${NAME_PATTERN}$"},
            ]
        }
    ),
]
Example = Annotated[
    str | int | float | list[str] | None,
    PlainValidator(_example),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "null"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
