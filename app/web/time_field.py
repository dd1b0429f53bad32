"""A time in a form: what stands in the field, and which moment is meant when the form comes back. Pure.

A browser's field for a local time knows minutes and no offset. So the moment that it showed goes with it in a hidden
field and is kept, to the microsecond, while the text is unchanged; and in the hour that a clock shows twice, the two
moments stand beside it to choose from (PEP 495: `fold` 0 is the earlier one).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.web.forms import Form
from app.web.times import zone_name

WAS = ".was"
OFFSET = ".offset"
"""What the hidden field and the choice are called, behind the field's own name."""

_TYPED = re.compile(
    r"(?:(?P<day>\d{4}-\d{2}-\d{2})[T ]+)?(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?::(?P<second>\d{2}))?"
    r"\s*(?P<name>[A-Za-z]{1,5})?\s*(?P<offset>\(?[+-]\d{2}:?\d{2}\)?)?",
    re.ASCII,
)
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", re.ASCII | re.IGNORECASE)


class TimeProblem(ValueError):
    """Which time is meant cannot be told. The text goes on from the field's label: `does not exist: ...`."""


@dataclass(frozen=True)
class Typed:
    """What came back of one field. `was`: the moment that it showed at first; `offset`: which of two was chosen."""

    text: str
    was: str = ""
    offset: str = ""


@dataclass(frozen=True)
class Choice:
    """One of the two moments that a clock shows alike: `+02:00`, `02:30 CEST (+02:00)`."""

    offset: str
    label: str


@dataclass(frozen=True)
class Shown:
    """A time field as the page shows it. `choices` is empty unless the clock shows this time twice."""

    text: str = ""
    was: str = ""
    chosen: str = ""
    choices: list[Choice] = field(default_factory=list)


def text_of(moment: datetime, zone: ZoneInfo) -> str:
    """What stands in the field: `2026-03-02T14:20`."""
    return f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}"


def of_moment(moment: datetime | str, zone: ZoneInfo) -> Shown:
    """A stored moment (RFC 3339 when it is text) as it stands in a fresh form."""
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return of_typed(Typed(text_of(instant, zone), moment if isinstance(moment, str) else moment.isoformat()), zone)


def of_typed(given: Typed, zone: ZoneInfo) -> Shown:
    """What was typed, as it stands in the form that comes back."""
    there = _local(given.text)
    twice = _twice(there, zone) if there is not None else []
    kept = _kept(given, zone)
    chosen = given.offset or (_offset(kept.astimezone(zone)) if kept else "")
    return Shown(given.text, given.was, chosen, [Choice(_offset(moment), _choice_label(moment)) for moment in twice])


def typed(form: Form, name: str) -> Typed:
    """The field of this name as a form sent it."""
    return Typed(form.text(name), form.text(name + WAS), form.text(name + OFFSET))


def read(given: Typed, *, zone: ZoneInfo, now: datetime) -> str:
    """The moment that is meant, as RFC 3339; '' for an empty field; what is no time of ours comes back as it is.

    Takes `2026-03-02T14:20` in the zone, `14:20` for the next time that the clock says so, either with the zone's
    abbreviation or an offset behind it. Raises TimeProblem for a time that the zone's clocks leave out, and for one
    that they show twice while nobody has chosen.
    """
    text = given.text.strip()
    kept = _kept(given, zone)
    if kept is not None and given.offset in ("", _offset(kept.astimezone(zone))):
        return given.was
    match = _TYPED.fullmatch(text)
    if match is None or _RFC3339.fullmatch(text):
        return text
    try:
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
        day = datetime.fromisoformat(match["day"]) if match["day"] else None
        clock = timedelta(hours=hour, minutes=minute, seconds=second)
        if hour > 23 or minute > 59 or second > 59:
            return text
        said = _Said((match["name"] or "").upper(), (match["offset"] or "").strip("()"), given.offset)
        if day is not None:
            return _moment(day + clock, said, zone).isoformat()
        return _next(clock, said, zone, now).isoformat()
    except TimeProblem:
        raise
    except (ValueError, OverflowError):
        return text


@dataclass(frozen=True)
class _Said:
    """What tells two moments apart: a zone's abbreviation or an offset that was typed, or the choice in the form."""

    name: str
    offset: str
    chosen: str


def _kept(given: Typed, zone: ZoneInfo) -> datetime | None:
    """The moment that the field showed at first, when what stands in it is still that."""
    try:
        moment = datetime.fromisoformat(given.was)
        same = moment.tzinfo is not None and _local(given.text) == _local(text_of(moment, zone))
    except (ValueError, OverflowError):
        return None
    return moment if same else None


def _local(text: str) -> datetime | None:
    """`2026-03-02T14:20` without a zone."""
    match = _TYPED.fullmatch(text.strip())
    if match is None or not match["day"] or match["name"] or match["offset"]:
        return None
    try:
        return datetime.fromisoformat(f"{match['day']}T{int(match['hour']):02d}:{match['minute']}") + timedelta(
            seconds=int(match["second"] or 0)
        )
    except ValueError:
        return None


def _moment(there: datetime, said: _Said, zone: ZoneInfo) -> datetime:
    """The moment at which the zone's clocks say `there`."""
    if said.offset or said.name in ("Z", "UTC", "GMT"):
        return datetime.fromisoformat(f"{there:%Y-%m-%dT%H:%M:%S}{said.offset or 'Z'}")
    found = _candidates(there, zone)
    if not found:
        raise TimeProblem(_left_out(there, zone))
    if said.name:
        found = [moment for moment in found if zone_name(moment).upper() == said.name]
        if not found:
            raise ValueError("another zone's name")
    elif len(found) > 1 and (chosen := [moment for moment in found if _offset(moment) == said.chosen]):
        found = chosen
    if len(found) > 1:
        first, second = (_choice_label(moment) for moment in found)
        raise TimeProblem(f"comes twice that day, as clocks go back; choose {first} or {second}")
    return found[0]


def _next(clock: timedelta, said: _Said, zone: ZoneInfo, now: datetime) -> datetime:
    """The next time that the clock says so. A day on which it is left out is asked about, never skipped."""
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    there = today + clock
    ahead = [moment for moment in _candidates(there, zone) if moment.astimezone(UTC) > now]
    if len(ahead) == 1 and not said.name and not said.offset:
        return ahead[0]
    if ahead or (not _candidates(there, zone) and _gap_end(there, zone).astimezone(UTC) > now):
        return _moment(there, said, zone)
    return _moment(there + timedelta(days=1), said, zone)


def _candidates(there: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every moment at which the zone's clocks say `there`, the earlier first: none, one or two."""
    found = [there.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    real = [moment for moment in found if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == there]
    return real[:1] if len(real) == 2 and real[0].utcoffset() == real[1].utcoffset() else real


def _twice(there: datetime, zone: ZoneInfo) -> list[datetime]:
    try:
        found = _candidates(there, zone)
    except OverflowError:
        return []
    return found if len(found) > 1 else []


def _gap_end(there: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after the hour that was left out, for a time in it."""
    before, after = (there.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.astimezone(zone)


def _left_out(there: datetime, zone: ZoneInfo) -> str:
    first = _gap_end(there, zone)
    last = first.astimezone(UTC) - timedelta(seconds=1)
    old = last.astimezone(zone)
    from_clock = (old.replace(tzinfo=None) + timedelta(seconds=1)).strftime("%H:%M")
    return (
        f"does not exist on {there.day} {there:%b}: clocks go forward from {from_clock} {zone_name(old)} to "
        f"{first:%H:%M} {zone_name(first)}; the next time that exists is {first:%H:%M} {zone_name(first)}"
    )


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]


def _choice_label(moment: datetime) -> str:
    return f"{moment:%H:%M} {zone_name(moment)} ({_offset(moment)})"
