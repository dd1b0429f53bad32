"""When what goes wrong in a soak: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["send", "cancel", "answer", "kill", "pause", "database", "trouble", "relay"]

EVERY: dict[Kind, float] = {
    "send": 7, "answer": 4, "cancel": 45, "kill": 12, "pause": 11, "database": 50, "trouble": 6, "relay": 25,
}  # fmt: skip
"""Seconds from one to the next, on average."""

PROCESSES = ("a", "b", "a", "b", "web", "carrier")
TROUBLES: tuple[tuple[str, object], ...] = (
    *(("http", value) for value in ("503", "429", "cut_before", "hang_before", "hang", "500", "cut", "down")),
    *(("receipts", value) for value in ("off", "shuffle", "twice")),
    *(("list", value) for value in ("empty", "lagging", "500")),
    *(("smtp", value) for value in ("refuse", "tempfail", "cut_after_data", "hang_after_data")),
    ("latency_ms", 200), ("latency_ms", 1500),
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """`name`: whom it happens to. `again` and `number` are dice of its own."""

    at: float
    kind: Kind
    name: str = ""
    seconds: float = 0.0
    number: int = 0
    many: int = 0
    again: bool = False
    fault: tuple[str, object] = ("http", None)


def schedule(seed: int, seconds: float) -> list[Event]:
    """Everything that happens within so many seconds, in order."""
    dice = random.Random(seed)
    found = []
    for kind, every in EVERY.items():
        at = dice.uniform(0, every) if kind != "send" else 0.0
        while at < seconds:
            found.append(
                Event(
                    at=at, kind=kind, name=dice.choice(PROCESSES), seconds=_seconds(kind, dice),
                    number=dice.randrange(1_000_000), many=dice.randrange(5, 30), again=dice.random() < 0.4,
                    fault=dice.choice(TROUBLES),
                )
            )  # fmt: skip
            at += dice.uniform(0.3, 1.7) * every
    return sorted(found, key=lambda event: event.at)


def _seconds(kind: Kind, dice: random.Random) -> float:
    """How long it lasts."""
    shortest, longest = {
        "kill": (0.1, 3.0), "pause": (1.0, 15.0), "database": (0.0, 5.0), "trouble": (1.0, 10.0), "relay": (0.5, 3.0),
    }.get(kind, (0.0, 0.0))  # fmt: skip
    return dice.uniform(shortest, longest)
