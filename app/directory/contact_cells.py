"""A contact cell as people fill it: one number or address, or several in one cell. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from app.directory import numbers
from app.directory.labels import divided_at_labels
from app.directory.numbers import EmailProblem, Number, NumberProblem, read_email, read_number

T = TypeVar("T")

_BETWEEN_NUMBERS = re.compile(
    r"\s*[;/,|\n&]\s*|\s+(?:or|and|und|oder|ou|et|o|y|e|of|en)\s+|\s*-?\s+(?=\+)", re.IGNORECASE
)
_BETWEEN_SURELY = re.compile(r"\s*[;,|\n&]\s*|\s+(?:or|and|und|oder|ou|et|o|y|e|of|en)\s+", re.IGNORECASE)
"""Signs that stand inside no number as a slash does."""
_OTHER_ENDING = re.compile(r"-\s?(\d{1,4})\s*(/\s*(\d{1,4}))$")
"""`1234-56/57`: the number ends with 56 or with 57."""
_MAY_DIVIDE = re.compile(r"[;/,|\n&]|\s\+|[a-z]\s|\d\s*[(\[]?[a-z]", re.IGNORECASE)
"""What every cell with two numbers has; nearly all others need no second look."""
_BETWEEN_ADDRESSES = re.compile(r"\s*[;,|/\n]\s*|(?<=\w)\s+(?=\S+@)")
_ANGLED = re.compile(r"<\s*([^<>\s]+@[^<>\s]+)\s*>")
_MOST_SHOWN = 40
_LEAST_DIGITS = 7
"""Fewer are no number of their own beside another: an extension, or the other ending of the same number."""


Tell = Callable[[str, str], None]
"""Takes a column and what to know about its cell."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """How one row says that its person can be reached; None: it does not say."""

    mobile: Number | None
    phone: Number | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a cell holds: `usable` at least one, in their order, each once; `left` the rest as it is written."""

    usable: tuple[T, ...]
    left: tuple[str, ...] = ()


def read_contacts(cells: Mapping[str, str], country: str | None, *, warn: Tell, drop: Tell) -> Contacts:
    """The contact cells of one row. `warn` hears of what is used otherwise than it stands there, `drop` of each cell
    that cannot be used."""
    mobiles = _numbers(cells.get("mobile", ""), "mobile", country, drop)
    phones = _numbers(cells.get("phone", ""), "phone", country, drop)
    mobile: Number | None
    if mobiles and len(mobiles.usable) + len(mobiles.left) > 1:
        mobile, phone = _shared_out(cells["mobile"], "mobile", mobiles, phones.usable[0] if phones else None, warn)
    elif phones and not mobiles and len(phones.usable) > 1:
        mobile, phone = _shared_out(cells["phone"], "phone", phones, None, warn)
    else:
        mobile = mobiles.usable[0] if mobiles else None
        phone = phones.usable[0] if phones else None
        if phones and (left := [number.e164 for number in phones.usable[1:]] + list(phones.left)):
            warn("phone", f"{quoted(cells['phone'])} holds several numbers; {', '.join(left)} was left out")
    mobile = mobile and numbers.to_be_texted(mobile)
    for column, number in (("mobile", mobile), ("phone", phone)):
        if number and not number.valid:
            plan = f"the numbering plan of {number.country}"
            warn(column, f"{quoted(cells.get(column) or number.e164)} is outside {plan}; it is used all the same")
    return Contacts(mobile, phone, _email(cells.get("email", ""), warn, drop))


def quoted(text: str) -> str:
    """The text as a report shows it, in quotation marks, not too long."""
    text = " ".join(text.split())
    return f'"{text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."}"'


def _numbers(cell: str, column: str, country: str | None, drop: Tell) -> Found[Number] | None:
    if not cell:
        return None
    try:
        return read_numbers(cell, country)
    except NumberProblem as problem:
        drop(column, f"{quoted(cell)} {problem.reason}")
        return None


def _shared_out(
    cell: str, column: str, found: Found[Number], phone: Number | None, warn: Tell
) -> tuple[Number, Number | None]:
    """(mobile, phone): the first that can be texted is the mobile, the next the phone unless the row has one."""
    mobile = next((number for number in found.usable if number.can_text), found.usable[0])
    others = [number for number in found.usable if number is not mobile]
    left = [number.e164 for number in others] + list(found.left)
    said = f"{mobile.e164} is used as the mobile"
    if others and phone is None:
        phone, left = others[0], left[1:]
        said += f", {phone.e164} as the phone"
    if left:
        said += f"; {', '.join(left)} was left out"
    warn(column, f"{quoted(cell)} holds several numbers; {said}")
    return mobile, phone


def _email(cell: str, warn: Tell, drop: Tell) -> str | None:
    if not cell:
        return None
    try:
        found = read_emails(cell)
    except EmailProblem as problem:
        drop("email", f"{quoted(cell)} {problem.reason}")
        return None
    if left := found.usable[1:] + found.left:
        warn("email", f"{quoted(cell)} holds several addresses; {found.usable[0]} is used, {', '.join(left)} left out")
    return found.usable[0]


@lru_cache(maxsize=4096)  # as for the numbers themselves
def read_numbers(text: str, country: str | None) -> Found[Number]:
    """The numbers in a cell. Raises NumberProblem when there is none, as `read_number` does for the whole.

    A sign that may stand inside one number (`0170/1234567`) divides only what is two numbers on both sides of it, or
    what makes no valid number together. What begins with an area code alone is never divided: the rest would be read
    as a number of its own, and be a stranger's.
    """
    if not _MAY_DIVIDE.search(text):
        return Found((read_number(text, country),))
    text = divided_at_labels(text)
    if several := _surely_divided(text, country):
        return several
    if (ending := _OTHER_ENDING.search(text)) and len(ending[1]) == len(ending[3]):
        return Found((read_number(text[: ending.start(2)], country),), (ending[3],))
    written = _BETWEEN_NUMBERS.split(text)
    pieces = [piece for piece in written if _digits(piece)]
    if len(written) < 2 or not pieces or _digits(pieces[0]) < _LEAST_DIGITS:
        return Found((read_number(text, country),))
    usable, left = _each(pieces, lambda piece: _one(piece, country))
    valid = [number for number in usable if number.valid]
    if len(valid) == len(pieces) > 1:
        return Found(tuple(dict.fromkeys(valid)))
    try:
        whole, problem = read_number(text, country), None
    except NumberProblem as error:
        whole, problem = None, error
    if whole and whole.valid:
        return Found((whole,))
    first = bool(valid) or left[:1] != pieces[:1]
    if usable and (len(usable) > 1 or (first and not numbers.has_extension(numbers.plain_number(text)))):
        return Found(tuple(dict.fromkeys(usable)), tuple(left))
    if whole:
        return Found((whole,))
    assert problem
    raise problem


def _surely_divided(text: str, country: str | None) -> Found[Number] | None:
    """What stands on both sides of a sign that no number has inside, when each side has a number; else None."""
    pieces = [piece for piece in _BETWEEN_SURELY.split(text) if piece]
    if len(pieces) < 2 or min(map(_digits, pieces)) < _LEAST_DIGITS:
        return None
    try:
        found = [read_numbers(piece, country) for piece in pieces]
    except NumberProblem:
        return None
    usable = dict.fromkeys(number for each in found for number in each.usable)
    return Found(tuple(usable), tuple(rest for each in found for rest in each.left))


def read_emails(text: str) -> Found[str]:
    """The mail addresses in a cell, `Ann Lee <ann@example.com>` included. Raises EmailProblem when there is none, and
    when words before the first may belong to it: `ann, lee@example.com` is not for whoever has `lee@example.com`."""
    try:
        return Found((read_email(text),))
    except EmailProblem as error:
        problem = error
    pieces = [piece for piece in _BETWEEN_ADDRESSES.split(_ANGLED.sub(r";\1;", text)) if piece.strip()]
    if _ANGLED.search(text):
        pieces = [piece for piece in pieces if "@" in piece]
    if not pieces or "@" not in pieces[0]:
        raise problem
    usable, left = _each([piece.removeprefix("mailto:") for piece in pieces], read_email)
    if not usable:
        raise problem
    return Found(tuple(dict.fromkeys(usable)), tuple(left))


def _one(piece: str, country: str | None) -> Number:
    if _digits(piece) < _LEAST_DIGITS:
        raise NumberProblem("is too short for a phone number")
    return read_number(piece, country)


def _digits(text: str) -> int:
    return sum(sign.isdigit() for sign in text)


def _each(pieces: list[str], read: Callable[[str], T]) -> tuple[list[T], list[str]]:
    usable: list[T] = []
    left: list[str] = []
    for piece in pieces:
        try:
            usable.append(read(piece))
        except (NumberProblem, EmailProblem):
            left.append(piece)
    return usable, left
