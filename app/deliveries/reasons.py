"""Why somebody was not reached, in plain words, without anybody's number or address in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.deliveries import retry
from app.deliveries.states import NOT_DELIVERED, NOT_WITH_THEM, State
from app.directory.service import mask

NO_CONTACT = "no usable contact point"

_EMAIL = re.compile(r"[^\s<>\"'(),;:@]+@[^\s<>\"'(),;:@]+\.[^\s<>\"'(),;:@]+")
_NUMBER = re.compile(r"(?<![\w+])\+\d(?:[ ().\-/]{0,2}\d){6,14}(?!\d)")


def masked(text: str) -> str:
    """The text with every international phone number (`+1 415 ...`) shown as the directory shows it to readers."""
    return _NUMBER.sub(lambda found: mask("+" + re.sub(r"\D", "", found[0])), text)


def provider_words(reason: str | None, address: str) -> str | None:
    """What a provider said, which often repeats the address that it was given."""
    if reason is None:
        return None
    # Longest first: a server may quote the address with or without its plus sign.
    for said in (address, address.removeprefix("+")):
        if len(said) > 5:
            reason = re.sub(re.escape(said), lambda _: mask(address), reason, flags=re.IGNORECASE)
    return _EMAIL.sub(lambda found: mask(found[0]), masked(reason))


def why(status: str, entry: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> str | None:
    """Why the person is unreachable or was cancelled; None for every other status. The same words as on the board.

    `entry` has `cancel_reason`, `gone`, `unreachable_reason`; each attempt `channel`, `state`, `error_code` and
    `reason`, in the order in which they were made.
    """
    if status == "cancelled":
        if entry["cancel_reason"] == "superseded":
            return "replaced by a newer bulletin"
        if entry["cancel_reason"]:
            return str(entry["cancel_reason"])
        return "left" if entry["gone"] else "the incident is closed"
    return failure(status, entry, attempts)


def failure(status: str, entry: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> str | None:
    """Why nothing reached the person; None for whom it is otherwise, or not certain.

    Whoever counts as cancelled because the bulletin was replaced or cancelled may have been out of reach before.
    """
    if status not in ("unreachable", "cancelled"):
        return None
    if entry["unreachable_reason"]:
        return str(entry["unreachable_reason"])
    states = [State(attempt["state"]) for attempt in attempts]
    failed = [attempt for attempt, state in zip(attempts, states, strict=True) if state in NOT_DELIVERED]
    if status == "cancelled" and (not failed or any(state not in NOT_WITH_THEM for state in states)):
        return None
    if not failed:
        return NO_CONTACT
    last = failed[-1]
    if last["channel"] == "email" and last["state"] == State.FAILED:
        return f"email returned: {last['reason']}"
    if last["channel"] == "email":
        return f"email refused: {last['reason'] or last['error_code']}"
    if last["error_code"] in retry.TREATMENTS:
        return retry.TREATMENTS[last["error_code"]].reason
    return str(last["reason"] or "refused")
