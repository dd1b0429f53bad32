"""Bars and curves as figures for inline SVG: percentages and path data. Pure, and without any styling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.engine import RowMapping

MOST_ROWS = 14
"""About how many rows the table behind a curve has."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds that a row of the table may span."""

CLOSE = 4.0
"""Percent: sends nearer than this have their numbers side by side."""

FAR = 90.0
"""Percent: beyond this a number stands to the left of its line."""

SHORT_SECONDS = 900
"""A curve over less than this shows seconds."""

BAR_PARTS = ("answered", "waiting", "trying", "unreachable")


@dataclass(frozen=True)
class Segment:
    """One part of a bar; `left` and `width` in percent."""

    kind: str
    count: int
    left: str
    width: str


def tally(counts: Mapping[str, int], *, asks: bool = True) -> dict[str, int]:
    """The eight counts as people ask for them. All but `need_help` and `total` add up to the total.

    Of news nobody waits for an answer: there `answered` counts whoever has it, and nobody is `waiting`.
    """
    answered = counts["acknowledged"] + counts["need_help"] + counts["cannot"]
    return {
        "total": counts.get("total", sum(counts.values())),
        "answered": answered if asks else answered + counts["waiting"],
        "ok": counts["acknowledged"],
        "need_help": counts["need_help"],
        "cannot": counts["cannot"],
        "waiting": counts["waiting"] if asks else 0,
        "trying": counts["pending"] + counts["uncertain"],
        "unreachable": counts["unreachable"],
        "stopped": counts["cancelled"],
    }


def bar(counts: Mapping[str, int]) -> list[Segment]:
    """The parts of one bar, left to right; nothing for a part without people."""
    total, left, found = counts["total"], 0.0, []
    for kind in BAR_PARTS:
        if not total or not counts[kind]:
            continue
        width = 100 * counts[kind] / total
        found.append(Segment(kind, counts[kind], f"{left:.2f}%", f"{width:.2f}%"))
        left += width
    return found


@dataclass(frozen=True)
class Mark:
    """One send on the curve: `x` in percent; `shift` moves its number aside, so that two close ones can be read."""

    x: str
    at: datetime
    channel: str
    people: int
    number: int
    shift: int


@dataclass(frozen=True)
class Row:
    """One row of the table: how many had answered by `until`, how many of them within the row."""

    until: datetime
    fresh: int
    answered: int
    share: int


@dataclass(frozen=True)
class Curve:
    """Answers over time. `line` and `area` are path data in a box of 100 by 100; `top` is what 100 percent means."""

    start: datetime
    end: datetime
    top: int
    answered: int
    line: str
    area: str
    marks: list[Mark] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def short(self) -> bool:
        return (self.end - self.start).total_seconds() < SHORT_SECONDS


def curve(
    *, start: datetime, now: datetime, total: int, answers: Sequence[RowMapping], sends: Sequence[RowMapping]
) -> Curve:  # fmt: skip
    """The curve from a bulletin's send on. It ends a little after the last thing that happened."""
    moments = [start, *(entry["at"] for entry in answers), *(entry["at"] for entry in sends)]
    lively = max(timedelta(seconds=30), (max(moments) - start) * 1.25)
    end = max(start + timedelta(seconds=30), min(now, start + lively), max(moments))
    length = (end - start).total_seconds()

    def across(moment: datetime) -> float:
        share: float = 100 * (moment - start).total_seconds() / length
        return min(100.0, max(0.0, share))

    # The line steps up to each count, so that no answer is drawn before it came.
    steps, answered = ["M0 100"], 0
    for entry in answers:
        answered += entry["people"]
        steps.append(f"H{across(entry['at']):.2f}V{100 - 100 * answered / max(total, 1):.2f}")
    steps.append("H100")
    line = "".join(steps)
    marks: list[Mark] = []
    at_before, shift = 0.0, 7
    for place, entry in enumerate(sends, 1):
        x = across(entry["at"])
        beside = 14 if marks and x - at_before < CLOSE else 0
        shift = (shift + beside if beside else 7) if x < FAR else -7
        marks.append(Mark(f"{x:.2f}%", entry["at"], entry["channel"], entry["people"], place, shift))
        at_before = x
    return Curve(start, end, total, answered, line, f"{line}V100Z", marks, _rows(start, end, total, answers))


def _rows(start: datetime, end: datetime, total: int, answers: Sequence[RowMapping]) -> list[Row]:
    length = (end - start).total_seconds()
    step = next((size for size in _STEPS if length / size <= MOST_ROWS), _STEPS[-1])
    found: list[Row] = []
    answered, waiting = 0, list(answers)
    until = start
    while until < end:
        until = min(until + timedelta(seconds=step), end)
        fresh = 0
        while waiting and (waiting[0]["at"] <= until or until == end):
            fresh += waiting.pop(0)["people"]
        answered += fresh
        found.append(Row(until, fresh, answered, round(100 * answered / max(total, 1))))
        if len(found) > 400:
            break
    return found
