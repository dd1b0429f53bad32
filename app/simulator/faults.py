"""Faults that a test switches on over HTTP: what goes wrong on purpose, for the next N times or until off."""

from collections.abc import Mapping
from dataclasses import dataclass, field

CHOICES: dict[str, tuple[str, ...]] = {
    "http": ("down", "503", "429", "cut_before", "hang_before", "hang", "500", "cut"),
    "receipts": ("off", "shuffle", "twice"),
    "list": ("empty", "lagging", "500"),
    "smtp": ("refuse", "tempfail", "cut_after_data", "hang_after_data"),
    "opt_out_type": ("off",),
}
NUMBERS = {"latency_ms": 60_000, "lag_seconds": 86_400, "count": 1_000_000}


def abort(transport: object) -> bool:
    """Cut a connection at once; False when the object is no transport. (uvloop's are none of asyncio's classes.)"""
    cutting = getattr(transport, "abort", None)
    if not callable(cutting):
        return False
    cutting()
    return True


@dataclass
class Faults:
    """The faults that are on. `left` counts how often each still applies; absent means until switched off."""

    on: dict[str, str] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    latency: float = 0.0
    lag: float = 30.0

    def change(self, asked: Mapping[str, object]) -> None:
        """Switch faults on, or off with null. Raises ValueError that says what would be right."""
        for name, value in asked.items():
            if name in CHOICES:
                if value is not None and value not in CHOICES[name]:
                    raise ValueError(f"{name} is {value!r}; it must be null or one of {', '.join(CHOICES[name])}.")
            elif name in NUMBERS:
                if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                    raise ValueError(f"{name} is {value!r}; it must be null or a number.")
                if isinstance(value, int | float) and not 0 <= value <= NUMBERS[name]:
                    raise ValueError(f"{name} is {value!r}; it must be from 0 to {NUMBERS[name]}.")
            else:
                raise ValueError(f"{name} is no fault; known are {', '.join((*CHOICES, *NUMBERS))}.")
        count = asked.get("count")
        for name in CHOICES.keys() & asked.keys():
            self.on.pop(name, None)
            self.left.pop(name, None)
            if isinstance(value := asked[name], str):
                self.on[name] = value
                if isinstance(count, int | float):
                    self.left[name] = int(count)
        if "latency_ms" in asked:
            latency = asked["latency_ms"]
            self.latency = latency / 1000 if isinstance(latency, int | float) else 0.0
        if "lag_seconds" in asked:
            lag = asked["lag_seconds"]
            self.lag = float(lag) if isinstance(lag, int | float) else 30.0

    def take(self, name: str) -> str:
        """The fault of that name, used once; empty when it is off."""
        value = self.on.get(name, "")
        if value and name in self.left:
            self.left[name] -= 1
            if self.left[name] <= 0:
                del self.on[name], self.left[name]
        return value

    def shown(self) -> dict[str, object]:
        """The faults as JSON."""
        state: dict[str, object] = {name: self.on.get(name) for name in CHOICES}
        return {**state, "left": dict(self.left), "latency_ms": self.latency * 1000, "lag_seconds": self.lag}
