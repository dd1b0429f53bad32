"""What a commander fills in: every wrong fact is named with what would be right, and every value reads well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.playbooks.facts import (
    UnknownNameError,
    examples,
    fact_texts,
    format_fact,
    from_text,
    latest_passed,
    names_within,
    render,
    validate_facts,
    validate_value,
)
from app.playbooks.schema import Fact
from app.playbooks.template import is_control
from tests.effort import tries

from .sample import changed, playbook

NOW = datetime(2026, 3, 6, 13, 2, 30, tzinfo=UTC)  # a Friday
PARIS = ZoneInfo("Europe/Paris")
SITES = ["Atlanta", "Boston", "Paris"]
GOOD: dict[str, Any] = {"vendor": "Northwind", "kind": "power", "hit": 3, "next_update": "2026-03-06T14:20:00Z"}


def fact(**fields: Any) -> Fact:
    return Fact.model_validate({"help": "x", **fields})


TEXT = fact(type="text", max=10, example="tills")
CHOICE = fact(type="choice", choices=["Cards at tills", "refunds"], example="refunds")
MANY = fact(type="choice", many=True, choices=["cards", "refunds", "online"], example=["cards"])
PLACES = fact(type="choice", many=True, **{"from": "directory.sites"})
PLACE = fact(type="choice", **{"from": "directory.sites"})
NUMBER = fact(type="number", min=1, max=500, example=50, unit="EUR")
DECIMAL = fact(type="number", min=-10, max=10, decimals=2, example=1.5, unit="%")
TIME = fact(type="time")
AHEAD = fact(type="time", future=True)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (TEXT, "  tills ", "tills"),
        (TEXT, " 10 chars! ", "10 chars!"),
        (TEXT, "Zürich 😀", "Zürich 😀"),
        (CHOICE, "cards  AT tills", "Cards at tills"),
        (MANY, ["Refunds", "cards", "refunds"], ["refunds", "cards"]),
        (MANY, "online", ["online"]),
        (PLACES, ["paris", "Boston"], ["Paris", "Boston"]),
        (PLACE, "PARIS", "Paris"),
        (NUMBER, 1, 1),
        (NUMBER, 500.0, 500),
        (DECIMAL, -9.99, -9.99),
        (TIME, "2026-03-06T14:20:00Z", "2026-03-06T14:20:00Z"),
        (TIME, "2026-03-06T15:20:00+01:00", "2026-03-06T15:20:00+01:00"),
        (TIME, "2026-03-06t14:20:00.5z", "2026-03-06T14:20:00.5Z"),
        (TIME, "2026-03-06 14:20-05:30", "2026-03-06T14:20:00-05:30"),
        (TIME, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_good_value_is_kept_as_declared(kind: Fact, value: object, kept: object) -> None:
    assert validate_value(kind, value, sites=SITES, now=NOW) == (kept, None)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (TEXT, 12, 'must be text in quotes; give text of at most 10 characters, such as "tills"'),
        (TEXT, "", 'is empty; give text of at most 10 characters, such as "tills"'),
        (TEXT, " \t ", "is empty"),
        (TEXT, "\u200b", "is empty"),
        (TEXT, "twelve chars", "has 12 characters; shorten it by 2 to at most 10"),
        (TEXT, "two\nlines", "holds a line break or a control character; write it in one line"),
        (TEXT, "a\u2028b", "holds a line break"),
        (TEXT, "a\u202eb", "holds a line break or a control character"),
        (TEXT, "a\x00b", "holds a line break or a control character"),
        (TEXT, "a\ud800", "holds a line break or a control character"),
        (TEXT, ["tills"], "must be text in quotes"),
        (CHOICE, "refund", 'holds "refund", which is not one of the choices; did you mean "refunds"?'),
        (CHOICE, "xyz", "which is not one of the choices; give one of Cards at tills and refunds"),
        (CHOICE, ["refunds"], "takes one choice, not a list; give one of"),
        (CHOICE, 1, "must be text in quotes; give one of Cards at tills and refunds"),
        (MANY, ["cards", "zzz"], 'holds "zzz", which is not one of the choices; give one or more of cards,'),
        (MANY, [], "is empty; give one or more of cards, refunds and online"),
        (MANY, [["cards"]], "must be text in quotes"),
        (PLACES, ["Rome"], 'holds "Rome", which is not a site in the directory; give one or more of Atlanta,'),
        (PLACE, "Bostn", 'is not a site in the directory; did you mean "Boston"?'),
        (NUMBER, "50", "must be a number without quotes; give a whole number from 1 to 500, such as 50"),
        (NUMBER, True, "must be a number without quotes"),
        (NUMBER, float("nan"), "must be a number without quotes"),
        (NUMBER, float("inf"), "must be a number without quotes"),
        (NUMBER, 0, "is out of range; give a whole number from 1 to 500"),
        (NUMBER, 10**400, "is out of range"),
        (NUMBER, 1.5, "has too many decimals; give a whole number"),
        (DECIMAL, 0.125, "has too many decimals; give a number with at most 2 decimals from -10 to 10, such as 1.5"),
        (TIME, "2026-03-06T14:20:00", "has no offset, so it means another time at every site; give a time"),
        (TIME, "14:20", "is not a time; give a time with its offset from UTC, such as 2026-03-06T14:05:00Z"),
        (TIME, 1772800000, "is not a time"),
        (TIME, "2026-02-30T14:20:00Z", "is no time of any calendar"),
        (TIME, "2026-03-06T25:20:00Z", "is no time of any calendar"),
        (TIME, "0001-01-01T00:00:00+23:00", "is no time of any calendar"),
        (TIME, "1999-12-31T23:59:59Z", "is not a time of our days"),
        (TIME, "9999-12-31T23:59:59-23:59", "is no time of any calendar"),
        (AHEAD, "2026-03-06T13:02:30Z", "has passed already; give a time that lies ahead with its offset from UTC"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_would_be_right(kind: Fact, value: object, said: str) -> None:
    kept, what = validate_value(kind, value, sites=SITES, now=NOW)
    assert kept is None
    assert said in (what or "")


def test_every_missing_and_wrong_fact_is_named_at_once() -> None:
    clean, wrong = validate_facts(
        playbook(), {"vendr": "x", "vendor": "x" * 31, "kind": None, "zzz": 1}, sites=SITES, now=NOW
    )
    assert clean == {}
    assert [str(problem) for problem in wrong] == [
        'vendr is not a fact of this playbook; did you mean "vendor"?',
        "vendor has 31 characters; shorten it by 1 to at most 30",
        "zzz is not a fact of this playbook; its facts are vendor, kind, hit, next_update and sites",
        "kind is missing; give one of power and network",
        "hit is missing; give a whole number from 0 to 500, such as 12",
        "next_update is missing; give a time that lies ahead with its offset from UTC, such as 2026-03-06T14:05:00Z",
    ]


def test_a_site_cannot_be_given_while_the_directory_is_empty() -> None:
    _, wrong = validate_facts(playbook(), GOOD | {"sites": ["Paris"]}, sites=[], now=NOW)
    assert [str(problem) for problem in wrong] == [
        'sites holds "Paris", which is not a site in the directory; '
        "give a site of the directory (it has none yet; import people first)"
    ]


def test_a_bulletin_overrides_the_latest_facts_and_leaves_the_rest() -> None:
    previous = GOOD | {"sites": ["Paris"], "gone": "of an older revision"}
    clean, wrong = validate_facts(playbook(), {"hit": 9}, previous=previous, sites=SITES, now=NOW)
    assert wrong == []
    assert clean == GOOD | {"hit": 9, "sites": ["Paris"]}
    assert list(clean) == ["vendor", "kind", "hit", "next_update", "sites"]
    assert validate_facts(playbook(), {}, previous=previous, sites=SITES, now=NOW)[0] == GOOD | {"sites": ["Paris"]}


def test_a_bulletin_takes_an_optional_fact_back_with_none_and_a_required_one_never() -> None:
    previous = GOOD | {"sites": ["Paris"]}
    clean, wrong = validate_facts(playbook(), {"sites": None}, previous=previous, sites=SITES, now=NOW)
    assert (clean, wrong) == (GOOD, [])
    _, wrong = validate_facts(playbook(), {"kind": None}, previous=previous, sites=SITES, now=NOW)
    assert [problem.what for problem in wrong] == ["is missing; give one of power and network"]


def test_partly_given_facts_are_not_called_missing() -> None:
    assert validate_facts(playbook(), {"hit": 1}, sites=SITES, now=NOW, partial=True) == ({"hit": 1}, [])


def test_a_next_update_that_has_passed_is_noticed() -> None:
    book = playbook()
    assert latest_passed(book, GOOD, zone=PARIS, now=NOW) == []
    stale = latest_passed(book, GOOD, zone=PARIS, now=NOW + timedelta(hours=2))
    assert [str(problem) for problem in stale] == [
        "next_update was 15:20 CET, which has passed; "
        "give a time that lies ahead with its offset from UTC, such as 2026-03-06T16:05:00Z"
    ]


@pytest.mark.parametrize(
    ("kind", "value", "zone", "text"),
    [
        (TIME, "2026-03-06T13:20:00Z", "Europe/Paris", "14:20 CET"),
        (TIME, "2026-07-06T13:20:00Z", "Europe/Paris", "6 Jul 15:20 CEST"),
        (TIME, "2026-03-07T13:20:00Z", "Europe/Paris", "Sat 14:20 CET"),
        (TIME, "2026-03-06T23:30:00Z", "Europe/Paris", "Sat 00:30 CET"),
        (TIME, "2026-03-05T13:20:00Z", "Europe/Paris", "Thu 14:20 CET"),
        (TIME, "2026-03-12T13:20:00Z", "Europe/Paris", "Thu 14:20 CET"),
        (TIME, "2026-03-13T13:20:00Z", "Europe/Paris", "13 Mar 14:20 CET"),
        (TIME, "2027-01-02T13:20:00Z", "Europe/Paris", "2 Jan 2027 14:20 CET"),
        (TIME, "2026-03-06T14:20:00+01:00", "America/Chicago", "07:20 CST"),
        (TIME, "2026-03-06T13:20:00Z", "Asia/Kolkata", "18:50 IST"),
        (TIME, "2026-03-06T13:20:00Z", "Asia/Kathmandu", "19:05 UTC+05:45"),
        (TIME, "2026-03-06T13:20:00Z", "America/Sao_Paulo", "10:20 UTC-03:00"),
        (TIME, "2026-03-06T13:20:00Z", "UTC", "13:20 UTC"),
        (NUMBER, 50, "UTC", "50 EUR"),
        (DECIMAL, 1.5, "UTC", "1.5%"),
        (DECIMAL, -3.0, "UTC", "-3%"),
        (fact(type="number", max=1e12, example=1), 1e12, "UTC", "1000000000000"),
        (fact(type="number", max=1, decimals=6, example=1), 1e-05, "UTC", "0.00001"),
        (MANY, ["cards"], "UTC", "cards"),
        (MANY, ["cards", "refunds"], "UTC", "cards and refunds"),
        (MANY, ["cards", "refunds", "online"], "UTC", "cards, refunds and online"),
        (CHOICE, "refunds", "UTC", "refunds"),
        (PLACE, "Paris", "UTC", "Paris"),
        (TEXT, "a\nb", "UTC", "a b"),
        (TEXT, None, "UTC", ""),
        (fact(type="text", max=9, example="x", required=False, default="by hand"), None, "UTC", "by hand"),
    ],
)
def test_a_fact_reads_as_people_write_it(kind: Fact, value: object, zone: str, text: str) -> None:
    assert format_fact(kind, value, zone=ZoneInfo(zone), now=NOW) == text


def test_many_sites_stay_within_their_room() -> None:
    names = ["Atlanta", "Boston", "Chicago", "Dallas", "Paris", "Seattle", "Toronto"]
    assert names_within(names, 60) == "Atlanta, Boston, Chicago, Dallas, Paris, Seattle and Toronto"
    assert names_within(names, 40) == "Atlanta, Boston, Chicago and 4 more"
    assert names_within(names, 10) == "7 sites"
    assert names_within(["A hall with a very long name"], 10) == "A hall ..."
    for room in range(10, 80):
        assert len(names_within(names, room)) <= room


@pytest.mark.parametrize("minute", [0, 1, 29, 30, 55, 59])
def test_examples_are_a_valid_declaration_at_any_moment(minute: int) -> None:
    now = datetime(2026, 12, 31, 23, minute, 59, 999_999, tzinfo=UTC)
    for sites in (SITES, ["Paris"], []):
        given_facts = examples(playbook(), sites=sites, now=now)
        clean, wrong = validate_facts(playbook(), given_facts, sites=sites, now=now)
        assert wrong == []
        assert clean.get("sites", None) == (sites[:2] or None)
        then = datetime.fromisoformat(given_facts["next_update"])
        assert then.minute % 5 == 0
        assert then.second == 0
        assert timedelta(hours=1) <= then - now <= timedelta(hours=1, minutes=5)


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        (NUMBER, "50", 50),
        (DECIMAL, "-1.5", -1.5),
        (NUMBER, "many", "many"),
        (MANY, "cards, refunds", ["cards", "refunds"]),
        (PLACES, "Paris;Boston", ["Paris", "Boston"]),
        (fact(type="choice", many=True, choices=["a, b", "c"], example="c"), "a, b", "a, b"),
        (CHOICE, " refunds ", "refunds"),
        (TEXT, "007", "007"),
        (TEXT, "  ", None),
        (TIME, "2026-03-06T14:20:00Z", "2026-03-06T14:20:00Z"),
    ],
)
def test_what_is_typed_becomes_the_value_that_is_meant(kind: Fact, typed: str, value: object) -> None:
    assert from_text(kind, typed) == value


def test_a_value_is_never_a_script() -> None:
    values = {"a": "${b} and $b and $$", "b": "secret"}
    assert render("1: ${a} 2: $$5", values) == "1: ${b} and $b and $$ 2: $5"


def test_a_value_cannot_begin_a_line_of_its_own() -> None:
    assert render("${a}!", {"a": "x\r\nBcc: y\u2028z\u202e"}) == "x  Bcc: y z !"


@pytest.mark.parametrize("script", ["$a", "$5", "${A}", "${a.b}", "${a", "${}", "$", "${a!r}", "${ a }"])
def test_nothing_but_a_name_in_braces_is_replaced(script: str) -> None:
    with pytest.raises(ValueError, match="Invalid placeholder"):
        render(script, {"a": "x"})


def test_a_name_without_a_value_is_not_skipped() -> None:
    with pytest.raises(UnknownNameError, match="vendor"):
        render("${vendor}", {})


def test_every_declared_name_and_the_built_ins_have_a_text() -> None:
    book = playbook(changed(("default: every site", "default: all sites")))
    texts = fact_texts(book, GOOD, zone=PARIS, now=NOW, severity="SEV1", incident="INC-2026-0001")
    assert texts == {
        "vendor": "Northwind",
        "kind": "power",
        "hit": "3 sites",
        "next_update": "15:20 CET",
        "sites": "all sites",
        "severity": "SEV1",
        "incident": "INC-2026-0001",
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=tries(300))
@given(st.sampled_from([TEXT, CHOICE, MANY, PLACES, PLACE, NUMBER, DECIMAL, TIME, AHEAD]), json_values)
def test_any_value_is_either_kept_and_read_out_or_refused_in_words(kind: Fact, value: object) -> None:
    kept, what = validate_value(kind, value, sites=SITES, now=NOW)
    assert kept is None or what is None
    if kept is not None:
        assert validate_value(kind, kept, sites=SITES, now=NOW) == (kept, None)
        assert not any(map(is_control, format_fact(kind, kept, zone=PARIS, now=NOW)))
