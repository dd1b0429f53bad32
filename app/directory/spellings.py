"""The several ways in which one number is written in E.164, by directories, carriers and its own country. Pure.

Where a country changed how its mobiles are dialled from abroad, files and carriers go on with both:

- Mexico dropped the 1 after +52 in 2019 (and 044, 045, 01 at home).
- Argentina's mobiles have a 9 after +54 for calls from abroad, and none in texts from many carriers. The plan has both:
  the one without it is a fixed line to the plan, and only who wrote it knows better.
- Brazil put a 9 before every mobile number of eight digits by 2016.

Source: the numbering plans and mobile tokens of libphonenumber; the countries' own announcements for what its plans
no longer hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from app.directory.numbering_plan import classify

MEXICO, ARGENTINA, BRAZIL = 52, 54, 55
DIALLED_BEFORE = {MEXICO: ("1", "044", "045", "01")}
"""Country code -> what stood before a mobile number once and is no part of it any more."""

_CHANGED = frozenset({*DIALLED_BEFORE, BRAZIL})
"""Countries whose numbers of before are in no plan any more. Nobody else's are looked up for it."""

_AREA_DIGITS = 2
"""Of a Brazilian number: the 9 stands behind them."""


def as_dialled_now(number: PhoneNumber) -> PhoneNumber:
    """The number in its plan's present form; itself when the plan has it as it is, or in no form that we know."""
    if number.country_code not in _CHANGED or _in_plan(number):
        return number
    return next((form for form in _present_forms(number) if _in_plan(form)), number)


def as_mobile(number: PhoneNumber) -> PhoneNumber:
    """What a text goes to when this is said to be a mobile: in Argentina with the 9, itself everywhere else."""
    token = phonenumbers.country_mobile_token(number.country_code or 0)
    if not token or classify(number)[1] == PhoneNumberType.MOBILE:
        return number
    mobile = _form(number, token + _national(number))
    return mobile if classify(mobile)[1] == PhoneNumberType.MOBILE else number


def canonical(text: str) -> str | None:
    """An international number in E.164 as the directory keeps it; None when the text is none."""
    try:
        return _e164(as_dialled_now(phonenumbers.parse(text, None)))
    except NumberParseException:
        return None


def spellings(address: str) -> tuple[str, ...]:
    """Every form of an E.164 number that may stand for the same telephone: the given one first, most have no other."""
    if not address.startswith(("+52", "+54", "+55")):
        return (address,)
    try:
        number = as_dialled_now(phonenumbers.parse(address, None))
    except NumberParseException:
        return (address,)
    return tuple(dict.fromkeys([address, _e164(number), *map(_e164, _former_forms(number))]))


def _present_forms(number: PhoneNumber) -> Iterator[PhoneNumber]:
    national = _national(number)
    for before in DIALLED_BEFORE.get(number.country_code or 0, ()):
        if national.startswith(before):
            yield _form(number, national.removeprefix(before))
    if number.country_code == BRAZIL and national[_AREA_DIGITS : _AREA_DIGITS + 1] in tuple("6789"):
        yield _form(number, f"{national[:_AREA_DIGITS]}9{national[_AREA_DIGITS:]}")


def _former_forms(number: PhoneNumber) -> Iterator[PhoneNumber]:
    """Of a number in its present form. A form that the plan gives to another telephone is none."""
    national, code = _national(number), number.country_code
    kind = classify(number)[1]
    if code == MEXICO and kind != PhoneNumberType.UNKNOWN:
        yield _form(number, DIALLED_BEFORE[MEXICO][0] + national)
    elif code == ARGENTINA:
        token = phonenumbers.country_mobile_token(ARGENTINA)
        other = _form(number, national.removeprefix(token) if national.startswith(token) else token + national)
        if _in_plan(other):
            yield other
    elif code == BRAZIL and kind == PhoneNumberType.MOBILE and national[_AREA_DIGITS : _AREA_DIGITS + 1] == "9":
        former = _form(number, national[:_AREA_DIGITS] + national[_AREA_DIGITS + 1 :])
        if not _in_plan(former):
            yield former


def _in_plan(number: PhoneNumber) -> bool:
    return classify(number)[1] != PhoneNumberType.UNKNOWN


def _national(number: PhoneNumber) -> str:
    return phonenumbers.national_significant_number(number)


def _form(number: PhoneNumber, national: str) -> PhoneNumber:
    return PhoneNumber(country_code=number.country_code, national_number=int(national or 0))


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
