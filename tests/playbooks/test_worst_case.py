"""The longest text message really is the longest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.channels.sms_text import compose_sms, encoding, segments, units
from app.playbooks.checks import worst_case_sms
from app.playbooks.facts import LONGEST_TIME, format_fact, render, validate_value
from app.playbooks.schema import Fact
from app.playbooks.worst_case import longest_sms
from tests.effort import tries

from .sample import changed, playbook

NOW = datetime(2026, 3, 6, 13, 2, 30, tzinfo=UTC)
LINK = "https://muster.example.com/a/a2b3c4d5e6f7g2h3i4j5"
ZONES = [ZoneInfo(name) for name in sorted(available_timezones()) if name != "localtime"]


def fact(**fields: Any) -> Fact:
    return Fact.model_validate({"help": "x", **fields})


plain_words = st.text("abc XYZ-,.1", min_size=1, max_size=12).filter(str.strip)
words = plain_words | st.text("abc€’ж😀", min_size=1, max_size=12)
site_names: list[str] = ["Paris", "Boston", "Łódź", "A hall with quite a long name indeed"]


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    default = draw(st.none() | words)
    optional = {} if default is None else {"required": False, "default": default}
    kind = draw(st.sampled_from(["text", "choice", "many", "sites", "site", "time", "number"]))
    if kind == "text":
        return fact(type="text", max=draw(st.integers(12, 80)), example="a", **optional)
    if kind in ("choice", "many"):
        choices = draw(
            st.lists(words, min_size=1, max_size=4, unique_by=lambda word: " ".join(word.casefold().split()))
        )
        assume(all(choice == choice.strip() and choice for choice in choices))
        return fact(type="choice", many=kind == "many", choices=choices, example="a", **optional)
    if kind in ("sites", "site"):
        return fact(
            type="choice",
            many=kind == "sites",
            max=draw(st.integers(10, 60)),
            **optional,
            **{"from": "directory.sites"},
        )
    if kind == "time":
        return fact(type="time", **optional)
    low = draw(st.integers(-1000, 1000))
    high = low + draw(st.integers(1, 20_000))
    decimals = draw(st.integers(0, 2))
    return fact(type="number", min=low, max=high, decimals=decimals, unit="km", example=low, **optional)


@st.composite
def value_of(draw: st.DrawFn, kind: Fact) -> Any:
    """A value that the fact accepts; a text within GSM-7 without extension signs, as the worst case assumes."""
    if not kind.required and draw(st.booleans()):
        return None
    if kind.type == "text":
        return draw(st.text("abcW 1", min_size=1, max_size=int(kind.max or 0)).map(str.strip)) or "a"
    if kind.type == "time":
        return (NOW + draw(st.timedeltas(timedelta(days=-500), timedelta(days=900)))).isoformat(timespec="seconds")
    if kind.type == "number":
        return round(draw(st.floats(float(kind.min or 0), float(kind.max or 0))), kind.decimals)
    choices: Sequence[str] = site_names if kind.from_ else kind.choices or []
    if kind.many:
        return draw(st.lists(st.sampled_from(list(choices)), min_size=1, unique=True))
    return draw(st.sampled_from(list(choices)))


@settings(max_examples=tries(400))
@given(st.data())
def test_no_real_message_is_longer_than_the_worst_case(data: st.DataObject) -> None:
    declared = {name: data.draw(facts()) for name in ("a", "b", "c")}
    body = data.draw(
        st.lists(st.sampled_from(["${a}", "${b}", "${c}", "${severity}", " is down. "]), max_size=6).map("".join)
    )
    zone = data.draw(st.sampled_from(ZONES))
    texts = {"severity": "SEV1", "incident": "INC-2026-0001"}
    for name, kind in declared.items():
        value = data.draw(value_of(kind))
        kept, wrong = validate_value(kind, value, sites=site_names, now=NOW)
        assert wrong is None
        texts[name] = format_fact(kind, kept, zone=zone, now=NOW)
    real = compose_sms(render(body, texts), link=LINK, code="K7", drill=data.draw(st.booleans()))
    worst = longest_sms(body, declared, sites=site_names)
    assert segments(real) <= segments(worst)
    if encoding(real) == encoding(worst):
        assert units(real) <= units(worst)


def test_no_time_in_any_zone_is_longer_than_the_longest() -> None:
    kind = fact(type="time")
    for zone in ZONES:
        for days in range(-400, 800, 7):
            value = (NOW + timedelta(days=days)).isoformat()
            assert len(format_fact(kind, value, zone=zone, now=NOW)) <= len(LONGEST_TIME)


def test_the_worst_case_of_a_script_is_the_text_one_would_get() -> None:
    book = playbook()
    text = worst_case_sms(book, "investigating", "front_line")
    assert text.startswith(
        f"DRILL. {'W' * 30} investigating for front_line. network at 500 sites. Next update {LONGEST_TIME}."
    )
    assert text.endswith(" Code K7W. Reply 1 OK, 2 need help, 3 cannot DRILL")
    assert "https://" in text
    shorter = worst_case_sms(book, "investigating", "front_line", drill=False, link_length=45)
    assert len(text) - len(shorter) == len("DRILL.  DRILL") + 25


def test_a_translation_has_a_worst_case_of_its_own() -> None:
    voice = "voice: ${vendor} has a fault."
    book = playbook(changed((voice, voice + "\n      languages: {fr: {sms: 'Panne ${vendor}'}}")))
    assert "Panne WWW" in worst_case_sms(book, "investigating", "front_line", "fr-CA")
    assert "Panne" not in worst_case_sms(book, "investigating", "front_line", "es")


def test_one_choice_outside_gsm_makes_the_worst_case_ucs2() -> None:
    body = "x" * 60 + " ${a}"
    plain = fact(type="choice", choices=["a long but plain choice", "short"], example="short")
    curly = fact(type="choice", choices=["a long but plain choice", "it’s"], example="it’s")
    assert (encoding(longest_sms(body, {"a": plain})), encoding(longest_sms(body, {"a": curly}))) == ("GSM-7", "UCS-2")
