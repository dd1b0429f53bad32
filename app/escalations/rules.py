"""Who is told that somebody has not answered. Pure: from what is due and who there is, to who is told of whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

MOST_TOLD = 5
"""At most so many people of one rung are told about one person: the leads of a department, say."""


@dataclass(frozen=True)
class Due:
    """One delivery whose person has not answered, and whom the ladder tells now."""

    delivery_id: int
    incident_id: int
    rung: int
    tell: str


def wanted(
    due: Iterable[Due], candidates: Mapping[int, Iterable[int]], know: Set[tuple[int, int]]
) -> dict[tuple[int, int], list[Due]]:
    """(who is to be told, incident) -> about which deliveries.

    `candidates` are the people of each delivery's rung, the person themselves never among them; `know` holds
    (delivery, person) of those told by an earlier step, who are not told again.
    """
    found: defaultdict[tuple[int, int], list[Due]] = defaultdict(list)
    for one in due:
        for person in sorted(set(candidates.get(one.delivery_id, ())))[:MOST_TOLD]:
            if (one.delivery_id, person) not in know:
                found[person, one.incident_id].append(one)
    return dict(found)


def unheard(
    due: Iterable[Due], candidates: Mapping[int, Iterable[int]], know: Set[tuple[int, int]], told: Set[tuple[int, int]]
) -> list[int]:
    """The deliveries about which nobody of their rung knows now: there is nobody, or nobody can be reached.

    For these the next in line is told at once. `told` holds (delivery, person) of those told now.
    """
    return [
        one.delivery_id
        for one in due
        if not any(
            (one.delivery_id, person) in know or (one.delivery_id, person) in told
            for person in candidates.get(one.delivery_id, ())
        )
    ]
