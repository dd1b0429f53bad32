"""The record's words for people: neutral, short, blaming nobody. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channels.kinds import KINDS
from app.replies.wording import RUNGS

STATUS_WORDS: Mapping[str, str] = {
    "acknowledged": "answered OK",
    "need_help": "need help",
    "cannot": "answered cannot",
    "waiting": "no reply",
    "pending": "sending",
    "uncertain": "not known",
    "unreachable": "not reached",
    "cancelled": "stopped",
}
"""The eight counts as column heads."""

NEWS_WORDS: Mapping[str, str] = {
    name: said for name, said in STATUS_WORDS.items() if name not in ("acknowledged", "cannot")
} | {"waiting": "delivered"}
"""The same for an all-clear, which asks for no answer."""

RESPONSE_WORDS: Mapping[str, str] = {"ok": "OK", "need_help": "need help", "cannot": "cannot"}

VIA_WORDS: Mapping[str, str] = {
    "sms": "by text", "email": "by email", "page": "on the page", "voice": "in a call from Muster",
    "in_person": "in person", "phone": "by phone",
}  # fmt: skip

CHANNEL_WORDS: Mapping[str, str] = {kind.name: kind.noun for kind in KINDS.values()}


MOST_NAMED = 10
"""How many of those told one sentence names."""


def counted(number: int, one: str, many: str) -> str:
    """`1 person`, `0 people`, `12,345 people`."""
    return f"{number:,} {one if number == 1 else many}"


def people(number: int) -> str:
    return counted(number, "person", "people")


def words(name: object) -> str:
    """`incident_commander` -> `incident commander`."""
    return str(name).replace("_", " ")


def sentence(kind: str, data: Mapping[str, Any]) -> str:
    """One timeline entry in words. Kinds that are not known here are told with everything they hold."""
    known = {name: value for name, value in data.items() if name != "text"}
    try:
        said = _sentence(kind, known)
    except (KeyError, TypeError, ValueError):
        # An entry of another version: shown as it is rather than not at all.
        said = _whole(kind, known)
    reason = data.get("text")
    return f"{said}: {reason}" if reason else said


def _whole(kind: str, data: Mapping[str, Any]) -> str:
    held = ", ".join(f"{words(name)} {_plain(value)}" for name, value in data.items())
    return f"{words(kind)} ({held})" if held else words(kind)


def _plain(value: object) -> str:
    if isinstance(value, Mapping) and "name" in value:
        return str(value["name"])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _sentence(kind: str, data: Mapping[str, Any]) -> str:
    if kind == "declared":
        drill = " as a drill" if data["drill"] else ""
        return f"declared{drill}, {data['severity']}, playbook {data['playbook']} revision {data['revision']}"
    if kind in ("status_changed", "severity_changed"):
        what = "status" if kind == "status_changed" else "severity"
        still = f", {people(data['open_help'])} still asking for help" if data.get("open_help") else ""
        if possible := data.get("possible_help"):
            still += f", {counted(possible, 'possible call for help', 'possible calls for help')} not checked"
        untold = ", without an all-clear" if data.get("without_all_clear") else ""
        return f"{what} from {data['from']} to {data['to']}{untold}{still}"
    if kind == "commander_changed":
        return f"{data['person']['name']} took command"
    if kind.startswith("bulletin_"):
        return _bulletin(kind, data)
    if kind == "fallback":
        channel = CHANNEL_WORDS.get(data["channel"], data["channel"])
        held = f", {data['held']:,} of them after their quiet hours" if data.get("held") else ""
        return f"{people(data['people'])} tried by {channel} for bulletin {data['bulletin']}{held}"
    if kind == "escalated":
        return _escalated(data)
    if kind in ("acknowledged", "answer_changed"):
        return _answer(kind, data)
    if kind.startswith("help_"):
        return _help(kind, data)
    if kind in ("field_report", "possible_help_cleared"):
        who = data["person"]["name"] if "person" in data else "someone at a shared number"
        if kind == "possible_help_cleared":
            return f"field report {data['field_report']} from {who}: not a call for help"
        return f"field report {data['field_report']} from {who}{', may need help' if data['maybe_help'] else ''}"
    if kind in ("opted_out_for", "opted_in_for"):
        what = "opted out" if kind == "opted_out_for" else "opted in again"
        return f"{data['person']['name']} {what} on their behalf"
    if kind in ("opted_out", "opted_in"):
        what = "opted out of texts" if kind == "opted_out" else "takes texts again"
        return f"the number of {data['person']['name']} {what}"
    raise KeyError(kind)


def _escalated(data: Mapping[str, Any]) -> str:
    whom = words(data["tell"])
    parts = []
    if data["people"]:
        named = [f"{told['name']} about {people(told['about'])}" for told in data["told"][:MOST_NAMED]]
        if len(data["told"]) > MOST_NAMED:
            named.append(f"{len(data['told']) - MOST_NAMED:,} more")
        silent = f"{people(data['people'])} without an answer to bulletin {data['bulletin']}"
        parts.append(f"{whom} told of {silent} ({', '.join(named)})")
    if data["untold"]:
        parts.append(f"no {whom} could be told of {people(data['untold'])} (bulletin {data['bulletin']})")
    return "; ".join(parts)


def _bulletin(kind: str, data: Mapping[str, Any]) -> str:
    number = f"bulletin {data['bulletin']}"
    if kind == "bulletin_drafted":
        return f"{number} drafted ({data['stage']})"
    if kind == "bulletin_approved":
        accepted = ", its warnings accepted" if data["warnings_accepted"] else ""
        return f"{number} approved as {words(data['role'])}{accepted}"
    if kind == "bulletin_sent":
        replaced = f", {counted(data['replaced'], 'earlier message', 'earlier messages')} replaced"
        return f"{number} sent to {people(data['recipients'])} ({data['stage']}){replaced if data['replaced'] else ''}"
    if kind == "bulletin_cancelled":
        return f"{number} cancelled" + (f", stopped for {people(data['stopped'])}" if "stopped" in data else "")
    raise KeyError(kind)


def _answer(kind: str, data: Mapping[str, Any]) -> str:
    said = RESPONSE_WORDS.get(data["response"], data["response"])
    verb = "answered" if kind == "acknowledged" else "answered again:"
    late = ", late" if data["late"] else ""
    return f"{data['person']['name']} {verb} {said} {VIA_WORDS[data['via']]} to bulletin {data['bulletin']}{late}"


def _help(kind: str, data: Mapping[str, Any]) -> str:
    name = data["person"]["name"]
    if kind == "help_told":
        return f"{name}'s help request: {RUNGS[data['rung']]} told"
    return {
        "help_opened": f"{name} needs help" + (", said in a field report" if "field_report" in data else ""),
        "help_confirmed": f"a field report of {name} added to their help request",
        "help_untold": f"{name}'s help request: nobody could be told by text or email",
        "help_taken": f"{name}'s help request assigned",
        "help_closed": f"{name}'s help request closed",
        "help_withdrawn": f"{name} no longer asks for help",
    }[kind]
