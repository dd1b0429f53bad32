"""Who is told about whom, as plain data."""

from __future__ import annotations

from app.escalations.rules import MOST_TOLD, Due, unheard, wanted
from app.notices.rules import MOST_CHARACTERS, unanswered

DUE = [Due(delivery, 7, 2, "manager") for delivery in (1, 2, 3)]


def test_those_of_one_manager_come_together() -> None:
    found = wanted(DUE, {1: [50], 2: [50], 3: [60]}, frozenset())
    assert found == {(50, 7): DUE[:2], (60, 7): DUE[2:]}


def test_who_knows_is_not_told_and_who_has_nobody_goes_to_the_next_in_line() -> None:
    candidates = {1: [50], 2: [50], 3: []}
    know = {(1, 50)}
    found = wanted(DUE, candidates, know)
    assert found == {(50, 7): [DUE[1]]}
    assert unheard(DUE, candidates, know, {(2, 50)}) == [3]
    assert unheard(DUE, candidates, know, frozenset()) == [2, 3], "a manager whom nothing reaches has not heard"


def test_of_many_leads_a_few_are_told() -> None:
    found = wanted(DUE[:1], {1: list(range(100, 120))}, frozenset())
    assert len(found) == MOST_TOLD


def test_a_notice_names_a_few_and_counts_the_others() -> None:
    assert unanswered(["Ann"], "Outage") == "1 person has not answered (Outage): Ann. Please ask this person."
    assert unanswered(["Ann", "Bo"], "Outage") == "2 people have not answered (Outage): Ann and Bo. Please ask them."
    text = unanswered([f"Person {n}" for n in range(1200)], "Outage")
    assert text.startswith("1,200 people have not answered (Outage): Person 0, Person 1, ")
    assert "Person 7 and 1,192 more. Please ask them." in text
    assert len(unanswered(["N" * 300] * 900, "T" * 400)) < MOST_CHARACTERS
