"""Facts: what the commander fills in. Validates, formats and fills in values. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from app.playbooks.problems import did_you_mean, joined, listed, shown
from app.playbooks.schema import SITES, Fact, Playbook
from app.playbooks.template import UnknownNameError, is_control, neutral, render

__all__ = [
    "FactProblem", "UnknownNameError", "examples", "fact_texts", "format_fact", "from_text", "latest_passed",
    "render", "validate_facts", "validate_value",
]  # fmt: skip

SITE_TEXT_MAX: Final = 60
"""Characters that names from the directory take in a text, unless the fact's `max` says otherwise."""

_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAY_IS_CLEAR: Final = 6  # days: "Sat" a week ahead would be read as this Saturday
_ROUND_TO: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class FactProblem:
    """One fact that cannot be taken as given; `what` follows the name in a sentence and says what would be right."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name} {self.what}"


class _WrongError(Exception):
    """A value that its fact refuses; `args[0]` says what would be right."""


def validate_facts(
    playbook: Playbook,
    given: Mapping[str, Any],
    *,
    previous: Mapping[str, Any] | None = None,
    sites: Sequence[str],
    now: datetime,
    partial: bool = False,
) -> tuple[dict[str, Any], list[FactProblem]]:
    """What holds after `given` is laid over `previous` (the incident's latest), and everything wrong with it.

    Values are JSON: str, int, float, a list of str; times are RFC 3339 with an offset. None takes the previous value
    back, and a name that is not given leaves it. `sites` are the directory's. With `partial`, missing facts are not
    reported. The answer holds only good values, in the playbook's order; an optional fact that was not given is absent.
    """
    problems: list[FactProblem] = []
    taken: dict[str, Any] = {}
    for name, value in given.items():
        fact = playbook.facts.get(name)
        if fact is None:
            known = listed(playbook.facts) or "none"
            hint = did_you_mean(name, playbook.facts) or f"; its facts are {known}"
            problems.append(FactProblem(shown(name), f"is not a fact of this playbook{hint}"))
            continue
        try:
            clean = _cleaned(fact, value, sites, now)
        except _WrongError as wrong:
            problems.append(FactProblem(name, str(wrong.args[0])))
        else:
            taken[name] = clean
    earlier = previous or {}
    complained = {problem.name for problem in problems}
    merged: dict[str, Any] = {}
    for name, fact in playbook.facts.items():
        value = taken[name] if name in taken else earlier.get(name)
        if value is not None:
            merged[name] = value
        elif fact.required and not partial and name not in complained:
            problems.append(FactProblem(name, f"is missing; give {_wanted(fact, sites, now)}"))
    return merged, problems


def validate_value(fact: Fact, value: object, *, sites: Sequence[str], now: datetime) -> tuple[Any, str | None]:
    """One value as it would be kept, and what is wrong with it (None when nothing is)."""
    try:
        return _cleaned(fact, value, sites, now), None
    except _WrongError as wrong:
        return None, str(wrong.args[0])


def latest_passed(playbook: Playbook, values: Mapping[str, Any], *, zone: ZoneInfo, now: datetime) -> list[FactProblem]:
    """The times that must lie ahead (`future: true`) and no longer do: a stale next update, most often."""
    stale = []
    for name, fact in playbook.facts.items():
        if fact.type == "time" and fact.future and name in values and _instant(values[name]) <= now:
            said = format_fact(fact, values[name], zone=zone, now=now)
            stale.append(FactProblem(name, f"was {said}, which has passed; give {_wanted(fact, (), now)}"))
    return stale


def _cleaned(fact: Fact, value: object, sites: Sequence[str], now: datetime) -> Any:
    """The value as kept, or None when it counts as not given. Raises _WrongError."""
    if value is None:
        return None
    if fact.type == "text":
        return _text(fact, value, sites, now)
    if fact.type == "choice":
        return _choice(fact, value, sites, now)
    if fact.type == "number":
        return _number(fact, value, sites, now)
    return _time(fact, value, sites, now)


def _text(fact: Fact, value: object, sites: Sequence[str], now: datetime) -> str | None:
    if not isinstance(value, str):
        raise _WrongError(f"must be text in quotes; give {_wanted(fact, sites, now)}")
    text = value.strip()
    if any(is_control(c) for c in text):
        raise _WrongError("holds a line break or a control character; write it in one line")
    if not any(c.isprintable() and not c.isspace() for c in text):
        if fact.required:
            raise _WrongError(f"is empty; give {_wanted(fact, sites, now)}")
        return None
    longest = int(fact.max or 0)
    if len(text) > longest:
        raise _WrongError(f"has {len(text)} characters; shorten it by {len(text) - longest} to at most {longest}")
    return text


def _choice(fact: Fact, value: object, sites: Sequence[str], now: datetime) -> str | list[str] | None:
    choices = _choices(fact, sites)
    by_folded = {_folded(choice): choice for choice in choices}
    if isinstance(value, list):
        if not fact.many:
            raise _WrongError(f"takes one choice, not a list; give {_wanted(fact, sites, now)}")
        asked = value
    else:
        asked = [value]
    found: list[str] = []
    for item in asked:
        if not isinstance(item, str):
            raise _WrongError(f"must be text in quotes; give {_wanted(fact, sites, now)}")
        choice = by_folded.get(_folded(item))
        if choice is None:
            kind = "a site in the directory" if fact.from_ == SITES else "one of the choices"
            hint = did_you_mean(item, choices) or f"; give {_wanted(fact, sites, now)}"
            raise _WrongError(f'holds "{shown(item)}", which is not {kind}{hint}')
        found.append(choice)
    if not found:
        if fact.required:
            raise _WrongError(f"is empty; give {_wanted(fact, sites, now)}")
        return None
    return list(dict.fromkeys(found)) if fact.many else found[0]


def _number(fact: Fact, value: object, sites: Sequence[str], now: datetime) -> int | float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise _WrongError(f"must be a number without quotes; give {_wanted(fact, sites, now)}")
    low, high = number_bounds(fact)
    if not low <= value <= high:
        raise _WrongError(f"is out of range; give {_wanted(fact, sites, now)}")
    exact = Decimal(str(value))
    if exact != round(exact, fact.decimals):
        raise _WrongError(f"has too many decimals; give {_wanted(fact, sites, now)}")
    return int(value) if float(value).is_integer() else value


def _time(fact: Fact, value: object, sites: Sequence[str], now: datetime) -> str:
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise _WrongError(f"is not a time; give {_wanted(fact, sites, now)}")
    day, minutes, seconds, offset = match.groups()
    if offset is None:
        raise _WrongError(f"has no offset, so it means another time at every site; give {_wanted(fact, sites, now)}")
    text = f"{day}T{minutes}{seconds or ':00'}{offset.upper()}"
    try:
        instant = _instant(text)
    except (ValueError, OverflowError):
        raise _WrongError(f"is no time of any calendar; give {_wanted(fact, sites, now)}") from None
    if not 2000 <= instant.year <= 9000:
        raise _WrongError(f"is not a time of our days; give {_wanted(fact, sites, now)}")
    if fact.future and instant <= now:
        raise _WrongError(f"has passed already; give {_wanted(fact, sites, now)}")
    return text


def _wanted(fact: Fact, sites: Sequence[str], now: datetime) -> str:
    """What would be right for a fact, in words that follow "give"."""
    if fact.type == "text":
        return f'text of at most {int(fact.max or 0)} characters, such as "{fact.example}"'
    if fact.type == "choice":
        choices = _choices(fact, sites)
        what = "a site" if fact.from_ == SITES else "one"
        if not choices:
            return "a site of the directory (it has none yet; import people first)"
        return f"{'one or more' if fact.many else what} of {listed(choices)}"
    if fact.type == "number":
        low, high = number_bounds(fact)
        kind = f"a number with at most {fact.decimals} decimals" if fact.decimals else "a whole number"
        return f"{kind} from {format_digits(low)} to {format_digits(high)}, such as {fact.example}"
    ahead = " that lies ahead" if fact.future else ""
    return f"a time{ahead} with its offset from UTC, such as {_soon(now, timedelta(hours=1))}"


def _choices(fact: Fact, sites: Iterable[str]) -> list[str]:
    return list(sites) if fact.from_ == SITES else list(fact.choices or [])


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def number_bounds(fact: Fact) -> tuple[int | float, int | float]:
    """The smallest and the largest value of a number; 0 is the smallest unless `min` says otherwise."""
    return fact.min if fact.min is not None else 0, fact.max if fact.max is not None else 0


def _instant(value: object) -> datetime:
    """An RFC 3339 text as an aware datetime in UTC. Raises ValueError or OverflowError."""
    instant = datetime.fromisoformat(str(value))
    if instant.tzinfo is None:
        raise ValueError("a time without an offset")
    return instant.astimezone(UTC)


def format_digits(value: int | float | Decimal) -> str:
    """Digits as people write them: no exponent, no trailing .0."""
    exact = Decimal(str(value))
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_fact(fact: Fact, value: Any, *, zone: ZoneInfo, now: datetime) -> str:
    """The value in words, as scripts show it; an absent one is the fact's `default`, or empty.

    A time is absolute with its zone: `14:20 CET`, on another day of this week `Sat 14:20 CET`, beyond that
    `25 Sep 14:20 CET`, in another year with the year; a zone without a name is `UTC+05:30`.
    """
    if value is None:
        return fact.default or ""
    if fact.type == "time":
        return _time_text(_instant(value), zone, now)
    if fact.type == "number":
        return with_unit(fact, format_digits(value))
    if fact.type == "choice":
        names = [str(name) for name in value] if isinstance(value, list) else [str(value)]
        return names_within(names, room(fact)) if fact.from_ == SITES else joined(names)
    return neutral(str(value))


def with_unit(fact: Fact, digits: str) -> str:
    """`50 EUR`, `12%`: a unit that begins with a letter or digit stands apart."""
    if not fact.unit:
        return digits
    return f"{digits} {fact.unit}" if fact.unit[0].isalnum() else f"{digits}{fact.unit}"


def room(fact: Fact) -> int:
    """The characters that a choice from the directory may take in a text."""
    return int(fact.max) if fact.max is not None else SITE_TEXT_MAX


def names_within(names: list[str], longest: int) -> str:
    """`A, B and C`, or as many as fit: `A, B and 5 more`; never longer than `longest`, which is at least 10."""
    if len(joined(names)) <= longest:
        return joined(names)
    for kept in range(len(names) - 1, 0, -1):
        text = f"{', '.join(names[:kept])} and {len(names) - kept} more"
        if len(text) <= longest:
            return text
    return f"{names[0][: longest - 3]}..." if len(names) == 1 else f"{len(names)} sites"


def _time_text(instant: datetime, zone: ZoneInfo, now: datetime) -> str:
    there, today = instant.astimezone(zone), now.astimezone(zone).date()
    clock = f"{there:%H:%M} {_zone_text(there)}"
    days = abs((there.date() - today).days)
    if days == 0:
        return clock
    if days <= _WEEKDAY_IS_CLEAR:
        return f"{_DAYS[there.weekday()]} {clock}"
    day = f"{there.day} {_MONTHS[there.month - 1]}"
    return f"{day} {clock}" if there.year == today.year else f"{day} {there.year} {clock}"


def _zone_text(there: datetime) -> str:
    name = there.tzname() or ""
    if name.isascii() and name.isalpha() and len(name) <= 5:
        return name
    offset = there.utcoffset() or timedelta(0)
    minutes = abs(round(offset.total_seconds() / 60))
    return f"UTC{'-' if offset < timedelta(0) else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


LONGEST_TIME: Final = "25 Sep 2027 14:20 UTC+05:45"


def fact_texts(
    playbook: Playbook, values: Mapping[str, Any], *, zone: ZoneInfo, now: datetime, severity: str, incident: str
) -> dict[str, str]:
    """Every name that a script may use, with its text: all declared facts and the built-ins. Ready for `render`."""
    texts = {name: format_fact(fact, values.get(name), zone=zone, now=now) for name, fact in playbook.facts.items()}
    return texts | {"severity": severity, "incident": incident}


def _soon(now: datetime, ahead: timedelta) -> str:
    """`now` and `ahead`, rounded up to five minutes, as RFC 3339 in UTC."""
    then = now.astimezone(UTC) + ahead
    over = (then - datetime.min.replace(tzinfo=UTC)) % _ROUND_TO
    return f"{then + (_ROUND_TO - over if over else timedelta(0)):%Y-%m-%dT%H:%M:%SZ}"


def examples(playbook: Playbook, *, sites: Sequence[str], now: datetime) -> dict[str, Any]:
    """A value for each fact that, together, make a valid declaration right now.

    A time that must lie ahead is the default severity's next update, any other has just passed, both in UTC; a site
    choice is the directory's first sites, None without any. Only a required site choice in an empty directory has no
    valid example.
    """
    found: dict[str, Any] = {}
    for name, fact in playbook.facts.items():
        if fact.type == "time":
            found[name] = _soon(now, playbook.cadence(playbook.default_severity) if fact.future else -_ROUND_TO)
        elif fact.from_ == SITES:
            found[name] = (list(sites[:2]) if fact.many else sites[0]) if sites else None
        else:
            found[name] = fact.example
    return found


def from_text(fact: Fact, text: str) -> Any:
    """What somebody typed for a fact (`--fact NAME=VALUE`, a form's field) as the JSON value that is validated.

    A number's digits become a number; several choices are split at commas, unless the text as a whole is one choice.
    What cannot be read stays text, so that validation says what would be right.
    """
    typed = text.strip()
    if not typed:
        return None
    if fact.type == "number":
        if re.fullmatch(r"[-+]?\d{1,15}", typed, re.ASCII):
            return int(typed)
        return float(typed) if re.fullmatch(r"[-+]?\d{1,15}\.\d{1,15}", typed, re.ASCII) else typed
    if fact.type == "choice" and fact.many and _folded(typed) not in {_folded(c) for c in fact.choices or []}:
        separator = ";" if ";" in typed else ","
        return [part.strip() for part in typed.split(separator) if part.strip()]
    return typed
