"""Whether an incident that is about to be declared looks like one that is open. Pure."""

from __future__ import annotations

import re

_SHORT = 3
"""Words of fewer letters say nothing about what an incident is."""
_ALIKE = 0.5


def alike(one: str, other: str) -> bool:
    """Half of all the words of both titles, or more, are in both; case and order do not matter."""
    mine, theirs = _words(one), _words(other)
    return bool(mine and theirs) and len(mine & theirs) / len(mine | theirs) >= _ALIKE


def _words(title: str) -> frozenset[str]:
    return frozenset(word for word in re.findall(r"\w+", title.casefold()) if len(word) >= _SHORT)
