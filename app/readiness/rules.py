"""Which of Muster's own troubles hold, given what was measured, and when somebody is told. Pure.

A cause's key names it for as long as it lasts. What is said of it holds no number, no name and no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.channels import kinds

QUEUE_LATE_SECONDS = 120.0
"""A message that is due and was not handed over for this long: nothing of ours takes that long in order."""

REFUSED_CALLBACKS = 3
"""So many callbacks that name one of our attempts, or our account, and whose signature fails, within ten minutes."""

MISSED_SHARE, MISSED_PEOPLE = 0.05, 100
"""A bulletin reached only part when it did not reach this share of its people, or so many of them."""

DISK_LEFT_SHARE, DISK_LEFT_BYTES = 0.05, 500_000_000
"""Nearly full: less than either is left."""

CALM = timedelta(seconds=60)
"""A cause that somebody was told of and that has not held for this long is over."""

MOST_OF_A_CAUSE, MOST_OF_ALL = 3, 12
WINDOW = timedelta(hours=1)
"""How often one cause, and all of them together, are told in an hour. What waits is told later if it still holds."""

MAILBOX = "mailbox"
"""What the mailbox of mail answers is called among the providers that were asked."""

_HOLDS: dict[str, float] = {"provider": 10.0, "worker": 15.0, "partial": 60.0, MAILBOX: 180.0}
"""How many seconds a cause must last before it is told, by kind: what mends itself sooner is nobody's work."""


@dataclass(frozen=True)
class Partial:
    """A sent bulletin that counts: how many of its people were definitely or probably not reached."""

    incident: str
    number: int
    missed: int
    total: int
    drill: bool = False


@dataclass(frozen=True)
class Unheard:
    """So many people of an incident asked for help, and nobody could be told."""

    incident: str
    people: int
    drill: bool = False


@dataclass(frozen=True)
class Facts:
    """What was measured. `providers`: only those that were asked lately; `refusals`: people refused, by error code
    and our words for it; `disk`: bytes left and in all, where the database is on this machine's disk."""

    workers: int = 1
    channels: Sequence[str] = ()
    providers: Mapping[str, tuple[bool, str]] = field(default_factory=dict)
    queue_age_seconds: float = 0.0
    refused_callbacks: int = 0
    refusals: Mapping[int, str] = field(default_factory=dict)
    unknown_statuses: int = 0
    partial: Sequence[Partial] = ()
    unheard: Sequence[Unheard] = ()
    disk: tuple[int, int] | None = None


@dataclass(frozen=True)
class Cause:
    """One trouble that holds now. `detail` is one line: what is wrong, and what to do."""

    key: str
    detail: str
    drill: bool = False


@dataclass(frozen=True)
class Open:
    """An alarm that is open: since when, when it last held, and when it was decided to tell somebody."""

    cause: str
    opened_at: datetime
    seen_at: datetime
    announced_at: datetime | None = None


def causes(facts: Facts) -> list[Cause]:
    """Everything that is wrong now, the worst first."""
    found: list[Cause] = []
    if facts.workers == 0:
        found.append(Cause("worker", "No worker is alive, so nothing is sent. Start one with: muster worker"))
    found += _providers(facts)
    readable, wrong = facts.providers.get(MAILBOX, (True, ""))
    if not readable:
        found.append(Cause(MAILBOX, f"Mail answers and returned mails are not heard: {wrong}."))
    if facts.queue_age_seconds > QUEUE_LATE_SECONDS:
        minutes = int(facts.queue_age_seconds // 60)
        found.append(
            Cause("queue", f"Messages that are due have waited for {minutes} minutes. See muster doctor, and start "
                  "more workers if everything is in order there.")
        )  # fmt: skip
    if full := nearly_full(facts.disk):
        found.append(full)
    if facts.refused_callbacks >= REFUSED_CALLBACKS:
        found.append(
            Cause("callbacks", f"{facts.refused_callbacks} callbacks of our own account were refused within 10 "
                  "minutes: their signatures do not fit. Check MUSTER_TWILIO_AUTH_TOKEN, and that MUSTER_BASE_URL is "
                  "the address that Twilio calls.")
        )  # fmt: skip
    for code, reason in facts.refusals.items():
        found.append(Cause(f"refused:{code}", f"The provider refuses people (code {code}): {reason}."))
    if facts.unknown_statuses:
        found.append(
            Cause("statuses", "The provider reports a status that this version does not know. It is kept; look "
                  "for a newer version.")
        )  # fmt: skip
    found += [
        Cause(
            f"help:{entry.incident}",
            f"Nobody could be told of {entry.people} who asked for help in {entry.incident}. Its board has the names; "
            "see the line told of muster doctor.",
            entry.drill,
        )
        for entry in facts.unheard
    ]
    return found + [
        Cause(
            f"partial:{entry.incident}/{entry.number}",
            f"Bulletin {entry.number} of {entry.incident} did not reach {entry.missed} of {entry.total} people. Its "
            "board says who and why.",
            entry.drill,
        )
        for entry in facts.partial
        if entry.missed >= MISSED_PEOPLE or (entry.missed and entry.missed >= entry.total * MISSED_SHARE)
    ]


def _providers(facts: Facts) -> list[Cause]:
    """One cause for all channels that fail alike: texts and calls go over the same account."""
    down: dict[str, list[str]] = {}
    for channel in facts.channels:
        ok, detail = facts.providers.get(channel, (True, ""))
        if not ok:
            down.setdefault(detail, []).append(channel)
    # The text before the call, whatever the order in which they are set up.
    order = list(_NAMES)
    found = []
    for detail, channels in down.items():
        alike = sorted(channels, key=order.index)
        named = " or ".join(_NAMES[channel] for channel in alike)
        found.append(Cause(f"provider:{alike[0]}", f"Nothing goes out by {named}: {detail}."))
    return found


def nearly_full(disk: tuple[int, int] | None) -> Cause | None:
    """What to say of a disk with so many bytes left, of so many in all; None while there is room."""
    if disk is None:
        return None
    left, size = disk
    if left >= DISK_LEFT_BYTES and left >= size * DISK_LEFT_SHARE:
        return None
    return Cause(
        "disk", f"The database's disk is nearly full: {left / 1e9:.1f} GB left. Make room, or nothing can be recorded "
        "and so nothing is sent.",
    )  # fmt: skip


def undecided(facts: Facts) -> set[str]:
    """Causes of which nothing is known just now: they neither begin nor end."""
    return {f"provider:{channel}" for channel in facts.channels if channel not in facts.providers}


def over(alarms: Iterable[Open], holding: Iterable[str], unknown: Iterable[str], now: datetime) -> list[str]:
    """Open causes that are over: those that were told when they have not held for a while, others at once."""
    still = {*holding, *unknown}
    return [
        alarm.cause
        for alarm in alarms
        if alarm.cause not in still and (alarm.announced_at is None or now - alarm.seen_at >= CALM)
    ]


def to_announce(
    alarms: Iterable[Open], holding: Iterable[str], told: Sequence[tuple[str, datetime]], now: datetime
) -> list[str]:
    """Open causes that somebody is told of now. `told`: what was announced lately, and when.

    Causes that come and go are told a few times an hour and no more; one that waits for that is told when it may,
    if it holds then.
    """
    lately = [cause for cause, at in told if now - at < WINDOW]
    still = set(holding)
    found: list[str] = []
    for alarm in sorted(alarms, key=lambda alarm: alarm.opened_at):
        if alarm.announced_at is not None or alarm.cause not in still:
            continue
        if (now - alarm.opened_at).total_seconds() < _HOLDS.get(kind(alarm.cause), 0.0):
            continue
        if lately.count(alarm.cause) >= MOST_OF_A_CAUSE or len(lately) >= MOST_OF_ALL:
            continue
        lately.append(alarm.cause)
        found.append(alarm.cause)
    return found


def kind(cause: str) -> str:
    """The sort of trouble: the key without what it is about."""
    return cause.partition(":")[0]


_NAMES = {kind.name: kind.provider for kind in kinds.KINDS.values()}

KINDS: dict[str, str] = {
    "worker": "no worker is alive",
    "provider": "a provider refuses us or does not answer",
    MAILBOX: "the mailbox of mail answers cannot be read",
    "queue": "messages wait",
    "disk": "the database's disk is nearly full",
    "callbacks": "callbacks are refused",
    "refused": "the provider refuses people for a reason that we must mend",
    "statuses": "an unknown status",
    "partial": "a bulletin reached only part",
}
"""Every sort of trouble there is, in words."""


def headline(cause: str) -> str:
    """One cause in a few words, for saying that it is over."""
    _, _, about = cause.partition(":")
    return f"{KINDS.get(kind(cause), kind(cause))}{f' ({about})' if about else ''}"


def text(detail: str, *, place: str, drill: bool) -> str:
    """What is told when trouble begins. `place` names this installation."""
    return _drill(f"Muster alarm at {place}: {detail}", drill)


def text_over(cause: str, opened_at: datetime, resolved_at: datetime, *, place: str, drill: bool) -> str:
    """What is told when it is over. Times are UTC."""
    lasted = f"from {opened_at:%H:%M} to {resolved_at:%H:%M} UTC"
    return _drill(f"Muster alarm over at {place}: {headline(cause)}, {lasted}.", drill)


def _drill(said: str, drill: bool) -> str:
    return f"DRILL. {said} DRILL" if drill else said
