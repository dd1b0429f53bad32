"""What an HR file says of a person's time zone, as the IANA name by which quiet hours are counted. Pure.

Sources: the IANA names of `zoneinfo`, and CLDR's table of Windows names (territory 001), which `tzlocal` carries.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, lru_cache
from zoneinfo import available_timezones

from tzlocal.windows_tz import win_tz

_NO_ZONE = frozenset({"Factory", "localtime"})
_OFFSET = re.compile(r"(?:utc|gmt|z)?\s*([+\u2212-])\s*(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_DISPLAYED = re.compile(r"\((?:utc|gmt)\s*(?:[+\u2212-]\s*\d{1,2}:?\d\d)?\)\s*(.+)", re.IGNORECASE)
"""As Windows shows a zone: `(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna`."""
_UNITED_STATES = re.compile(r"(eastern|central|mountain|pacific) time \(us (?:&|and) canada\)")
_TIME = re.compile(r" (?:daylight |summer )?time\b")

LIKELY = {
    "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles", "pt": "America/Los_Angeles",
    "mst": "America/Denver", "mdt": "America/Denver", "mt": "America/Denver",
    "cst": "America/Chicago", "cdt": "America/Chicago", "ct": "America/Chicago",
    "est": "America/New_York", "edt": "America/New_York", "et": "America/New_York",
    "bst": "Europe/London", "ist": "Asia/Kolkata", "cest": "Europe/Berlin", "mez": "Europe/Berlin",
    "mesz": "Europe/Berlin", "jst": "Asia/Tokyo", "aest": "Australia/Sydney", "aedt": "Australia/Sydney",
}  # fmt: skip
"""Abbreviation -> the zone that is probably meant. Never taken: several countries use each of them."""

_UTC_SPELLED_OUT = "coordinated universal time"
_FIXED = frozenset({"EST", "MST"})
"""IANA names without summer time, written by people who mean a zone that has it."""


@dataclass(frozen=True, slots=True)
class Zone:
    """`name` is the IANA name, None where there is none. `remark` says what to know about it, after the quoted cell."""

    name: str | None
    remark: str | None = None


@lru_cache(maxsize=4096)
def read_zone(text: str) -> Zone:
    """The zone that a cell means: an IANA name in any case, a Windows name, else a city or an offset with a remark."""
    wanted = " ".join(text.split()).casefold()
    if name := _named(wanted) or _named(_plain(wanted)):
        if name in _FIXED:
            return Zone(name, f"has no summer time; write {LIKELY[wanted]} if that is meant")
        return Zone(name)
    if (shown := _DISPLAYED.fullmatch(wanted)) and (name := _named(_plain(shown[1]))):
        return Zone(name)
    cities = [city.strip() for city in (shown[1] if shown else wanted).split(",")]
    if name := next((name for city in cities if (name := _cities().get(city))), None):
        return Zone(name, None if shown else f"is no time zone; {name} is used")
    if offset := _OFFSET.match(wanted.lstrip("(")):
        return _of_offset(offset)
    likely = LIKELY.get(wanted) or next(iter(difflib.get_close_matches(wanted, _names(), n=1, cutoff=0.88)), None)
    right = f"perhaps {_named(likely.casefold())}" if likely else "such as Europe/London"
    return Zone(None, f"is not a time zone; write its IANA name, {right}")


def zone_name(text: str | None) -> str | None:
    """The IANA name that a text means, however it is spelled; None where it means none."""
    return read_zone(text).name if text and text.strip() else None


def _plain(wanted: str) -> str:
    return _UNITED_STATES.sub(r"\1 standard time", wanted)


def _named(wanted: str) -> str | None:
    known = _names()
    spellings = (wanted, re.sub(r"\s*/\s*", "/", wanted).replace(" ", "_"), _TIME.sub(" standard time", wanted))
    return next((known[spelling] for spelling in spellings if spelling in known), None)


@cache
def _names() -> dict[str, str]:
    """Every IANA and Windows name, casefolded -> the IANA name."""
    names = {name.casefold(): name for name in available_timezones() - _NO_ZONE}
    return {name.casefold(): zone for name, zone in win_tz.items()} | names | {"z": "UTC", _UTC_SPELLED_OUT: "UTC"}


@cache
def _cities() -> dict[str, str]:
    """The last part of each zone that only one zone has: `london` -> `Europe/London`."""
    zones: defaultdict[str, list[str]] = defaultdict(list)
    for name in available_timezones():
        area, _, city = name.rpartition("/")
        if area and area.split("/")[0] not in ("Etc", "US", "SystemV", "posix", "right"):
            zones[city.replace("_", " ").casefold()].append(name)
    return {city: names[0] for city, names in zones.items() if len(names) == 1}


def _of_offset(found: re.Match[str]) -> Zone:
    sign, hours, minutes = found[1], int(found[2]), int(found[3] or 0)
    ahead = (hours * 60 + minutes) * (1 if sign == "+" else -1)
    if minutes or not -12 * 60 <= ahead <= 14 * 60:
        return Zone(None, "is an offset, not a time zone; write its IANA name, such as Asia/Kolkata")
    name = f"Etc/GMT{-ahead // 60:+d}" if ahead else "UTC"
    return Zone(name, "is an offset without summer time, used as it is; better write the zone, such as Europe/Berlin")
