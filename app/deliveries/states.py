"""An attempt's states: what each one proves, which move to which, and what callbacks make of them. Pure.

An attempt is one provider call for one person. Statuses that the provider reports are kept as facts; the state is
the highest rank among them, so that order, repetition and loss of callbacks cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.channels.port import ANSWERED_BY
from app.deliveries.mail_causes import ANY, CAUSES


class State(StrEnum):
    QUEUED = "queued"
    """Nothing has been written to the provider. A lease may be on it; it is still safe to give to another worker."""
    HANDING_OVER = "handing_over"
    """Committed before the first byte leaves, with its fence. From here on the provider may have it."""
    ACCEPTED = "accepted"
    """The provider answered 2xx and gave its message id. It proves that they have it, not that a person does."""
    QUEUED_THERE = "queued_there"
    """A callback says that it waits at the provider."""
    SENDING = "sending"
    """The provider is handing it to a carrier; a call is being dialled, or rings."""
    SENT = "sent"
    """A carrier took it. Many carriers tell nothing more. A call was picked up, by whom or what is not known."""
    CANCELLED_THERE = "cancelled_there"
    """The provider says that it was cancelled before it went out."""
    UNDELIVERED = "undelivered"
    """A carrier says that the handset did not get it; a call met a busy line, nobody, or an answering machine.

    A message on a machine is no proof that anybody will hear it in time: so it counts as not reaching the person, and
    the next step is due at once."""
    FAILED = "failed"
    """The provider says that it could not be sent."""
    DELIVERED = "delivered"
    """The handset has it, as far as carriers can be believed. It does not prove that a person read it. A call was
    picked up by a person, as far as the provider can tell: they need not have listened, and it acknowledges nothing."""
    READ = "read"
    """The handset showed it. It is still not an acknowledgment."""
    REJECTED = "rejected"
    """A definite refusal at hand-over: the provider does not have it and never will."""
    SUPPRESSED = "suppressed"
    """Not to be sent: the number opted out, or the person left or is no longer eligible. Nothing went out."""
    UNKNOWN = "unknown"
    """It was being handed over and the outcome is not known: time-out, 5xx, cut connection, expired lease."""
    ABSENT = "absent"
    """The provider's own list, proven readable, does not show it: nothing went out. A new attempt follows."""
    UNCERTAIN = "uncertain"
    """Still unknown at the deadline. Shown as such; the next channel is used. Late proof may still settle it."""
    CANCELLED = "cancelled"
    """Stopped while it was queued: cancelled, answered, replaced by a newer bulletin, or its incident closed."""
    EXPIRED = "expired"
    """It waited in the queue for longer than its news was worth."""


MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.HANDING_OVER, State.SUPPRESSED, State.CANCELLED, State.EXPIRED}),
    State.HANDING_OVER: frozenset({State.QUEUED, State.ACCEPTED, State.REJECTED, State.SUPPRESSED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.ACCEPTED, State.ABSENT, State.UNCERTAIN}),
    State.UNCERTAIN: frozenset({State.ACCEPTED}),
    State.ACCEPTED: frozenset({State.QUEUED_THERE}),
    State.QUEUED_THERE: frozenset({State.SENDING}),
    State.SENDING: frozenset({State.SENT}),
    State.SENT: frozenset({State.CANCELLED_THERE, State.UNDELIVERED, State.FAILED, State.DELIVERED}),
    State.CANCELLED_THERE: frozenset({State.UNDELIVERED}),
    State.UNDELIVERED: frozenset({State.FAILED}),
    State.FAILED: frozenset({State.DELIVERED}),
    State.DELIVERED: frozenset({State.READ}),
    State.READ: frozenset(),
    State.REJECTED: frozenset(),
    State.SUPPRESSED: frozenset(),
    # The provider's list was wrong after all: a callback is stronger proof than what a list does not show.
    State.ABSENT: frozenset({State.ACCEPTED}),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}
"""Single steps. Callbacks may skip steps forward along the chain accepted .. read; nothing moves backwards."""

IN_FLIGHT = frozenset({State.QUEUED, State.HANDING_OVER, State.UNKNOWN})
"""The outcome is still ours to bring about or to find out."""

WITH_PROVIDER = frozenset({State.ACCEPTED, State.QUEUED_THERE, State.SENDING, State.SENT, State.DELIVERED, State.READ})
"""Accepted or beyond, and not failed: the person may have it, so they are `waiting`."""

NOT_DELIVERED = frozenset(
    {State.REJECTED, State.SUPPRESSED, State.UNDELIVERED, State.FAILED, State.CANCELLED_THERE, State.EXPIRED}
)
"""Definitely not reached by this attempt: the next step is due at once."""

NOT_WITH_THEM = NOT_DELIVERED | {State.ABSENT}
"""Tried, and proven that nothing of this attempt is with the person."""

CAME_TO_NOTHING = NOT_WITH_THEM | {State.CANCELLED}
"""Over, and whoever has only such attempts was not told by them."""

WORTH_ASKING = frozenset({State.ACCEPTED, State.QUEUED_THERE, State.SENDING, State.SENT})
"""The provider will know more, and a callback that should say so may have been lost: it is asked."""

OPEN_TO_PROOF = frozenset({State.HANDING_OVER, State.UNKNOWN, State.UNCERTAIN})
"""A callback or the provider's list that shows the message moves these on."""


def sql_list(states: Iterable[State]) -> str:
    """States as an SQL list, for fixed conditions: `'absent', 'failed'`."""
    return ", ".join(f"'{state}'" for state in sorted(states))


@dataclass(frozen=True)
class ProviderStatus:
    """A status as the provider spells it: our state, its rank, and who wins at equal rank (higher first).

    `reason`: why somebody was not reached, for a status that says so itself, without an error code.
    """

    status: str
    state: State
    rank: int
    tie: int = 0
    reason: str | None = None


A_MACHINE = "an answering machine took the call"
A_FAX = "a fax machine took the call"


PROVIDER_STATUSES: dict[str, ProviderStatus] = {
    row.status: row
    for row in (
        ProviderStatus("queued", State.QUEUED_THERE, 1),
        ProviderStatus("scheduled", State.QUEUED_THERE, 1),
        ProviderStatus("accepted", State.QUEUED_THERE, 1),
        ProviderStatus("sending", State.SENDING, 3),
        ProviderStatus("sent", State.SENT, 4),
        ProviderStatus("partially_delivered", State.SENT, 4),
        ProviderStatus("canceled", State.CANCELLED_THERE, 5, 0),
        ProviderStatus("undelivered", State.UNDELIVERED, 5, 1),
        ProviderStatus("failed", State.FAILED, 5, 2),
        ProviderStatus("delivered", State.DELIVERED, 6),
        ProviderStatus("read", State.READ, 7),
        # Calls. Words that messages have too (queued, failed, canceled) mean the same for both.
        ProviderStatus("initiated", State.SENDING, 2),
        ProviderStatus("ringing", State.SENDING, 3),
        # Picked up; that it ended says no more. Who it was is told apart from that, before or after it.
        ProviderStatus("in-progress", State.SENT, 4),
        ProviderStatus("completed", State.SENT, 4),
        ProviderStatus(f"{ANSWERED_BY}unknown", State.SENT, 4),
        ProviderStatus("busy", State.UNDELIVERED, 5, 1, "the line was busy"),
        ProviderStatus("no-answer", State.UNDELIVERED, 5, 1, "nobody picked up"),
        ProviderStatus(f"{ANSWERED_BY}machine_start", State.UNDELIVERED, 5, 1, A_MACHINE),
        ProviderStatus(f"{ANSWERED_BY}machine_end_beep", State.UNDELIVERED, 5, 1, A_MACHINE),
        ProviderStatus(f"{ANSWERED_BY}machine_end_silence", State.UNDELIVERED, 5, 1, A_MACHINE),
        ProviderStatus(f"{ANSWERED_BY}machine_end_other", State.UNDELIVERED, 5, 1, A_MACHINE),
        ProviderStatus(f"{ANSWERED_BY}fax", State.UNDELIVERED, 5, 1, A_FAX),
        ProviderStatus(f"{ANSWERED_BY}human", State.DELIVERED, 6),
        # Mails that came back.
        *(ProviderStatus(cause.status, State.FAILED, 5, 2, cause.reason) for cause in (*CAUSES, ANY)),
    )
}
"""Statuses of Twilio's Message and Call resources, who took a call, and why a mail came back. One that is not in this
table is kept and alarmed, and moves nothing."""


@dataclass(frozen=True)
class Fact:
    """One status callback: the provider's status word and its error code, if any."""

    status: str
    error_code: int | None = None


def settle(facts: Iterable[Fact]) -> tuple[State, int | None] | None:
    """The state that a set of callbacks proves, with its error code; None when none of them is known.

    The highest rank wins; at equal rank failed over undelivered over canceled, then the lowest code. The result is
    the same for every order, repetition and grouping of the same facts.
    """
    decisive = decided_by(facts)
    return (PROVIDER_STATUSES[decisive.status].state, decisive.error_code) if decisive else None


def decided_by(facts: Iterable[Fact]) -> Fact | None:
    """The one fact that `settle` goes by; among equals always the same one."""
    known = [fact for fact in facts if fact.status in PROVIDER_STATUSES]

    def weight(fact: Fact) -> tuple[int, int, float, str]:
        row = PROVIDER_STATUSES[fact.status]
        return row.rank, row.tie, -fact.error_code if fact.error_code is not None else float("-inf"), fact.status

    return max(known, key=weight) if known else None
