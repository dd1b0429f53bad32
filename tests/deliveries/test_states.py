"""What a set of callbacks proves, whatever the order, and that the table of moves is sound."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.deliveries.states import (
    IN_FLIGHT,
    MOVES,
    NOT_DELIVERED,
    OPEN_TO_PROOF,
    PROVIDER_STATUSES,
    WITH_PROVIDER,
    Fact,
    State,
    settle,
)

CODES = st.sampled_from([None, 30003, 30005, 30006, 30008, 21610, 99999])
FACTS = st.lists(
    st.builds(Fact, st.sampled_from([*PROVIDER_STATUSES, "rerouted", "", "DELIVERED"]), CODES), min_size=0, max_size=12
)

PROVIDER_CHAIN = (
    State.ACCEPTED, State.QUEUED_THERE, State.SENDING, State.SENT, State.CANCELLED_THERE, State.UNDELIVERED,
    State.FAILED, State.DELIVERED, State.READ,
)  # fmt: skip
"""In the order of what they prove; a callback may skip forward along it."""


@given(FACTS, st.randoms(use_true_random=False), st.data())
def test_order_repetition_and_grouping_of_callbacks_never_matter(
    facts: list[Fact], dice: random.Random, data: st.DataObject
) -> None:
    said = settle(facts)
    shuffled = [*facts, *(fact for fact in facts if dice.random() < 0.5)]
    dice.shuffle(shuffled)
    assert settle(shuffled) == said
    cut = data.draw(st.integers(0, len(shuffled)))
    assert settle([*shuffled[cut:], *shuffled[:cut]]) == said
    # In groups, each as a commit of its own: the state after the last group is that of all of them.
    seen: list[Fact] = []
    for start in range(0, len(shuffled), 3):
        seen += shuffled[start : start + 3]
        settle(seen)
    assert settle(seen) == said


@given(FACTS, FACTS)
def test_more_callbacks_never_prove_less(some: list[Fact], more: list[Fact]) -> None:
    before, after = settle(some), settle([*some, *more])
    if before is not None:
        assert after is not None
        assert PROVIDER_CHAIN.index(after[0]) >= PROVIDER_CHAIN.index(before[0])


@given(st.lists(st.builds(Fact, st.text(max_size=30).filter(lambda word: word not in PROVIDER_STATUSES), CODES)))
def test_statuses_nobody_knows_prove_nothing(facts: list[Fact]) -> None:
    assert settle(facts) is None


@pytest.mark.parametrize(
    ("facts", "state", "code"),
    [
        ([Fact("queued")], State.QUEUED_THERE, None),
        ([Fact("accepted")], State.QUEUED_THERE, None),
        ([Fact("scheduled")], State.QUEUED_THERE, None),
        ([Fact("sending"), Fact("queued")], State.SENDING, None),
        ([Fact("sent"), Fact("sending")], State.SENT, None),
        ([Fact("partially_delivered")], State.SENT, None),
        ([Fact("undelivered", 30003), Fact("sent")], State.UNDELIVERED, 30003),
        ([Fact("failed", 30001), Fact("undelivered", 30003)], State.FAILED, 30001),
        ([Fact("undelivered", 30003), Fact("canceled")], State.UNDELIVERED, 30003),
        ([Fact("canceled"), Fact("sent")], State.CANCELLED_THERE, None),
        ([Fact("failed", 30008), Fact("failed", 30003)], State.FAILED, 30003),
        ([Fact("failed"), Fact("failed", 30008)], State.FAILED, 30008),
        ([Fact("delivered"), Fact("failed", 30008)], State.DELIVERED, None),
        ([Fact("read"), Fact("delivered")], State.READ, None),
        ([Fact("rerouted"), Fact("sent")], State.SENT, None),
        ([Fact("initiated"), Fact("queued")], State.SENDING, None),
        ([Fact("ringing"), Fact("no-answer")], State.UNDELIVERED, None),
        ([Fact("in-progress"), Fact("completed")], State.SENT, None),
        ([Fact("completed"), Fact("answered_by_unknown")], State.SENT, None),
        ([Fact("completed"), Fact("answered_by_machine_end_beep")], State.UNDELIVERED, None),
        ([Fact("completed"), Fact("answered_by_human"), Fact("in-progress")], State.DELIVERED, None),
        ([Fact("busy"), Fact("failed", 13224)], State.FAILED, 13224),
    ],
)
def test_the_highest_rank_wins(facts: list[Fact], state: State, code: int | None) -> None:
    assert settle(facts) == settle(facts[::-1]) == (state, code)


def test_ranks_are_the_documented_ones() -> None:
    ranks = {status: row.rank for status, row in PROVIDER_STATUSES.items()}
    assert ranks == {
        "queued": 1, "scheduled": 1, "accepted": 1, "sending": 3, "sent": 4, "partially_delivered": 4,
        "undelivered": 5, "failed": 5, "canceled": 5, "delivered": 6, "read": 7,
        "initiated": 2, "ringing": 3, "in-progress": 4, "completed": 4, "busy": 5, "no-answer": 5,
        "answered_by_unknown": 4, "answered_by_machine_start": 5, "answered_by_machine_end_beep": 5,
        "answered_by_machine_end_silence": 5, "answered_by_machine_end_other": 5, "answered_by_fax": 5,
        "answered_by_human": 6,
        "returned": 5, "returned_no_mailbox": 5, "returned_no_domain": 5, "returned_disabled": 5, "returned_full": 5,
        "returned_refused": 5, "returned_unreached": 5,
    }  # fmt: skip


def reachable(start: State) -> set[State]:
    seen, look = {start}, [start]
    while look:
        for after in MOVES[look.pop()] - seen:
            seen.add(after)
            look.append(after)
    return seen


def test_every_state_can_be_reached_from_queued() -> None:
    assert set(MOVES) == set(State)
    assert reachable(State.QUEUED) == set(State)


def test_nothing_moves_backwards_but_back_into_our_own_queue() -> None:
    for state in State:
        for after in MOVES[state]:
            back = state in reachable(after)
            assert not back or {state, after} == {State.QUEUED, State.HANDING_OVER}, (state, after)
    places = [PROVIDER_CHAIN.index(state) for state in PROVIDER_CHAIN]
    for state in PROVIDER_CHAIN:
        assert all(after in PROVIDER_CHAIN and PROVIDER_CHAIN.index(after) > places[PROVIDER_CHAIN.index(state)]
                   for after in MOVES[state])  # fmt: skip


def test_the_groups_of_states_cover_each_state_once() -> None:
    ended = frozenset({State.ABSENT, State.UNCERTAIN, State.CANCELLED})
    groups = [IN_FLIGHT, WITH_PROVIDER, NOT_DELIVERED, ended]
    assert sorted(state for group in groups for state in group) == sorted(State)
    assert IN_FLIGHT | {State.UNCERTAIN} >= OPEN_TO_PROOF
