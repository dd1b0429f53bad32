"""What a send comes to: whom it reaches first by what, texts and parts, their time, and what the day's cap leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.bulletins.checks import Finding

BULK_SHARE = 0.9
"""Of a day's cap: what is left is for help requests, escalations and those who command."""


def estimate(
    counts: Sequence[Mapping[Any, Any]], shown: Sequence[Mapping[str, Any]], *, rate: float | None, left: int | None
) -> dict[str, Any]:
    """How many texts and parts the first step comes to, how long the sender takes for them, and what today leaves.

    `counts`: people by department, audience and first channel; `shown`: the messages. `rate` in parts a second and
    `left` in parts, where they are known. A translation may have a part more or less: an audience's longest counts.
    """
    longest: dict[str, int] = {}
    for message in shown:
        if message["channel"] == "sms":
            longest[message["audience"]] = max(message["segments"], longest.get(message["audience"], 0))
    texted = [entry for entry in counts if entry["channel"] == "sms"]
    parts = sum(entry["people"] * longest.get(entry["audience"], 1) for entry in texted)
    return {
        "texts": sum(entry["people"] for entry in texted),
        "parts": parts,
        "seconds": round(parts / rate) if rate else None,
        "parts_a_second": rate,
        "parts_left_today": left,
    }


def over_the_cap(figures: Mapping[str, Any]) -> list[Finding]:
    """A warning when the day's cap does not leave enough for everybody."""
    left, parts = figures["parts_left_today"], figures["parts"]
    if left is None or parts <= left:
        return []
    message = (
        f"the cap on texts a day leaves {left:,} of the {parts:,} parts: "
        + ("nobody is" if not left else "whoever comes after that is not")
        + " texted, and the next channel is used at once; raise MUSTER_SMS_PER_DAY if the sender may do more"
    )
    return [Finding("warning", "estimate", message)]


def left_for_everybody(cap: int, gone: int) -> int:
    """Of a day's cap, once so many parts are gone: what bulletins may still use."""
    return max(0, int(cap * BULK_SHARE) - gone)


def recipients(counts: Sequence[Mapping[Any, Any]], unreachable: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    """As the API shows them: the total, by first channel, by department, and by name whom nothing reaches."""
    by_channel: Counter[str] = Counter()
    by_department: Counter[str] = Counter()
    for entry in counts:
        by_department[entry["department"]] += entry["people"]
        if entry["channel"]:
            by_channel[entry["channel"]] += entry["people"]
    return {
        "total": sum(by_department.values()),
        "by_channel": dict(by_channel),
        "by_department": dict(by_department),
        "unreachable": [
            {"person_id": e["person_id"], "name": e["name"], "department": e["department"], "reason": e["reason"]}
            for e in unreachable
        ],
    }
