"""What somebody was asked, or told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Question:
    """One bulletin as one person got it, as far as it matters to whose answer a text is.

    `open`: it waits for an answer. `here`: its text went to the number that the answer came from, or was to go there.
    `superseded`: a newer bulletin took its place. `asks` is false for news, an all-clear, which is never open.
    `over_at`: when the all-clear of this incident that came after it was handed over to this person.
    """

    id: int
    person_id: int
    incident_id: int
    code: str
    title: str
    drill: bool
    response: str | None
    handed_over_at: datetime | None
    closed_at: datetime | None
    superseded: bool
    open: bool
    here: bool
    asks: bool
    over_at: datetime | None


class Titled(Protocol):
    """What belongs to an incident that has a title."""

    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class Carried:
    """What one mail of ours was about, and for whom. `id` is its delivery; `asks`: it was a question (an all-clear is
    none); `notice`: it was no bulletin."""

    id: int
    person_id: int
    name: str
    active: bool
    incident_id: int
    key: str
    title: str
    code: str
    asks: bool
    notice: bool
