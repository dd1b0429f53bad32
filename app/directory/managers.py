"""Circles of managers: who would be told of whom, and in the end of themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Whom a person reports to once the file is merged (our keys). `line` is that of the file that says so, None where
    the directory alone does; `known` whom the directory had before."""

    person: int
    manager: int
    line: int | None
    known: int | None


@dataclass(frozen=True, slots=True)
class Cut:
    """A link that closes a circle and is left out. `circle` are the people in it, from this one on; `kept` says whether
    the known manager stays."""

    person: int
    line: int
    circle: tuple[int, ...]
    kept: bool


def cuts(links: Iterable[Link]) -> list[Cut]:
    """What to leave out so that no link of the file is in a circle: in each circle the one on the last line.

    The person's known manager takes its place, unless that one closes a circle as well. Circles that the file says
    nothing of stay as they are.
    """
    link_of = {link.person: link for link in links}
    manager_of = {link.person: link.manager for link in link_of.values()}
    found: dict[int, Cut] = {}
    begin = list(manager_of)
    while begin:
        circles = _circles(manager_of, begin)
        begin = []
        for circle in circles:
            told = [(link.line, link.person) for person in circle if (link := link_of[person]).line is not None]
            if not told:
                continue
            line, person = max(told)
            known = link_of[person].known
            kept = known is not None and known != manager_of[person] and person not in found
            if kept and known is not None:
                manager_of[person] = known
            else:
                del manager_of[person]
            place = circle.index(person)
            first = found[person].circle if person in found else tuple(circle[place:] + circle[:place])
            found[person] = Cut(person, line, first, kept)
            begin.append(person)
    return sorted(found.values(), key=lambda cut: cut.line)


def _circles(manager_of: Mapping[int, int], begin: Iterable[int]) -> list[list[int]]:
    """Every circle that is reached from these people, each once, in the order of the links."""
    walk_of: dict[int, int] = {}
    circles: list[list[int]] = []
    for walk, start in enumerate(begin):
        person: int | None = start
        path: list[int] = []
        while person is not None and person not in walk_of:
            walk_of[person] = walk
            path.append(person)
            person = manager_of.get(person)
        if person is not None and walk_of[person] == walk:
            circles.append(path[path.index(person) :])
    return circles
