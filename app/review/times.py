"""Times as the record keeps them and as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def ms(moment: datetime) -> datetime:
    """In UTC, cut to the millisecond, so that the seconds between two times are exactly those shown."""
    there = moment.astimezone(UTC)
    return there.replace(microsecond=there.microsecond // 1000 * 1000)


def ms_or_none(moment: datetime | str | None) -> datetime | None:
    """The same for a column that may be empty, or for a time out of a JSON document."""
    if moment is None:
        return None
    return ms(datetime.fromisoformat(moment) if isinstance(moment, str) else moment)


def rfc3339(moment: datetime) -> str:
    """`2026-03-02T03:00:05.250Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """From `start` to `end`; None unless both have happened."""
    return (end - start).total_seconds() if start is not None and end is not None else None


def readable(moment: datetime, zone: ZoneInfo) -> str:
    """`2026-03-02 04:00:05 CET`; a zone without a name of letters as `UTC+05:30`."""
    there = moment.astimezone(zone)
    name = there.tzname() or ""
    if not (name.isascii() and name.isalpha()):
        offset = there.utcoffset() or timedelta()
        minutes = abs(round(offset.total_seconds() / 60))
        name = f"UTC{'-' if offset < timedelta() else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{there:%Y-%m-%d %H:%M:%S} {name}"


def span(length: float) -> str:
    """A length of time in words, nothing rounded: `2 h 5 min 0.25 s`, `0 s`; a negative one begins with a minus."""
    thousandths = round(abs(length) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{value} {unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if value]
    if rest or not parts:
        whole, fraction = divmod(rest, 1000)
        parts.append(f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + " s" if fraction else f"{whole} s")
    return ("-" if length < 0 and thousandths else "") + " ".join(parts)
