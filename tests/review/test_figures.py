"""The pure figures: shares, medians, due times; and times and lengths as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.deliveries import reasons
from app.review import figures, times
from app.review.record import Change
from tests.review.story import at

STEPS = {
    "SEV1": timedelta(minutes=20), "SEV2": timedelta(hours=1), "SEV3": timedelta(hours=12), "SEV4": timedelta(days=1),
}  # fmt: skip
START = at("03:00:00")


def change(clock: str, after: str) -> Change:
    return Change(at(clock), None, after, "Kim")


def due(
    sent: str,
    until: str,
    severities: list[Change],
    statuses: list[Change] | None = None,
    *,
    all_clear: bool = False,
    promised: str | None = None,
) -> datetime | None:
    return figures.due_after(
        figures.Sent(1, all_clear, at(sent), at(promised) if promised else None),
        until=at(until),
        cadence=STEPS,
        severities=severities,
        statuses=statuses or [change("03:00:00", "declared")],
    )


@pytest.mark.parametrize(
    ("total", "percent", "seconds"),
    [(10, 50, 5), (10, 90, 9), (10, 100, 10), (3, 50, 2), (1, 50, 1), (7, 90, 7), (11, 90, 10), (12, 100, None),
     (20, 90, None), (0, 50, None)],
)  # fmt: skip
def test_a_share_is_attained_with_the_person_who_completes_it(total: int, percent: int, seconds: int | None) -> None:
    there = [START + timedelta(seconds=place) for place in range(11, 0, -1)][-min(total, 11) :]
    found = figures.attained(there, total, percent)
    assert found == (START + timedelta(seconds=seconds) if seconds is not None else None)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=60), st.integers(0, 20), st.sampled_from([50, 90, 100]))
def test_at_the_attained_time_the_share_is_there_and_not_before(waits: list[int], silent: int, percent: int) -> None:
    moments = [START + timedelta(seconds=wait) for wait in waits]
    total = len(waits) + silent
    found = figures.attained(moments, total, percent)
    if found is None:
        assert total == 0 or len(waits) * 100 < total * percent
    else:
        assert sum(moment <= found for moment in moments) * 100 >= total * percent
        assert sum(moment < found for moment in moments) * 100 < total * percent


def test_the_next_bulletin_is_due_by_the_severity_in_force() -> None:
    sev2 = [change("03:00:00", "SEV2")]
    assert due("03:05:00", "05:00:00", sev2) == at("04:05:00")
    # Raised in time: sooner, but never before the change itself.
    assert due("03:05:00", "05:00:00", [*sev2, change("03:10:00", "SEV1")]) == at("03:25:00")
    assert due("03:05:00", "05:00:00", [*sev2, change("03:40:00", "SEV1")]) == at("03:40:00")
    # Raised after it was due, or after the next one went out: too late to move it.
    assert due("03:05:00", "05:00:00", [*sev2, change("04:30:00", "SEV1")]) == at("04:05:00")
    assert due("03:05:00", "03:30:00", [*sev2, change("03:40:00", "SEV1")]) == at("04:05:00")
    # Lowered: later.
    sev1 = [change("03:00:00", "SEV1")]
    assert due("03:05:00", "05:00:00", [*sev1, change("03:10:00", "SEV2")]) == at("04:05:00")


def test_nothing_is_due_once_it_is_over() -> None:
    sev2, declared = [change("03:00:00", "SEV2")], change("03:00:00", "declared")
    assert due("03:05:00", "05:00:00", sev2, all_clear=True) is None
    assert due("03:05:00", "05:00:00", sev2, [declared, change("03:30:00", "closed")]) is None
    # Closed after it was due: it was missed all the same.
    assert due("03:05:00", "05:00:00", sev2, [declared, change("04:30:00", "closed")]) == at("04:05:00")
    # The status alone tells nobody: the all-clear is still owed.
    assert due("03:05:00", "05:00:00", sev2, [declared, change("03:30:00", "resolved")]) == at("04:05:00")


def test_what_was_promised_to_staff_is_due_whatever_the_severity_becomes() -> None:
    sev2 = [change("03:00:00", "SEV2")]
    assert due("03:05:00", "05:00:00", sev2, promised="03:30:00") == at("03:30:00")
    assert due("03:05:00", "05:00:00", sev2, promised="04:45:00") == at("04:45:00")
    assert due("03:05:00", "05:00:00", [*sev2, change("03:10:00", "SEV1")], promised="03:30:00") == at("03:30:00")
    assert due("03:05:00", "05:00:00", sev2, promised="03:30:00", all_clear=True) is None


def test_a_bulletin_that_is_due_and_not_sent_is_overdue() -> None:
    def overdue(as_of: str) -> bool:
        return figures.cadence(
            [figures.Sent(1, all_clear=False, sent_at=at("03:05:00"))],
            steps=STEPS,
            severities=[change("03:00:00", "SEV1")],
            statuses=[change("03:00:00", "declared")],
            as_of=at(as_of),
        ).next_overdue

    assert not overdue("03:25:00")
    assert overdue("03:25:01")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.25, "0.25 s"), (59.999, "59.999 s"), (60, "1 min"), (125.4, "2 min 5.4 s"), (3600, "1 h"),
     (90_061, "1 d 1 h 1 min 1 s"), (-60, "-1 min")],
)  # fmt: skip
def test_lengths_are_said_without_rounding(seconds: float, said: str) -> None:
    assert times.span(seconds) == said


def test_times_are_said_with_their_zone() -> None:
    moment = datetime(2026, 3, 2, 3, 0, 5, 250_999, tzinfo=UTC)
    assert times.readable(moment, ZoneInfo("Europe/Berlin")) == "2026-03-02 04:00:05 CET"
    assert times.readable(moment, ZoneInfo("Asia/Kathmandu")) == "2026-03-02 08:45:05 UTC+05:45"
    assert times.readable(moment, ZoneInfo("America/Sao_Paulo")) == "2026-03-02 00:00:05 UTC-03:00"
    assert times.rfc3339(times.ms(moment)) == "2026-03-02T03:00:05.250Z"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("ring +14155550101 now", "ring +1 *** *** 0101 now"),
        ("ring +1 (415) 555-0101, please", "ring +1 *** *** 0101, please"),
        ("+442079460000 or +14155550101", "+44 *** *** 0000 or +1 *** *** 0101"),
        ("12 sites, 5+5 tills, order 1234567890, 2026-03-02 03:00", None),
        ("3+4155550101 is a sum", None),
    ],
)
def test_numbers_in_free_text_are_masked(said: str, shown: str | None) -> None:
    assert reasons.masked(said) == (said if shown is None else shown)


def test_what_a_provider_says_never_shows_the_address() -> None:
    said = "The 'To' number 14155550105 is not valid (+14155550105)"
    assert reasons.provider_words(said, "+14155550105") == (
        "The 'To' number +1 *** *** 0105 is not valid (+1 *** *** 0105)"
    )
    mail = "5.1.1 <Ana@Example.com>: no such user, see postmaster@example.com"
    assert reasons.provider_words(mail, "ana@example.com") == (
        "5.1.1 <a***@example.com>: no such user, see p***@example.com"
    )
    assert reasons.provider_words(None, "+14155550105") is None
