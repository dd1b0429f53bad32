"""How often one person may be told something, and how several things become one message. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

SPACING = tuple(timedelta(minutes=minutes) for minutes in (0, 0, 0, 1, 4, 10, 15, 20))
"""How long after the one before it each notice of an hour goes out: the first three at once, then ever further apart.
What comes meanwhile goes out with the one that waits, so nothing waits for longer than twenty minutes."""

NOTICES_AN_HOUR = len(SPACING)
"""At most so many notices of one kind reach one person within an hour, whatever goes wrong."""

WINDOW = timedelta(hours=1)

MOST_CHARACTERS = 400
"""What a handset still shows as one message without trouble: three segments."""


def due_at(now: datetime, earlier: Sequence[datetime]) -> datetime:
    """When the next notice to a person may go out; `earlier` are the due times of its kind before it, in any order."""
    lately = sorted(moment for moment in earlier if moment > now - WINDOW)
    if not lately:
        return now
    if len(lately) < NOTICES_AN_HOUR:
        return max(now, lately[-1] + SPACING[len(lately)])
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


MOST_NAMES = 8
NAMES_CHARACTERS = 160
"""Names take at most about one segment; the page behind the link has them all."""


def unanswered(names: Sequence[str], title: str) -> str:
    """`14 people have not answered (Outage at a vendor): Ann, Bo and 12 more. Please ask them.`"""
    shown: list[str] = []
    for name in names[:MOST_NAMES]:
        short = name if len(name) <= 40 else name[:39].rstrip() + "..."
        if shown and len(", ".join([*shown, short])) > NAMES_CHARACTERS:
            break
        shown.append(short)
    more = len(names) - len(shown)
    if more:
        listed = f"{', '.join(shown)} and {more:,} more"
    else:
        listed = " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)
    many = "1 person has" if len(names) == 1 else f"{len(names):,} people have"
    about = title if len(title) <= 50 else title[:49].rstrip() + "..."
    return f"{many} not answered ({about}): {listed}. Please ask {'them' if len(names) > 1 else 'this person'}."
