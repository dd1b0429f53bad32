"""Quiet hours, by each person's own clock. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.channels.kinds import RINGING
from app.directory.time_zones import zone_name
from app.playbooks.schema import QuietHours

WAITING_CHANNELS = RINGING
"""What rings or buzzes. A mail wakes nobody."""


def zone_of(name: str | None, house: ZoneInfo) -> ZoneInfo:
    """A person's time zone, however the directory spells it; the installation's where it has none that exists."""
    wanted = zone_name(name)
    return ZoneInfo(wanted) if wanted else house


def windows(quiet: QuietHours, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Every quiet window (start, end; UTC) that touches the time from `since` to `until`, in order.

    Where clocks are put back, a time that comes twice begins with the first and ends with the second: the hour between
    is quiet. Where they are put forward, a time that is left out ends after the gap.
    """
    day = since.astimezone(zone).date() - timedelta(days=1)
    last = until.astimezone(zone).date()
    over = timedelta(days=1) if quiet.to < quiet.from_ else timedelta(0)
    while day <= last:
        start, end = min(_moments(day, quiet.from_, zone)), max(_moments(day + over, quiet.to, zone))
        if start < end and end > since and start <= until:
            yield start, end
        day += timedelta(days=1)


def quiet_until(quiet: QuietHours | None, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """When the quiet hours end in which a moment lies; None when it lies in none. An end is not quiet any more."""
    if quiet is None:
        return None
    return next((end for start, end in windows(quiet, zone, moment, moment) if start <= moment < end), None)


def _moments(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The one or two moments at which the clocks of a zone say so."""
    local = datetime.combine(day, at, zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)
