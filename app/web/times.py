"""Times as pages write them: absolute with the zone, and how far away. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAY_IS_CLEAR: Final = 6  # days: "Sat" a week away would be read as this Saturday


def clock(moment: datetime, *, zone: ZoneInfo, now: datetime, seconds: bool = False) -> str:
    """`14:20 CET`; on another day of this week `Sat 14:20 CET`; beyond that with the date, and the year if another."""
    there, today = moment.astimezone(zone), now.astimezone(zone).date()
    text = f"{there:{'%H:%M:%S' if seconds else '%H:%M'}} {zone_name(there)}"
    days = abs((there.date() - today).days)
    if days == 0:
        return text
    if days <= _WEEKDAY_IS_CLEAR:
        return f"{_DAYS[there.weekday()]} {text}"
    day = f"{there.day} {_MONTHS[there.month - 1]}"
    return f"{day} {text}" if there.year == today.year else f"{day} {there.year} {text}"


def day(moment: datetime, *, zone: ZoneInfo) -> str:
    """`7 Mar 2026`."""
    there = moment.astimezone(zone)
    return f"{there.day} {_MONTHS[there.month - 1]} {there.year}"


def zone_name(there: datetime) -> str:
    """`CET`; a zone without a name is `UTC+05:30`."""
    name = there.tzname() or ""
    if name.isascii() and name.isalpha() and len(name) <= 5:
        return name
    minutes = round((there.utcoffset() or timedelta()).total_seconds() / 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def relative(moment: datetime, now: datetime) -> str:
    """`in 6 min`, `40 s ago`, `just now`. The page's script counts on by the same rule."""
    seconds = round((moment - now).total_seconds())
    if abs(seconds) < 2:
        return "just now"
    size = span(abs(seconds))
    return f"in {size}" if seconds > 0 else f"{size} ago"


def span(seconds: float) -> str:
    """A length of time in one unit: `45 s` to 90 s, `6 min` to 90 min, `3 h` to 36 h, then days."""
    whole = int(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 90 * 60:
        return f"{whole // 60} min"
    if whole < 36 * 3600:
        return f"{whole // 3600} h"
    return f"{whole // 86400} days"


def exactly(seconds: float) -> str:
    """A length of time without loss, for what was agreed: `20 min`, `1 h`, `90 s`, `1 day`."""
    whole = round(seconds)
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if whole and whole % size == 0:
            count = whole // size
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{whole} s"
