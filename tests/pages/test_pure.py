"""What the pages work out without a database: times in words, bars, curves, times that were typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.board import page_chart, page_words
from app.board.page_facts import read_time
from app.deliveries.status import STATUSES
from app.web import times

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
    assert read_time(typed, zone=PARIS, now=NOW) == read


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
