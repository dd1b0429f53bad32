"""The board's plain words: what a state, a status, a channel and a timeline entry mean to whoever reads them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers

from app.channels.kinds import KINDS
from app.channels.media import counted as media
from app.deliveries.retry import TREATMENTS
from app.deliveries.states import NOT_DELIVERED, State
from app.replies.wording import RUNGS

__all__ = ["media"]

CHANNELS = {kind.name: kind.label for kind in KINDS.values()}
TOLD = {"manager": "manager", "department_lead": "department lead", "commander": "commander"}
"""Whom a step of the ladder tells that somebody has not answered."""
CHANNEL_VERBS = {kind.name: kind.verb for kind in KINDS.values()}

STATES = {
    State.QUEUED: "waiting to go out",
    State.HANDING_OVER: "going out now",
    State.ACCEPTED: "handed over",
    State.QUEUED_THERE: "handed over",
    State.SENDING: "on its way",
    State.SENT: "on its way",
    State.DELIVERED: "delivered",
    State.READ: "read",
    State.CANCELLED_THERE: "stopped by the provider",
    State.UNDELIVERED: "not delivered",
    State.FAILED: "failed",
    State.REJECTED: "refused",
    State.SUPPRESSED: "not sent",
    State.UNKNOWN: "not known yet",
    State.ABSENT: "did not go out",
    State.UNCERTAIN: "not certain",
    State.CANCELLED: "stopped",
    State.EXPIRED: "waited too long",
}

CALL_STATES = {
    State.QUEUED_THERE: "waiting to be dialled",
    State.SENDING: "ringing",
    State.SENT: "picked up",
    State.DELIVERED: "picked up",
    State.UNDELIVERED: "reached nobody",
}
"""What is said otherwise of a call."""

FILTERS = {
    "open": ("Has not answered", ("waiting", "pending", "uncertain", "unreachable")),
    "unreachable": ("Cannot be reached", ("unreachable",)),
    "waiting": ("Waiting for an answer", ("waiting",)),
    "trying": ("Still sending", ("pending", "uncertain")),
    "need_help": ("Needs help", ("need_help",)),
    "cannot": ("Cannot do their part", ("cannot",)),
    "ok": ("Answered OK", ("acknowledged",)),
    "stopped": ("Stopped", ("cancelled",)),
    "all": ("Everybody", ()),
}
"""What the list of people can be narrowed to: words for the choice, and the statuses it means (none: every one)."""

RESPONSES = {"ok": "OK", "need_help": "needs help", "cannot": "cannot do their part"}
VIAS = {
    "sms": "by text", "email": "by email", "page": "on the staff page", "voice": "in our call",
    "in_person": "in person", "phone": "by phone",
}  # fmt: skip

FIELDS = {"at": "The time", "note": "“How do you know?”", "response": "What they said", "via": "How they said it"}
"""What a field is called where something is wrong with it; the others by their own names."""

STATUSES = {
    "declared": "Declared",
    "investigating": "Investigating",
    "identified": "Identified",
    "monitoring": "Monitoring",
    "resolved": "Resolved",
    "closed": "Closed",
}
CHANGED = (
    "This changed after you opened the page, so nothing was done yet. What you typed is still here. Look at what "
    "changed, then press the button again if you still want to."
)
STAGES = {
    "investigating": "Something is wrong; little is known",
    "identified": "The cause is known; a fix is under way",
    "monitoring": "Fixed; we are monitoring",
    "resolved": "It is over: the all-clear",
}
ROLES = {
    "admin": "administrator",
    "commander": "commander",
    "communications_lead": "communications lead",
    "department_lead": "department lead",
    "viewer": "viewer",
}


def tried(attempt: Mapping[str, Any]) -> tuple[str, bool]:
    """(one attempt in words, whether it definitely failed)."""
    state = State(attempt["state"])
    failed = state in NOT_DELIVERED
    words = STATES | CALL_STATES if attempt["channel"] == "voice" else STATES
    said = f"{CHANNELS.get(attempt['channel'], attempt['channel'])} {words[state]}"
    if attempt["reason"] and state is not State.ABSENT:
        said += f": {_why(attempt)}"
    return said, failed


def _why(attempt: Mapping[str, Any]) -> str:
    """Our own words for a code that is known; else the provider's, in which addresses are masked already."""
    known = TREATMENTS.get(attempt["error_code"])
    return known.reason if known else str(attempt["reason"])


@dataclass(frozen=True)
class Clause:
    """One sentence of the account; `kind` is answered, help, unreachable or none."""

    text: str
    kind: str = "none"


FILTERS_OF_NEWS = FILTERS | {
    "open": ("No all-clear yet", ("pending", "uncertain", "unreachable")),
    "waiting": ("Has the all-clear", ("waiting",)),
}
"""The same for an all-clear, which nobody has to answer."""


def filters(*, asks: bool) -> dict[str, tuple[str, tuple[str, ...]]]:
    return FILTERS if asks else FILTERS_OF_NEWS


def account(
    counts: Mapping[str, int] | None, open_help: int, possible_help: int = 0, *, asks: bool = True
) -> list[Clause]:
    """The sentence that answers the question, from a tally (see `page_chart.tally`)."""
    if counts is None:
        return [Clause("Nobody has been told yet.")]
    done = "have answered" if asks else "have the all-clear"
    said = [Clause(f"{counts['answered']:,} of {counts['total']:,} {done}.", "answered")]
    if open_help:
        said.append(Clause(f"{open_help:,} {'needs' if open_help == 1 else 'need'} help.", "help"))
    elif not possible_help:
        said.append(Clause("Nobody needs help."))
    if possible_help:
        said.append(Clause(f"{possible_help:,} may need help.", "help"))
    if counts["unreachable"]:
        said.append(Clause(f"{counts['unreachable']:,} cannot be reached.", "unreachable"))
    return said


def still_open(open_help: int, possible_help: int) -> str:
    """`2 people still need help, and 1 report may be a call for help.`"""
    said = []
    if open_help:
        said.append(f"{open_help:,} {'person still needs' if open_help == 1 else 'people still need'} help")
    if possible_help:
        said.append(
            f"{possible_help:,} {'report may be a call' if possible_help == 1 else 'reports may be calls'} for help"
        )
    return ", and ".join(said) + "."


def spaced(number: str) -> str:
    """`+1 470-555-0181`: in groups, because somebody reads it off paper and dials."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return number


def send_button(by_channel: Mapping[str, int], total: int, *, drill: bool) -> str:
    """`Text 412 people, email 37`: what the button does, with the numbers."""
    parts: list[str] = []
    for channel, verb in CHANNEL_VERBS.items():
        if count := by_channel.get(channel, 0):
            people = "" if parts else (" person" if count == 1 else " people")
            parts.append(f"{verb} {count:,}{people}")
    said = ", ".join(parts) if parts else f"Record it for {total:,} people whom no message can reach"
    if drill:
        return f"Drill: {said}"
    return said[:1].upper() + said[1:]


def people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def lasting(seconds: float) -> str:
    """How long something takes, as people say it: `40 seconds`, `19 minutes`, `2 hours and 5 minutes`."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    if not hours:
        return f"{minutes} minutes"
    whole = f"{hours} hour{'s' if hours > 1 else ''}"
    return f"{whole} and {minutes} minutes" if minutes else whole


def roles(names: Sequence[str], *, last: str) -> str:
    """`commander or communications lead`."""
    said = [ROLES.get(name, name) for name in names]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} {last} {said[-1]}"


def entry(kind: str, data: Mapping[str, Any], person: str | None) -> str:
    """One timeline entry as a sentence without its actor. A kind not known here is shown by its own name."""
    who = person or "somebody no longer on record"
    made = _ENTRIES.get(kind)
    try:
        return made(data, who) if made else kind.replace("_", " ").capitalize()
    except (KeyError, TypeError, ValueError):
        return kind.replace("_", " ").capitalize()


def _declared(data: Mapping[str, Any], _who: str) -> str:
    what = "Drill declared" if data.get("drill") else "Declared"
    return f"{what} as {data['severity']}, playbook {data['playbook']}"


def _sent(data: Mapping[str, Any], _who: str) -> str:
    said = f"Bulletin {data['bulletin']} sent to {people(data['recipients'])}"
    return f"{said}; it replaces the one before for {people(data['replaced'])}" if data.get("replaced") else said


def _fallback(data: Mapping[str, Any], _who: str) -> str:
    channel = CHANNELS.get(data["channel"], data["channel"])
    held = f", {data['held']:,} of them after their quiet hours" if data.get("held") else ""
    return f"{channel} to {people(data['people'])} who had not answered bulletin {data['bulletin']}{held}"


def _escalated(data: Mapping[str, Any], _who: str) -> str:
    whom = TOLD[data["tell"]]
    about = f"not answered bulletin {data['bulletin']}"
    parts = []
    if data["people"]:
        told = len(data["told"])
        one = f"The {whom} was told" if told == 1 and whom == "commander" else f"{_many(told, whom)} told"
        parts.append(f"{one} that {people(data['people'])} {'has' if data['people'] == 1 else 'have'} {about}")
    if data["untold"]:
        parts.append(
            f"No {whom} to tell about {people(data['untold'])}{'' if parts else f', {about}'}: the next in line"
        )
    return ". ".join(parts)


def _many(count: int, whom: str) -> str:
    return f"1 {whom} was" if count == 1 else f"{count:,} {whom}s were"


def step(name: str) -> str:
    """A step of the ladder as the API names it, in words: `Text`, `Tell the manager`."""
    told = name.removeprefix("tell ")
    return CHANNELS.get(name, name) if told == name else f"Tell the {TOLD.get(told, told)}"


def coming(entry: Mapping[str, Any]) -> str:
    """What comes next for how many, without when: `email to 34 people`, `the manager is told about 3 people`."""
    told = entry["step"].removeprefix("tell ")
    if told == entry["step"]:
        return f"{CHANNELS.get(told, told).lower()} to {people(entry['people'])}"
    return f"the {TOLD.get(told, told)} is told about {people(entry['people'])}"


def _status(data: Mapping[str, Any], _who: str) -> str:
    said = f"Status changed from {data['from']} to {data['to']}"
    if data.get("without_all_clear"):
        said += ", without an all-clear"
    if data.get("open_help"):
        said += f", with {people(data['open_help'])} still in need of help"
    if possible := data.get("possible_help"):
        said += f", with {possible:,} possible call{'' if possible == 1 else 's'} for help not checked"
    return said


def _answered(data: Mapping[str, Any], who: str) -> str:
    late = ", late" if data.get("late") else ""
    return f"{who} answered: {RESPONSES[data['response']]}, {VIAS[data['via']]}{late}"


_ENTRIES: dict[str, Callable[[Mapping[str, Any], str], str]] = {
    "declared": _declared,
    "bulletin_drafted": lambda d, w: f"Bulletin {d['bulletin']} written ({d['stage']})",
    "bulletin_approved": lambda d, w: (
        f"Bulletin {d['bulletin']} approved" + (", warnings accepted" if d.get("warnings_accepted") else "")
    ),
    "bulletin_sent": _sent,
    "bulletin_cancelled": lambda d, w: f"Bulletin {d['bulletin']} cancelled; {people(d['stopped'])} not told any more",
    "fallback": _fallback,
    "escalated": _escalated,
    "status_changed": _status,
    "severity_changed": lambda d, w: f"Severity changed from {d['from']} to {d['to']}",
    "commander_changed": lambda d, w: f"{w} is commander now",
    "acknowledged": _answered,
    "answer_changed": lambda d, w: f"{_answered(d, w)} (changed)",
    "help_opened": lambda d, w: f"{w} needs help" + (", said in a report" if d.get("field_report") else ""),
    "help_confirmed": lambda d, w: f"A report from {w} added to their help request",
    "possible_help_cleared": lambda d, w: (
        f"Report from {w if 'person' in d else 'someone at a shared number'}: not a call for help"
    ),
    "help_told": lambda d, w: f"{w}'s help request: {RUNGS[d['rung']]} told",
    "help_untold": lambda d, w: f"{w}'s help request: nobody could be told by text or email",
    "help_taken": lambda d, w: f"{w}'s help request assigned",
    "help_closed": lambda d, w: f"{w}'s help request closed",
    "help_withdrawn": lambda d, w: f"{w} no longer needs help",
    "field_report": lambda d, w: f"Report from {w if 'person' in d else 'someone at a shared number'}",
    "opted_out": lambda d, w: f"{w} opted out of texts",
    "opted_out_for": lambda d, w: f"{w} opted out on their behalf",
    "opted_in_for": lambda d, w: f"{w} opted in again on their behalf",
    "opted_in": lambda d, w: f"{w} takes texts again",
}


CONTACT_KINDS = {"mobile": "Mobile", "phone": "Other phone", "email": "Email"}


def wrong_with(kind: str, reason: str, channels: Sequence[str], by: str | None = None) -> str:
    """Why an address is not used. `by` opted it out on its holder's behalf."""
    if reason == "opted_out" and by:
        return f"Opted out on their behalf by {by}"
    if reason == "opted_out":
        return "They texted STOP: only they can undo it, by texting START to our number"
    if reason == "landline":
        return "It is a landline: it can be called, not texted"
    if kind == "email":
        return "An email to it came back: the address does not work"
    if list(channels) == ["voice"]:
        return "The network says it cannot be called"
    return "The network says it is not in service"


def ways_left(routes: Mapping[str, str], flagged: Collection[str]) -> list[str]:
    """What still reaches somebody, from `routes` (channel -> address); `flagged` addresses have something wrong."""
    found = []
    # Where only an email address is wrong, there is no number that another one would stand for.
    numbers = {address for address in flagged if "@" not in address}
    if "sms" in routes:
        found.append("text" if not numbers or routes["sms"] in numbers else "text to another number")
    if "email" in routes:
        found.append("email")
    if "voice" in routes:
        found.append("call" if not numbers or routes["voice"] in numbers else "call to another number")
    return found


def numbers_to_mend(refused: int, opted_out: int) -> str:
    """`3 contact details to fix, 2 opted out of texts`; '' when there are none."""
    said = []
    if refused:
        said.append("1 contact detail to fix" if refused == 1 else f"{refused:,} contact details to fix")
    if opted_out:
        said.append(f"{opted_out:,} opted out of texts")
    return ", ".join(said)
