"""How often one person is told something: at once a few times, then ever further apart, and never a storm."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from app.notices.rules import NOTICES_AN_HOUR, SPACING, WINDOW, due_at

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


def test_the_first_go_at_once_and_the_others_ever_further_apart() -> None:
    made: list[datetime] = []
    for wait in SPACING:
        due = due_at(NOW, made)
        assert due == (made[-1] + wait if made else NOW)
        made.append(due)
    assert made[-1] < NOW + WINDOW


def test_whatever_is_asked_no_hour_holds_more_than_its_number() -> None:
    made: list[datetime] = []
    for second in range(0, 4 * 3600, 30):
        at = NOW + timedelta(seconds=second)
        if not made or made[-1] <= at:  # while one waits, more joins it
            made.append(due_at(at, made))
    for due in made:
        assert sum(due - WINDOW < other <= due for other in made) <= NOTICES_AN_HOUR
    # And nothing waits for longer than the longest space between two.
    waits = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert max(waits) <= max(SPACING) + timedelta(seconds=30)
