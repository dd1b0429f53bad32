"""The incident record: everything a review reads, as plain values. Pure.

Times are aware datetimes in UTC, to the millisecond; `seconds...` are floats between the times shown. `None` means
that it has not happened, or that the share was not attained. Every person of a sent bulletin counts in every share,
also those who could not be reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.channels.media import Medium


@dataclass(frozen=True)
class Change:
    """Something that was one way and then another. The first one has no `before`: it was declared so."""

    at: datetime
    before: str | None
    after: str
    by: str
    reason: str | None = None


@dataclass(frozen=True)
class Role:
    """Who held an incident role; `person_id` is the employer's id, None when an account held it."""

    role: str
    person_id: str | None
    name: str
    assumed_at: datetime
    released_at: datetime | None


@dataclass(frozen=True)
class PlaybookUsed:
    slug: str
    title: str
    revision: int
    sha256: str


@dataclass(frozen=True)
class Summary:
    key: str
    title: str
    playbook: PlaybookUsed
    severity: str
    severity_changes: tuple[Change, ...]
    status: str
    status_changes: tuple[Change, ...]
    facts: dict[str, Any]
    """The incident's latest: what the last sent bulletin said."""
    drill: bool
    simulated: bool
    """The messages went to a pretend carrier: nobody was really told."""
    commanders: tuple[Role, ...]
    roles: tuple[Role, ...]
    """Everybody else who held a role."""
    declared_by: str
    declared_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    seconds_to_first_message: float | None
    """From declaring until a provider had taken the first message."""
    seconds_to_resolved: float | None
    seconds_to_closed: float | None
    seconds_from_resolved_to_all_clear: float | None
    """From the status resolved to the first bulletin of that stage; negative when the bulletin came first."""


@dataclass(frozen=True)
class Moment:
    """A point that was reached."""

    at: datetime
    seconds_after_declared: float
    seconds_after_sent: float


@dataclass(frozen=True)
class Reach:
    """How far and how fast one bulletin got, among everybody or in one department.

    Delivered is when a handset's receipt came or, where the carrier or mail server tells nothing more, when the
    provider took the message. Acknowledged is an answer OK that still stands; answered is a first answer of any kind.
    """

    total: int
    counts: dict[str, int]
    """The eight counts; they add up to `total`."""
    answered: int
    answered_via: dict[str, int]
    """The standing answers by the way they came: sms, email, page, voice, in_person, phone."""
    delivered: int
    delivered_by_receipt: int
    delivered_by_acceptance: int
    first_message: Moment | None
    to_delivered: dict[str, Moment | None]
    """When 50, 90 and 100 % of `total` had it."""
    to_acknowledged: dict[str, Moment | None]
    """When 50 and 90 % of `total` had acknowledged."""
    to_answered: dict[str, Moment | None]
    """When 50 and 90 % of `total` had answered in any way."""
    median_seconds_to_answer: float | None
    """From the send to the first answer, among those who answered."""


@dataclass(frozen=True)
class Person:
    person_id: str
    name: str
    department: str
    site: str | None


@dataclass(frozen=True)
class ReasonGroup:
    reason: str
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Fallback:
    """People for whom another channel followed their first. `handed_over`: those whose next message left."""

    people: int
    by_channel: dict[str, int]
    handed_over: dict[str, int]


@dataclass(frozen=True)
class Escalations:
    """People of whom others were told that they had not answered. `answered`: those who answered after that.

    `by_step` counts the tellings by manager, department_lead and commander; `told` how many people were told, `waiting`
    how many will be, and `not_told` how many were to be and were not, as none of this.
    """

    people: int
    told: int
    waiting: int
    not_told: int
    by_step: dict[str, int]
    answered: int


@dataclass(frozen=True)
class Text:
    """One text as sent, `[code]` and `[link]` for each one's own. `people`: how many people's provider took it."""

    audience: str
    channel: str
    language: str
    subject: str | None
    text: str
    people: int


@dataclass(frozen=True)
class ApprovalGiven:
    name: str
    role: str
    at: datetime


@dataclass(frozen=True)
class BulletinEntry:
    """One bulletin. `reach` and what follows are empty until it is sent."""

    number: int
    state: str
    stage: str
    asks: bool
    """Whether it asked for an answer: an all-clear does not."""
    severity: str
    facts: dict[str, Any]
    audiences: tuple[str, ...]
    drafted_by: str
    drafted_at: datetime
    approvals: tuple[ApprovalGiven, ...]
    approved_at: datetime | None
    warnings: tuple[str, ...]
    warnings_accepted: bool
    sent_by: str | None
    sent_at: datetime | None
    cancelled_at: datetime | None
    recipients: int
    texts: tuple[Text, ...]
    reach: Reach | None
    reach_by_department: dict[str, Reach]
    unreachable: tuple[ReasonGroup, ...]
    """Whom nothing reached, also those who count as cancelled because the bulletin was replaced or cancelled since."""
    uncertain: tuple[Person, ...]
    """It is not known whether they got it."""
    fallback: Fallback | None
    escalations: Escalations | None


@dataclass(frozen=True)
class Due:
    """One sent bulletin against the time that was promised to staff, or the cadence where none was.

    The first has no due time, nor has one after the all-clear.
    """

    number: int
    sent_at: datetime
    due_at: datetime | None
    seconds_late: float | None
    """Negative: so much before it was due."""
    on_time: bool | None


@dataclass(frozen=True)
class Cadence:
    seconds_by_severity: dict[str, float]
    """As it runs here, time scale applied."""
    on_time: int
    late: int
    bulletins: tuple[Due, ...]
    next_due_at: datetime | None
    """When the bulletin after the last one was or is due."""
    next_overdue: bool


@dataclass(frozen=True)
class StaleHolder:
    """Somebody whose latest bulletin in hand is not the latest that went out, and why."""

    person_id: str
    name: str
    department: str
    site: str | None
    holds: int
    latest: int
    why: str


@dataclass(frozen=True)
class Answer:
    """One act. `recorded_by` and `note`: recorded on the person's behalf. `late`: after the end, or replaced."""

    response: str
    via: str
    at: datetime
    recorded_at: datetime
    recorded_by: str | None
    note: str | None
    late: bool


@dataclass(frozen=True)
class PersonAnswers:
    """Answers of one person to one bulletin, in the order in which they came."""

    bulletin: int
    person_id: str
    name: str
    department: str
    site: str | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class FieldReport:
    """What the front line said, whole. Without a person it came from a shared phone; `number` is then masked.

    `maybe_help` and `maybe_stop`: what it could mean when it came. `help_request` is the request that it became;
    `cleared_at` and `cleared_by` tell of one that was no call for help. `media_in_words`: `2 pictures, 1 file`.
    """

    id: int
    at: datetime
    via: str
    text: str
    media: tuple[Medium, ...]
    media_in_words: str
    maybe_help: bool
    maybe_stop: bool
    help_request: int | None
    cleared_at: datetime | None
    cleared_by: str | None
    person_id: str | None
    name: str
    department: str | None
    site: str | None
    number: str | None


@dataclass(frozen=True)
class HelpRequest:
    """`state`: open, taken, closed or withdrawn (the person answered otherwise before anybody took it)."""

    id: int
    state: str
    person_id: str
    name: str
    department: str
    site: str | None
    bulletin: int | None
    """What they were told last; None for somebody who was told nothing in this incident."""
    opened_at: datetime
    taken_by: str | None
    """Who owned it last."""
    taken_at: datetime | None
    """When it was first taken."""
    seconds_to_taken: float | None
    closed_by: str | None
    closed_at: datetime | None
    seconds_to_closed: float | None
    outcome: str | None


@dataclass(frozen=True)
class TimelineEntry:
    seq: int
    at: datetime
    actor: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class AttemptEntry:
    """One provider call. `delivered_at`: the handset's receipt."""

    channel: str
    state: str
    error_code: int | None
    reason: str | None
    provider_message_id: str | None
    handed_over_at: datetime | None
    accepted_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True)
class ToldOf:
    """Somebody was told that this person had not answered. `tell`: manager, department_lead or commander.

    `outcome`: `told`; `waits`, as long as the notice has not left; `not_told`, when no channel brought it, when it was
    stopped, or when the answer came before it left.
    """

    tell: str
    person_id: str
    name: str
    at: datetime
    outcome: str


@dataclass(frozen=True)
class Recipient:
    """One person of one sent bulletin."""

    bulletin: int
    person_id: str
    name: str
    department: str
    site: str | None
    audience: str
    status: str
    """One of the eight."""
    reason: str | None
    """Why they count as unreachable or cancelled."""
    failure: str | None
    """Why nothing reached them, also where the bulletin was replaced or cancelled since."""
    first_channel: str | None
    attempts: tuple[AttemptEntry, ...]
    delivered_at: datetime | None
    delivered_channel: str | None
    delivered_proof: str | None
    """`receipt` of the handset, or `accepted`: nobody tells more."""
    response: str | None
    """The answer that stands."""
    via: str | None
    answered_at: datetime | None
    """When the answer that stands was given."""
    acknowledged_at: datetime | None
    """Since when the person stands at OK; None when another answer stands."""
    first_answered_at: datetime | None
    seconds_to_answer: float | None
    """From the send to the first answer."""
    answers: tuple[Answer, ...]
    told: tuple[ToldOf, ...]


@dataclass(frozen=True)
class Record:
    """The whole record. `time_zone` is the IANA name in which people read it."""

    key: str
    drill: bool
    simulated: bool
    as_of: datetime
    time_zone: str
    summary: Summary
    bulletins: tuple[BulletinEntry, ...]
    cadence: Cadence
    never_reached: tuple[ReasonGroup, ...]
    """People whom no bulletin of this incident reached, and who never answered; by the reason of their last one."""
    stale: tuple[StaleHolder, ...]
    late_answers: tuple[PersonAnswers, ...]
    changed_answers: tuple[PersonAnswers, ...]
    field_reports: tuple[FieldReport, ...]
    reactions: int
    """How often a phone told of a tap on a message ("Liked ...", 👍): neither an answer nor a report."""
    help_requests: tuple[HelpRequest, ...]
    timeline: tuple[TimelineEntry, ...]
    recipients: tuple[Recipient, ...]
