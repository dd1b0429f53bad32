"""What the pages work out without a database: times in words, bars, curves, times that were typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.board import page_chart, page_words
from app.deliveries.status import STATUSES
from app.web import time_field, times
from app.web.time_field import TimeProblem, Typed

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (1, "just now"),
        (45, "in 45 s"),
        (89, "in 89 s"),
        (90, "in 1 min"),
        (359, "in 5 min"),
        (5399, "in 89 min"),
        (5400, "in 1 h"),
        (-40, "40 s ago"),
        (-7200, "2 h ago"),
        (-200_000, "2 days ago"),
    ],
)
def test_how_far_away_something_is(seconds: int, said: str) -> None:
    assert times.relative(NOW + timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("moment", "zone", "said"),
    [
        (NOW, ZoneInfo("UTC"), "03:00 UTC"),
        (NOW, PARIS, "04:00 CET"),
        (NOW + timedelta(days=1), PARIS, "Tue 04:00 CET"),
        (NOW + timedelta(days=30), PARIS, "1 Apr 05:00 CEST"),
        (NOW - timedelta(days=90), PARIS, "2 Dec 2025 04:00 CET"),
        (NOW, ZoneInfo("Asia/Kathmandu"), "08:45 UTC+05:45"),
    ],
)
def test_a_time_says_its_zone_and_its_day(moment: datetime, zone: ZoneInfo, said: str) -> None:
    assert times.clock(moment, zone=zone, now=NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1200, "20 min"), (3600, "1 h"), (86400, "1 day"), (172800, "2 days"), (90, "90 s"), (0.5, "0 s")],
)
def test_an_agreed_time_is_never_rounded_to_another_unit(seconds: float, said: str) -> None:
    assert times.exactly(seconds) == said


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("2026-03-02T14:20", "2026-03-02T14:20:00+01:00"),
        ("2026-07-02 14:20", "2026-07-02T14:20:00+02:00"),
        ("5:00", "2026-03-02T05:00:00+01:00"),
        ("14.20", "2026-03-02T14:20:00+01:00"),
        ("03:59", "2026-03-03T03:59:00+01:00"),
        ("2026-03-02T14:20:00Z", "2026-03-02T14:20:00Z"),
        ("25:00", "25:00"),
        ("2026-13-02T14:20", "2026-13-02T14:20"),
        ("soon", "soon"),
    ],
)
def test_a_typed_time_is_the_houses(typed: str, read: str) -> None:
    assert time_field.read(Typed(typed), zone=PARIS, now=NOW) == read


@pytest.mark.parametrize(
    "stored",
    [
        "2026-10-25T00:30:12.345678+00:00",  # the first 02:30 of that night
        "2026-10-25T01:30:12.345678+00:00",  # the second
        "2026-10-25T02:30:00+01:00",
        "2026-03-02T14:20:59.000001Z",
        "2026-03-29T01:00:00+00:00",  # the first moment after the hour that is left out
    ],
)
def test_a_time_that_nobody_touches_keeps_its_instant(stored: str) -> None:
    field = time_field.of_moment(stored, PARIS)
    for chosen in {"", field.chosen}:
        assert time_field.read(Typed(field.text, field.was, chosen), zone=PARIS, now=NOW) == stored


def test_a_time_in_the_hour_that_comes_twice_is_asked_about() -> None:
    with pytest.raises(TimeProblem, match=r"02:30 CEST \(\+02:00\) or 02:30 CET \(\+01:00\)"):
        time_field.read(Typed("2026-10-25T02:30"), zone=PARIS, now=NOW)
    field = time_field.of_typed(Typed("2026-10-25T02:30"), PARIS)
    assert [choice.label for choice in field.choices] == ["02:30 CEST (+02:00)", "02:30 CET (+01:00)"]
    for choice in field.choices:
        read = time_field.read(Typed(field.text, "", choice.offset), zone=PARIS, now=NOW)
        assert read == f"2026-10-25T02:30:00{choice.offset}"


def test_choosing_the_other_of_two_times_changes_the_moment() -> None:
    field = time_field.of_moment("2026-10-25T00:30:12+00:00", PARIS)
    assert field.chosen == "+02:00"
    assert time_field.read(Typed(field.text, field.was, "+01:00"), zone=PARIS, now=NOW) == "2026-10-25T02:30:00+01:00"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("2026-10-25T02:30+01:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25 02:30 CET", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25 02:30 cest", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 02:30 CEST (+02:00)", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 02:30 UTC", "2026-10-25T02:30:00+00:00"),
        ("2026-10-25T03:00", "2026-10-25T03:00:00+01:00"),
        ("2026-10-25T01:59", "2026-10-25T01:59:00+02:00"),
        ("2026-07-02 14:20 CET", "2026-07-02 14:20 CET"),  # no clock here says that in July
        ("14:20 CET", "2026-03-02T14:20:00+01:00"),
    ],
)
def test_a_time_is_taken_with_its_offset_or_its_zone(typed: str, read: str) -> None:
    assert time_field.read(Typed(typed), zone=PARIS, now=NOW) == read


@pytest.mark.parametrize(
    ("typed", "zone", "next_one"),
    [
        ("2026-03-29T02:30", "Europe/Paris", "03:00 CEST"),
        ("2026-03-29T02:00", "Europe/Paris", "03:00 CEST"),
        ("2026-03-29 02:59", "Europe/Paris", "03:00 CEST"),
        ("2026-03-08T02:15", "America/Chicago", "03:00 CDT"),
        ("2026-10-04T02:10", "Australia/Lord_Howe", "02:30 UTC+11:00"),
    ],
)
def test_a_time_that_does_not_exist_is_refused_with_the_next_one_that_does(
    typed: str, zone: str, next_one: str
) -> None:
    with pytest.raises(TimeProblem, match=rf"does not exist.*next time that exists is {re.escape(next_one)}$"):
        time_field.read(Typed(typed), zone=ZoneInfo(zone), now=NOW)


@pytest.mark.parametrize(
    ("now", "read"),
    [
        (datetime(2026, 10, 25, 0, 40, tzinfo=UTC), "2026-10-25T02:30:00+01:00"),  # the first has passed
        (datetime(2026, 10, 25, 1, 40, tzinfo=UTC), "2026-10-26T02:30:00+01:00"),
        (datetime(2026, 3, 29, 1, 40, tzinfo=UTC), "2026-03-30T02:30:00+02:00"),
    ],
)
def test_a_bare_clock_time_near_a_change_of_clocks(now: datetime, read: str) -> None:
    assert time_field.read(Typed("02:30"), zone=PARIS, now=now) == read


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "comes twice"),
        (datetime(2026, 3, 29, 0, 40, tzinfo=UTC), "does not exist"),
    ],
)
def test_a_bare_clock_time_that_cannot_be_told_is_asked_about(now: datetime, why: str) -> None:
    with pytest.raises(TimeProblem, match=why):
        time_field.read(Typed("02:30"), zone=PARIS, now=now)


@given(st.integers(946_684_800_000_000, 2_114_380_800_000_000))
def test_whatever_the_moment_a_field_gives_back_the_same(microseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    field = time_field.of_moment(moment, PARIS)
    read = time_field.read(Typed(field.text, field.was, field.chosen), zone=PARIS, now=NOW)
    assert datetime.fromisoformat(read) == moment


@given(st.fixed_dictionaries({status: st.integers(0, 5000) for status in STATUSES}))
def test_a_bar_shows_everybody_once(counts: dict[str, int]) -> None:
    tally = page_chart.tally(counts)
    parts = ("answered", "waiting", "trying", "unreachable", "stopped")
    assert sum(tally[part] for part in parts) == tally["total"] == sum(counts.values())
    bar = page_chart.bar(tally)
    assert sum(float(part.width[:-1]) for part in bar) <= 100.1
    assert all(part.count for part in bar)


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 50)), max_size=60),
    st.lists(st.integers(0, 200_000), max_size=5),
    st.integers(0, 400_000),
)
def test_the_table_behind_the_curve_adds_up(answers: list[tuple[int, int]], sends: list[int], later: int) -> None:
    def rows(found: list[Any], **more: Any) -> list[Any]:
        return [{"at": NOW + timedelta(seconds=at), "people": people, **more} for at, people in sorted(found)]

    total = sum(people for _, people in answers) + 5
    curve = page_chart.curve(
        start=NOW, now=NOW + timedelta(seconds=later), total=total, answers=rows(answers),
        sends=rows([(at, 1) for at in sends], channel="sms"),
    )  # fmt: skip
    assert curve.rows[-1].answered == sum(people for _, people in answers) == curve.answered
    assert [row.until for row in curve.rows] == sorted(row.until for row in curve.rows)
    assert len(curve.rows) <= page_chart.MOST_ROWS + 1
    assert all(0 <= float(mark.x[:-1]) <= 100 for mark in curve.marks)


def test_the_account_leaves_out_what_is_nothing() -> None:
    counts = page_chart.tally(dict.fromkeys(STATUSES, 0) | {"acknowledged": 600})
    assert " ".join(clause.text for clause in page_words.account(counts, 0)) == (
        "600 of 600 have answered. Nobody needs help."
    )


@pytest.mark.parametrize(
    ("channels", "total", "drill", "said"),
    [
        ({"sms": 412, "email": 37}, 450, False, "Text 412 people, email 37"),
        ({"sms": 1}, 1, False, "Text 1 person"),
        ({"email": 1200}, 1200, False, "Email 1,200 people"),
        ({"sms": 3, "email": 1, "voice": 2}, 6, True, "Drill: text 3 people, email 1, call 2"),
        ({}, 4, False, "Record it for 4 people whom no message can reach"),
    ],
)
def test_the_button_says_what_it_will_do(channels: dict[str, int], total: int, drill: bool, said: str) -> None:
    assert page_words.send_button(channels, total, drill=drill) == said


def test_a_timeline_entry_of_a_kind_not_known_here_is_still_shown() -> None:
    assert page_words.entry("moon_landed", {}, None) == "Moon landed"
    assert page_words.entry("bulletin_sent", {}, None) == "Bulletin sent", "nor does a missing figure break the page"


@pytest.mark.parametrize(
    ("routes", "flagged", "left"),
    [
        ({"sms": "+12062000001"}, {"a@example.org"}, ["text"]),
        ({"sms": "+12062000002", "email": "a@example.org"}, {"+12062000001"}, ["text to another number", "email"]),
        ({"voice": "+12062000001"}, {"+12062000001"}, ["call"]),
        ({}, {"+12062000001"}, []),
    ],
)
def test_what_still_reaches_somebody_is_named(routes: dict[str, str], flagged: set[str], left: list[str]) -> None:
    assert page_words.ways_left(routes, flagged) == left
