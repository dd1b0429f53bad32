"""Quiet hours by each person's own clock: midnight, time zones, and the two nights a year when clocks are moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.playbooks.rules import quiet_until, windows, zone_of
from app.playbooks.schema import QuietHours

NIGHT = QuietHours.model_validate({"from": "22:00", "to": "07:00"})
NOON = QuietHours.model_validate({"from": "12:00", "to": "13:30"})
BERLIN, LONDON, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London"), ZoneInfo("Asia/Tokyo")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet", "zone", "moment", "until"),
    [
        (NIGHT, LONDON, "2026-01-10T21:59:59", None),
        (NIGHT, LONDON, "2026-01-10T22:00", "2026-01-11T07:00"),
        (NIGHT, LONDON, "2026-01-11T00:00", "2026-01-11T07:00"),
        (NIGHT, LONDON, "2026-01-11T06:59:59", "2026-01-11T07:00"),
        (NIGHT, LONDON, "2026-01-11T07:00", None),
        (NIGHT, LONDON, "2025-12-31T23:30", "2026-01-01T07:00"),
        (NIGHT, TOKYO, "2026-01-10T13:00", "2026-01-10T22:00"),
        (NIGHT, TOKYO, "2026-01-10T22:00", None),
        (NOON, LONDON, "2026-01-10T12:15", "2026-01-10T13:30"),
        (NOON, LONDON, "2026-01-10T11:59", None),
        # Clocks go forward at 01:00 UTC on 29 March 2026: that night is an hour shorter.
        (NIGHT, BERLIN, "2026-03-28T21:00", "2026-03-29T05:00"),
        # Clocks go back at 01:00 UTC on 25 October 2026: that night is an hour longer.
        (NIGHT, BERLIN, "2026-10-24T20:00", "2026-10-25T06:00"),
        (NIGHT, BERLIN, "2026-10-25T05:59", "2026-10-25T06:00"),
    ],
)
def test_quiet_hours_end_by_the_persons_own_clock(
    quiet: QuietHours, zone: ZoneInfo, moment: str, until: str | None
) -> None:
    assert quiet_until(quiet, zone, at(moment)) == (at(until) if until else None)


def test_a_time_that_comes_twice_is_quiet_from_the_first_to_the_second() -> None:
    twice = QuietHours.model_validate({"from": "02:15", "to": "02:45"})
    # 02:15 to 02:45 is 00:15 to 00:45 UTC and again 01:15 to 01:45 UTC: nobody is called in between.
    assert list(windows(twice, BERLIN, at("2026-10-25T00:00"), at("2026-10-25T03:00"))) == [
        (at("2026-10-25T00:15"), at("2026-10-25T01:45"))
    ]


def test_a_time_that_is_left_out_ends_after_the_gap() -> None:
    gap = QuietHours.model_validate({"from": "01:00", "to": "02:30"})
    [(start, end)] = windows(gap, BERLIN, at("2026-03-29T00:00"), at("2026-03-29T03:00"))
    assert (start, end) == (at("2026-03-29T00:00"), at("2026-03-29T01:30"))


def test_windows_never_overlap_and_cover_every_quiet_moment_of_a_year() -> None:
    since = at("2026-01-01T00:00")
    found = list(windows(NIGHT, BERLIN, since, since + timedelta(days=365)))
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    moment = since
    while moment < since + timedelta(days=365):
        local = moment.astimezone(BERLIN)
        inside = any(start <= moment < end for start, end in found if start <= moment)
        assert inside == (local.hour >= 22 or local.hour < 7), local
        moment += timedelta(hours=5, minutes=17)


@pytest.mark.parametrize(
    "name", ["", None, "  ", "Nowhere/Atall", "../../etc/passwd", "Europe", "x" * 5000, "a\0b", "Mars/Base"]
)
def test_a_zone_that_does_not_exist_is_the_installations(name: str | None) -> None:
    assert zone_of(name, BERLIN) is BERLIN


def test_a_persons_zone_is_their_own() -> None:
    assert zone_of(" Asia/Tokyo ", BERLIN) == TOKYO


def test_without_quiet_hours_nothing_is_quiet() -> None:
    assert quiet_until(None, BERLIN, at("2026-01-01T03:00")) is None
