"""Columns that steer behaviour: by whose clock somebody sleeps, and in which words they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tzlocal.windows_tz import win_tz

from app.directory import service
from app.directory.importing import Report
from app.directory.languages import read_language
from app.directory.time_zones import read_zone, zone_name
from app.kernel.db import Database, run
from app.playbooks.rules import quiet_until, zone_of
from app.playbooks.schema import QuietHours

Load = Callable[..., Awaitable[Report]]
Look = Callable[[str], Awaitable[dict[str, Any]]]

HEADER = "id,name,department,time_zone,language\n"


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Europe/London", "Europe/London"),
        ("Europe/london", "Europe/London"),
        ("EUROPE/LONDON", "Europe/London"),
        ("america/new york", "America/New_York"),
        ("Europe / Berlin", "Europe/Berlin"),
        ("utc", "UTC"),
        ("GMT Standard Time", "Europe/London"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("w. europe standard time", "Europe/Berlin"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("Pacific Daylight Time", "America/Los_Angeles"),
        ("Central Standard Time (Mexico)", "America/Mexico_City"),
        ("(UTC-08:00) Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam"),
        ("(UTC) Coordinated Universal Time", "UTC"),
    ],
)
def test_a_zone_is_known_by_its_names(written: str, zone: str) -> None:
    assert (read_zone(written).name, read_zone(written).remark) == (zone, None)


def test_every_windows_name_is_a_zone_that_exists() -> None:
    for name, zone in win_tz.items():
        assert zone_name(name.upper()) == ("UTC" if name == "UTC" else zone)
        ZoneInfo(zone)


@pytest.mark.parametrize(
    ("written", "zone", "said"),
    [
        ("London", "Europe/London", "Europe/London is used"),
        ("UTC+1", "Etc/GMT-1", "without summer time"),
        ("GMT-08:00", "Etc/GMT+8", "without summer time"),
        ("+02:00", "Etc/GMT-2", "without summer time"),
        ("EST", "EST", "America/New_York"),
        ("UTC+5:30", None, "Asia/Kolkata"),
        ("PST", None, "America/Los_Angeles"),
        ("Europe/Lodnon", None, "Europe/London"),
        ("Mars/Base", None, "such as Europe/London"),
        ("Europe", None, "is not a time zone"),
        ("n/a", None, "is not a time zone"),
    ],
)
def test_what_is_no_zone_is_told_with_what_would_be_right(written: str, zone: str | None, said: str) -> None:
    found = read_zone(written)
    assert found.name == zone
    assert said in (found.remark or "")
    if zone:
        ZoneInfo(zone)


def test_a_windows_name_that_is_stored_already_counts() -> None:
    quiet = QuietHours.model_validate({"from": "22:00", "to": "07:00"})
    eleven_at_night = datetime(2026, 3, 3, 7, 4, tzinfo=UTC)  # 23:04 on the Pacific coast
    zone = zone_of("Pacific Standard Time", ZoneInfo("UTC"))
    assert quiet_until(quiet, zone, eleven_at_night) == datetime(2026, 3, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("English", "en"), ("ENGLISH", "en"), ("Deutsch", "de"), ("german", "de"), ("français", "fr"),
        ("Spanish", "es"), ("español", "es"), ("en_GB", "en-GB"), ("EN-gb", "en-GB"), ("en-UK", "en-GB"),
        ("pt-br", "pt-BR"), ("es-MX", "es-MX"), ("zh-hant-tw", "zh-Hant-TW"), ("ger", "de"), ("de_DE.UTF-8", "de-DE"),
        ("iw", "he"), ("日本語", "ja"), ("en", "en"),
    ],
)  # fmt: skip
def test_a_language_is_known_by_its_tag_and_its_names(written: str, tag: str) -> None:
    assert (read_language(written).tag, read_language(written).remark) == (tag, None)


@pytest.mark.parametrize(
    ("written", "tag", "said"),
    [
        ("en;de", "en", "several languages; en is used"),
        ("zz", None, "BCP 47"),
        ("jp", None, "perhaps ja"),
        ("und", None, "BCP 47"),
        ("n/a", None, "BCP 47"),
        ("Store", None, "BCP 47"),
    ],
)
def test_what_is_no_language_is_told(written: str, tag: str | None, said: str) -> None:
    found = read_language(written)
    assert found.tag == tag
    assert said in (found.remark or "")


async def test_an_import_keeps_one_name_and_what_is_known_when_a_cell_means_nothing(load: Load, look: Look) -> None:
    first = await load(HEADER + "E1,Ann,IT,Pacific Standard Time,Deutsch\nE2,Bo,IT,Mars/Base,Martian\n")
    ann, bo = await look("E1"), await look("E2")
    assert (ann["time_zone"], ann["language"]) == ("America/Los_Angeles", "de")
    assert (bo["time_zone"], bo["language"]) == (None, None)
    assert [(issue.line, issue.column) for issue in first.warnings] == [(3, "language"), (3, "time_zone")]
    assert all(issue.reason.endswith("it was left out") for issue in first.warnings)
    again = await load(HEADER + "E1,Ann,IT,Mars/Base,Martian\n")
    assert (again.updated, again.unchanged) == (0, 1)
    assert all(issue.reason.endswith("the known value stays") for issue in again.warnings)
    assert await look("E1") == ann


async def test_the_directory_says_whose_zone_is_not_known(load: Load, db: Database) -> None:
    await load(HEADER + "E1,Ann,IT,Europe/Berlin,\nE2,Bo,IT,,\nE3,Cy,IT,UTC,\nE4,Di,IT,UTC,\n")
    async with db.begin() as session:
        await run(session, "UPDATE person SET time_zone = 'Mars/Base' WHERE employee_id = 'E3'")
        await run(session, "UPDATE person SET time_zone = 'Tokyo Standard Time' WHERE employee_id = 'E4'")
        found = await service.zones(session)
    assert (found.people, found.none, found.unknown, found.some) == (4, 2, ("Mars/Base",), ("E2", "E3"))
