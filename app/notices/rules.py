"""How often one person may be told something, and how several things become one message. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

NOTICES_AN_HOUR = 6
"""At most so many notices reach one person within an hour, whatever goes wrong. The others wait and go out together."""

WINDOW = timedelta(hours=1)

MOST_CHARACTERS = 400
"""What a handset still shows as one message without trouble: three segments."""


def due_at(now: datetime, earlier: Sequence[datetime]) -> datetime:
    """When the next notice to a person may go out; `earlier` are the due times of those before it, in any order."""
    lately = sorted(moment for moment in earlier if moment > now - WINDOW)
    if len(lately) < NOTICES_AN_HOUR:
        return now
    return max(now, lately[-NOTICES_AN_HOUR] + WINDOW)


def together(lines: Sequence[str]) -> str:
    """The lines as one text: whole while they fit, then how many more there are."""
    if len(lines) == 1:
        return lines[0]
    text = f"{len(lines)} messages:"
    for place, line in enumerate(lines):
        more = f" And {len(lines) - place} more."
        if len(text) + len(line) + 1 > MOST_CHARACTERS - len(more) and place:
            return text + more
        text += f" {line}"
    return text
