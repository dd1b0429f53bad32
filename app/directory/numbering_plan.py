"""Which country and kind a number is, by the numbering plans that `phonenumbers` carries.

The library's own questions (`region_code_for_number`, `number_type`, `is_valid_number`) each look the number up anew,
fetching every pattern again; an import of 100,000 people asks them 200,000 times. Here each plan is compiled once and
answers both in one look-up. The rules are the library's; a test holds the answers to its own, number by number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType

# In the order in which the first that fits is the answer. Fixed line and mobile come after, together.
_SPECIAL = (
    (PhoneNumberType.PREMIUM_RATE, "premium_rate"),
    (PhoneNumberType.TOLL_FREE, "toll_free"),
    (PhoneNumberType.SHARED_COST, "shared_cost"),
    (PhoneNumberType.VOIP, "voip"),
    (PhoneNumberType.PERSONAL_NUMBER, "personal_number"),
    (PhoneNumberType.PAGER, "pager"),
    (PhoneNumberType.UAN, "uan"),
    (PhoneNumberType.VOICEMAIL, "voicemail"),
)

_Fits = Callable[[str], Any]
"""Whether a national number belongs to one part of a plan (truthy)."""


@dataclass(frozen=True, slots=True)
class _Plan:
    region: str
    begins: _Fits | None
    """Where several countries share a code: tells a country's numbers by their first digits alone."""
    general: _Fits
    special: tuple[tuple[int, _Fits], ...]
    fixed: _Fits
    mobile: _Fits
    mobile_is_fixed: bool


def classify(number: PhoneNumber) -> tuple[str | None, int]:
    """(ISO code, PhoneNumberType). UNKNOWN when the plan does not contain the number; no code when no country does."""
    national = phonenumbers.national_significant_number(number)
    plans = _plans(number.country_code or 0)
    for plan in plans:
        if plan.begins is not None:
            if plan.begins(national):
                return plan.region, _kind(plan, national)
        elif (kind := _kind(plan, national)) != PhoneNumberType.UNKNOWN or len(plans) == 1:
            return plan.region, kind
    return None, PhoneNumberType.UNKNOWN


def _kind(plan: _Plan, national: str) -> int:
    if not plan.general(national):
        return PhoneNumberType.UNKNOWN
    for kind, fits in plan.special:
        if fits(national):
            return kind
    if plan.fixed(national):
        either = plan.mobile_is_fixed or plan.mobile(national)
        return PhoneNumberType.FIXED_LINE_OR_MOBILE if either else PhoneNumberType.FIXED_LINE
    if not plan.mobile_is_fixed and plan.mobile(national):
        return PhoneNumberType.MOBILE
    return PhoneNumberType.UNKNOWN


@cache
def _plans(country_code: int) -> tuple[_Plan, ...]:
    regions = phonenumbers.region_codes_for_country_code(country_code)
    plans: list[_Plan] = []
    for region in regions:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
        if metadata is None:
            continue
        first_digits = metadata.leading_digits if len(regions) > 1 else None
        plans.append(
            _Plan(
                region=region,
                begins=re.compile(first_digits).match if first_digits is not None else None,
                general=_fits(metadata.general_desc) or _never,
                special=tuple((kind, fits) for kind, name in _SPECIAL if (fits := _fits(getattr(metadata, name)))),
                fixed=_fits(metadata.fixed_line) or _never,
                mobile=_fits(metadata.mobile) or _never,
                mobile_is_fixed=bool(metadata.same_mobile_and_fixed_line_pattern),
            )
        )
    return tuple(plans)


def _fits(part: Any) -> _Fits | None:
    if part is None or part.national_number_pattern is None:
        return None
    matches = re.compile(part.national_number_pattern).fullmatch
    lengths = frozenset(part.possible_length)
    return (lambda national: len(national) in lengths and matches(national)) if lengths else matches


def _never(_national: str) -> None:
    return None
