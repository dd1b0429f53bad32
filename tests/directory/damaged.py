"""people-spreadsheet.csv: an HR export that a spreadsheet damaged, and what has to come of every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "data" / "people-spreadsheet.csv"

PEOPLE: dict[str, dict[str, Any]] = {
    # A float's `.0` behind manager and number, a Windows name as time zone.
    "00123": {
        "name": "Nora Lind", "manager_id": "1001", "time_zone": "Europe/London", "language": "en-GB",
        "mobile": "+447700900123",
    },
    # Both guards, a zone in the wrong case, a language by its name.
    "00124": {
        "name": "Omar Reis", "manager_id": "00123", "time_zone": "Europe/London", "language": "en",
        "mobile": "+447700900124",
    },
    # Her own manager, a number that was shortened, a zone of nowhere.
    "1001": {"name": "Pia Sund", "manager_id": None, "time_zone": None, "language": None, "mobile": None},
    # A float as id, a label behind the number.
    "1002": {
        "name": "Quin Abe", "manager_id": "1001", "time_zone": "Europe/Berlin", "language": "de",
        "mobile": "+491701234567",
    },
    # The 1 that Mexico dropped.
    "1003": {
        "name": "Rosa Diaz", "manager_id": "1001", "time_zone": "America/Mexico_City", "language": "es-MX",
        "mobile": "+525512345679",
    },
    # Two numbers: the second is the mobile.
    "1004": {
        "name": "Sol Paz", "manager_id": "1001", "time_zone": None, "language": "es", "mobile": "+5493412345678",
        "phone": "+541123456789",
    },
}  # fmt: skip
"""By the id in the directory. Every email is there as well."""

OUTSIDE = "is outside the numbering plan of GB; it is used all the same"

REPORT: dict[str, Any] = {
    "created": 6, "updated": 0, "unchanged": 0, "deactivated": 0, "dry_run": False,
    "rejected": [
        {
            "line": 5, "id": "123", "column": "id",
            "reason": "123 is 00123 in another shape, with the same name and number (line 3); keep one of the two ids",
        },
    ],
    "warnings": [
        {"line": 3, "id": "00123", "column": "mobile", "reason": f'"+447700900123" {OUTSIDE}'},
        {"line": 4, "id": "00124", "column": "mobile", "reason": f'"+447700900124" {OUTSIDE}'},
        {
            "line": 6, "id": "1001", "column": "manager_id",
            "reason": "names the person as their own manager; the manager was left out",
        },
        {
            "line": 6, "id": "1001", "column": "mobile",
            "reason": '"4.477E+11" is a number that a spreadsheet shortened; store the column as text and export it '
            "again; it was left out",
        },
        {
            "line": 6, "id": "1001", "column": "time_zone",
            "reason": '"Mars/Base" is not a time zone; write its IANA name, such as Europe/London; it was left out',
        },
        {
            "line": 9, "id": "1004", "column": "mobile",
            "reason": '"+54 11 2345-6789 / +54 9 341 234 5678" holds several numbers; +5493412345678 is used as the '
            "mobile, +541123456789 as the phone",
        },
    ],
}  # fmt: skip


def told(person: dict[str, Any]) -> dict[str, Any]:
    """A person of the API, as far as PEOPLE says."""
    numbers = {point["kind"]: point["address"] for point in person["contact_points"]}
    shown = {name: person[name] for name in ("name", "manager_id", "time_zone", "language")}
    return shown | {"mobile": numbers.get("mobile")} | ({"phone": numbers["phone"]} if "phone" in numbers else {})
