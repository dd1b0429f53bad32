"""What each channel is, one row for each: what it is called, and how it is handed over. Pure.

A new kind of channel begins here; tests/channels/test_kinds.py says what else it lacks. A further provider for one
of these needs no row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`label`, `noun`, `verb` and `provider` are its words: Text, a text, to text, the SMS provider.

    `rings`: it goes to a phone number, so it wakes people (quiet hours), is bound to the countries allowed, and its
    failures say something about the number. `chunk`: how many are marked at a time, as many as may become unknown
    when the power goes. `lanes`: how many chunks are under way at once.
    """

    name: str
    label: str
    noun: str
    verb: str
    provider: str
    rings: bool
    chunk: int
    lanes: int


KINDS: dict[str, Kind] = {
    row.name: row
    for row in (
        Kind("sms", "Text", "text", "text", "SMS", rings=True, chunk=20, lanes=4),
        Kind("email", "Email", "email", "email", "email", rings=False, chunk=2, lanes=4),
        Kind("voice", "Call", "call", "call", "phone call", rings=True, chunk=10, lanes=2),
    )
}

RINGING = tuple(kind.name for kind in KINDS.values() if kind.rings)


def sql_list(names: tuple[str, ...] | dict[str, Kind]) -> str:
    """Names of ours as an SQL list, for fixed conditions: `'sms', 'voice'`."""
    return ", ".join(f"'{name}'" for name in names)
