"""What somebody was asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Question:
    """One bulletin as one person got it, as far as it matters to whose answer a text is.

    `open`: it waits for an answer. `here`: its text went to the number that the answer came from, or was to go there.
    `superseded`: a newer bulletin took its place.
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
