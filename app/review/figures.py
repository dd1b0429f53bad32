"""The figures of a review, from one list of recipients. Pure: the same list gives the same figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TypeVar

from app.deliveries.status import STATUSES
from app.playbooks.schema import TOLD
from app.review.record import (
    Cadence,
    Change,
    Due,
    Escalations,
    Fallback,
    Moment,
    Person,
    PersonAnswers,
    Reach,
    ReasonGroup,
    Recipient,
    StaleHolder,
)

DELIVERED_SHARES = (50, 90, 100)
ANSWERED_SHARES = (50, 90)
VIAS = ("sms", "email", "page", "voice", "in_person", "phone")
OVER = ("closed",)
"""Incident statuses in which no further bulletin is due. Resolved is none of them: the all-clear is still owed."""

T = TypeVar("T")


def attained(times: Iterable[datetime], total: int, percent: int) -> datetime | None:
    """When the last person that makes up `percent` of `total` was there; None when it was not attained.

    People are whole: half of 3 is 2. Of nobody, no share is ever attained.
    """
    needed = -(-total * percent // 100)
    ordered = sorted(times)
    return ordered[needed - 1] if 0 < needed <= len(ordered) else None


def reach(people: Sequence[Recipient], *, declared_at: datetime, sent_at: datetime) -> Reach:
    """How far and how fast a bulletin got among these of its recipients."""

    def moment(at: datetime | None) -> Moment | None:
        if at is None:
            return None
        return Moment(at, (at - declared_at).total_seconds(), (at - sent_at).total_seconds())

    def shares(at: Callable[[Recipient], datetime | None], percents: Sequence[int]) -> dict[str, Moment | None]:
        times = [time for person in people if (time := at(person)) is not None]
        return {str(percent): moment(attained(times, len(people), percent)) for percent in percents}

    counts = Counter(person.status for person in people)
    vias = Counter(person.via for person in people if person.via)
    proofs = Counter(person.delivered_proof for person in people)
    accepted = [a.accepted_at for person in people for a in person.attempts if a.accepted_at is not None]
    waits = [person.seconds_to_answer for person in people if person.seconds_to_answer is not None]
    return Reach(
        total=len(people),
        counts={status: counts[status] for status in STATUSES},
        answered=len(waits),
        answered_via={via: vias[via] for via in VIAS},
        delivered=proofs["receipt"] + proofs["accepted"],
        delivered_by_receipt=proofs["receipt"],
        delivered_by_acceptance=proofs["accepted"],
        first_message=moment(min(accepted, default=None)),
        to_delivered=shares(lambda person: person.delivered_at, DELIVERED_SHARES),
        to_acknowledged=shares(lambda person: person.acknowledged_at, ANSWERED_SHARES),
        to_answered=shares(lambda person: person.first_answered_at, ANSWERED_SHARES),
        median_seconds_to_answer=median(waits) if waits else None,
    )


def by_department(people: Sequence[Recipient]) -> dict[str, list[Recipient]]:
    """The recipients of each department, the departments by name."""
    found: defaultdict[str, list[Recipient]] = defaultdict(list)
    for person in people:
        found[person.department].append(person)
    return dict(sorted(found.items()))


def person_of(entry: Recipient) -> Person:
    return Person(entry.person_id, entry.name, entry.department, entry.site)


def grouped(people: Iterable[tuple[str, Person]]) -> tuple[ReasonGroup, ...]:
    """(reason, person) as groups, the largest first."""
    found: defaultdict[str, list[Person]] = defaultdict(list)
    for reason, person in people:
        found[reason].append(person)
    ordered = sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))
    return tuple(ReasonGroup(reason, tuple(members)) for reason, members in ordered)


def unreachable(people: Sequence[Recipient]) -> tuple[ReasonGroup, ...]:
    """Whom nothing reached, by reason."""
    return grouped((entry.failure, person_of(entry)) for entry in people if entry.failure is not None)


def fallback(people: Sequence[Recipient]) -> Fallback:
    """Who was moved from their first channel to another, and whose message there left."""
    moved: Counter[str] = Counter()
    left: Counter[str] = Counter()
    count = 0
    for entry in people:
        others = [attempt for attempt in entry.attempts if attempt.channel != entry.first_channel]
        count += bool(others)
        moved.update({attempt.channel for attempt in others})
        left.update({attempt.channel for attempt in others if attempt.handed_over_at is not None})
    channels = sorted(moved)
    return Fallback(count, {name: moved[name] for name in channels}, {name: left[name] for name in channels})


def escalations(people: Sequence[Recipient]) -> Escalations:
    """Of whom others were told, and who answered after that."""
    steps: Counter[str] = Counter()
    whom: defaultdict[str, set[str]] = defaultdict(set)
    for entry in people:
        steps.update({told.tell for told in entry.told if told.outcome == "told"})
        for told in entry.told:
            whom[told.outcome].add(told.person_id)
    told_of = [entry for entry in people if any(told.outcome == "told" for told in entry.told)]
    return Escalations(
        people=len(told_of),
        told=len(whom["told"]),
        waiting=len(whom["waits"] - whom["told"]),
        not_told=len(whom["not_told"] - whom["told"] - whom["waits"]),
        by_step={name: steps[name] for name in TOLD},
        answered=sum(entry.first_answered_at is not None for entry in told_of),
    )


def has_it(entry: Recipient) -> bool:
    """Whether the person holds this bulletin: their provider took it and did not fail, or they answered it."""
    return entry.delivered_at is not None or entry.first_answered_at is not None


def _without(entry: Recipient) -> str:
    """Why somebody does not have a bulletin that was addressed to them."""
    if entry.failure is not None:
        return entry.failure
    if entry.status == "cancelled":
        return f"not sent to them: {entry.reason or 'cancelled'}"
    return "it is not known whether it arrived" if entry.status == "uncertain" else "it is still on its way"


def holders(recipients: Sequence[Recipient]) -> tuple[tuple[StaleHolder, ...], tuple[ReasonGroup, ...]]:
    """(who holds an older bulletin than the latest, whom none reached).

    `recipients` are of all sent bulletins, in the order of their numbers.
    """
    if not recipients:
        return (), ()
    latest = max(entry.bulletin for entry in recipients)
    of_person: defaultdict[str, list[Recipient]] = defaultdict(list)
    for entry in recipients:
        of_person[entry.person_id].append(entry)
    stale: list[StaleHolder] = []
    never: list[tuple[str, Person]] = []
    for person_id, entries in sorted(of_person.items()):
        last = entries[-1]
        held = max((entry.bulletin for entry in entries if has_it(entry)), default=None)
        if held is None:
            never.append((_without(last), person_of(last)))
        elif held < latest:
            why = _without(last) if last.bulletin == latest else "it was not addressed to them"
            stale.append(StaleHolder(person_id, last.name, last.department, last.site, held, latest, why))
    return tuple(stale), grouped(never)


def answers_of(entry: Recipient) -> PersonAnswers:
    return PersonAnswers(entry.bulletin, entry.person_id, entry.name, entry.department, entry.site, entry.answers)


def changed_answer(entry: Recipient) -> bool:
    """Whether somebody answered, and then otherwise."""
    said = [answer.response for answer in entry.answers]
    return any(before != after for before, after in pairwise(said))


@dataclass(frozen=True)
class Sent:
    """A bulletin that went out. `promised_at`: when staff were told that the next one comes, if they were."""

    number: int
    all_clear: bool
    sent_at: datetime
    promised_at: datetime | None = None


def in_force(changes: Sequence[Change], at: datetime) -> str:
    """The severity (or status) in force at a time; the first one before that."""
    found = changes[0].after
    for change in changes:
        if change.at <= at:
            found = change.after
    return found


def due_after(
    sent: Sent, *, until: datetime, cadence: Mapping[str, timedelta], severities: Sequence[Change],
    statuses: Sequence[Change],
) -> datetime | None:  # fmt: skip
    """When the bulletin after `sent` is due, as known at `until`. None: nothing more was due.

    It is the time that was promised to staff. Where none was, the cadence: a new severity moves the time, counted from
    the same bulletin, but never to before the change itself; a time that had passed stays. Nothing is due after the
    all-clear, or once the incident is closed before the time.
    """
    if sent.all_clear:
        return None
    due = sent.promised_at or _by_cadence(sent, until=until, cadence=cadence, severities=severities)
    return None if in_force(statuses, min(due, until)) in OVER else due


def _by_cadence(
    sent: Sent, *, until: datetime, cadence: Mapping[str, timedelta], severities: Sequence[Change]
) -> datetime:
    due = sent.sent_at + cadence[in_force(severities, sent.sent_at)]
    for change in severities:
        if sent.sent_at < change.at <= until and change.at < due:
            due = max(change.at, sent.sent_at + cadence[change.after])
    return due


def cadence(
    sent: Sequence[Sent], *, steps: Mapping[str, timedelta], severities: Sequence[Change], statuses: Sequence[Change],
    as_of: datetime,
) -> Cadence:  # fmt: skip
    """Each sent bulletin against the time at which it was due, and when the next one is. `statuses` is not empty."""
    found: list[Due] = []
    due: datetime | None = None
    for place, entry in enumerate(sent):
        if place:
            due = due_after(
                sent[place - 1], until=entry.sent_at, cadence=steps, severities=severities, statuses=statuses
            )
        late = (entry.sent_at - due).total_seconds() if due is not None else None
        found.append(Due(entry.number, entry.sent_at, due, late, late <= 0 if late is not None else None))
    following = (
        due_after(sent[-1], until=as_of, cadence=steps, severities=severities, statuses=statuses) if sent else None
    )
    return Cadence(
        seconds_by_severity={severity: length.total_seconds() for severity, length in steps.items()},
        on_time=sum(entry.on_time is True for entry in found),
        late=sum(entry.on_time is False for entry in found),
        bulletins=tuple(found),
        next_due_at=following,
        next_overdue=following is not None and following < as_of,
    )
