"""The playbooks that ship: whole, clean, and good enough to read aloud in an emergency."""

from __future__ import annotations

import csv
import functools
import json
import pathlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.channels.sms_text import compose_sms, encoding, segments
from app.playbooks.checks import MOST_SEGMENTS, Known, check, worst_case_sms
from app.playbooks.facts import examples, fact_texts, render, validate_facts
from app.playbooks.json_schema import json_schema
from app.playbooks.schema import SEVERITIES, STAGES, Playbook, Severity
from app.playbooks.yaml_source import Source, load

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted((ROOT / "playbooks").glob("*.yaml"))
NOW = datetime(2026, 3, 6, 13, 2, 30, tzinfo=UTC)
DEPARTMENTS = {"Customer Service", "Store Operations", "Operations", "IT", "Security", "Marketing", "Finance"}


@functools.cache
def directory() -> Known:
    with (ROOT / "tests/data/people-600.csv").open(encoding="utf-8-sig", newline="") as file:
        people = [row for row in csv.DictReader(file) if row["department"] in DEPARTMENTS]
    return Known(
        departments=frozenset(row["department"] for row in people),
        sites=frozenset(row["site"] for row in people),
        titles=frozenset(row["title"] for row in people if row["title"]),
    )


@functools.cache
def source(file: pathlib.Path) -> Source:
    """Read once: parsing YAML with positions is most of what these tests cost."""
    return load(file)


@functools.cache
def read(file: pathlib.Path) -> Playbook:
    return Playbook.model_validate(source(file).data)


def shipped(slug: str) -> Playbook:
    return read(ROOT / "playbooks" / f"{slug}.yaml")


def names(file: pathlib.Path) -> str:
    return file.stem


every_playbook = pytest.mark.parametrize("file", FILES, ids=names)


def test_six_playbooks_ship() -> None:
    assert {file.stem: read(file).owner for file in FILES} == {
        "contact-centre-outage": "Customer Service",
        "customer-data-breach": "Security",
        "global-vendor-outage": "IT",
        "payment-outage": "Finance",
        "ransomware": "Security",
        "social-media-storm": "Marketing",
    }


def _texts(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _texts(each)
    elif isinstance(part, str):
        yield part


ANSWER_LINE = re.compile(
    r"\b(?:answer|reply|text|press|send)\s+(?:us\s+)?(?:with\s+)?[\"']?(?:[123]|ok|code)\b", re.IGNORECASE
)


@every_playbook
def test_its_all_clear_asks_for_no_answer_and_no_code(file: pathlib.Path) -> None:
    asking = [text for text in _texts(source(file).data["stages"]["resolved"]) if ANSWER_LINE.search(text)]
    assert asking == []
    assert not any("${code}" in text for text in _texts(source(file).data["stages"]["resolved"]))


@every_playbook
def test_it_has_no_error_and_no_warning(file: pathlib.Path) -> None:
    assert [str(problem) for problem in check(source(file), known=directory())] == []


@every_playbook
def test_every_department_is_told_and_has_a_part(file: pathlib.Path) -> None:
    book = read(file)
    told = {name for audience in book.audiences.values() for name in audience.departments or []}
    assert told == DEPARTMENTS == set(book.departments)
    for department in book.departments.values():
        assert set(department.tasks) == set(STAGES)
        assert department.commitments


@every_playbook
def test_every_title_of_the_company_has_a_waterline(file: pathlib.Path) -> None:
    book = read(file)
    for title in directory().titles or ():
        line = book.waterline_for(title.upper())
        assert line is not book.waterline_for("Somebody Else"), title
        assert line.decide, title
        assert line.ask_first, title
        assert line.never, title
    assert book.waterline_for(None) is book.waterline["anyone"]


@every_playbook
def test_the_front_line_is_everywhere_unless_sites_are_named(file: pathlib.Path) -> None:
    book = read(file)
    assert book.audiences["front_line"].sites == "$sites"
    assert not book.facts["sites"].required
    assert [name for name, audience in book.audiences.items() if audience.sites] == ["front_line"]


@every_playbook
def test_cadence_and_ladder_are_those_of_the_field(file: pathlib.Path) -> None:
    book = read(file)
    assert [book.cadence(severity) for severity in SEVERITIES] == [
        timedelta(minutes=20),
        timedelta(hours=1),
        timedelta(hours=12),
        timedelta(days=1),
    ]
    told_after: dict[Severity, tuple[int, ...]] = {"SEV1": (10, 14, 18), "SEV2": (20, 30, 45)}
    for severity, told in told_after.items():
        ladder = book.ladder_for(severity)
        assert [(step.send, step.after) for step in ladder if step.send] == [
            ("sms", timedelta(0)),
            ("email", timedelta(minutes=4)),
            ("voice", timedelta(minutes=8)),
        ]
        # Those who can go and ask hear of it before the next bulletin replaces this one.
        assert [(step.tell, step.after) for step in ladder if step.tell] == [
            (whom, timedelta(minutes=minutes))
            for whom, minutes in zip(("manager", "department_lead", "commander"), told, strict=True)
        ]
    assert [step.send for step in book.ladder_for("SEV4")] == ["sms", "email"], "nobody is called for a warning"


@every_playbook
def test_every_text_message_is_plain_and_short_enough_at_worst(file: pathlib.Path) -> None:
    book = read(file)
    for stage in STAGES:
        for audience in book.audiences:
            text = worst_case_sms(book, stage, audience)
            assert encoding(text) == "GSM-7"
            assert segments(text) <= MOST_SEGMENTS


@every_playbook
@pytest.mark.parametrize("sites", [["Atlanta", "Boston", "Paris"], []], ids=["sites", "no sites"])
def test_the_examples_declare_an_incident_and_read_well_at_every_stage(file: pathlib.Path, sites: list[str]) -> None:
    book = read(file)
    values, wrong = validate_facts(book, examples(book, sites=sites, now=NOW), sites=sites, now=NOW)
    assert wrong == []
    texts = fact_texts(book, values, zone=ZoneInfo("Europe/Paris"), now=NOW, severity="SEV1", incident="INC-2026-0001")
    for stage in STAGES:
        for audience in book.audiences:
            script = book.script(stage, audience)
            sms = compose_sms(
                render(script.sms, texts), link="http://127.0.0.1:8000/a/" + "a" * 20, code="K7", drill=True
            )
            assert segments(sms) <= MOST_SEGMENTS
            for text in (script.sms, script.email.subject, script.email.body, script.voice, script.what_happened,
                         *script.say, *script.do_not_say):  # fmt: skip
                said = render(text, texts)
                assert "$" not in said
                assert not re.search(r"  | [,.;:]|\.\.|: *[.;,]|:\s*$", said), said


@every_playbook
def test_every_message_names_the_next_word_and_never_blames(file: pathlib.Path) -> None:
    book = read(file)
    for stage in STAGES:
        for audience in book.audiences:
            script = book.script(stage, audience)
            for text in (script.sms, script.email.body, script.voice):
                assert "${next_update}" in text, (stage, audience)
            spoken = " ".join([script.sms, script.email.body, script.voice, *script.say]).casefold()
            assert not re.search(r"hacked|fault of|'s fault|mistake|!", spoken), (stage, audience)
            assert len(script.say) >= 3
            assert len(script.do_not_say) >= 3


@every_playbook
def test_customers_never_hear_the_suppliers_name(file: pathlib.Path) -> None:
    book = read(file)
    for stage in STAGES:
        for audience in ("front_line", "contact_centre", "public_voice"):
            said = " ".join(book.script(stage, audience).say)
            assert "${vendor}" not in said
            assert "${provider}" not in said


@every_playbook
def test_the_front_line_has_a_way_by_hand_at_every_stage(file: pathlib.Path) -> None:
    book = read(file)
    for stage in STAGES:
        for audience in ("front_line", "contact_centre", "operations", "money"):
            assert book.script(stage, audience).paper


@every_playbook
def test_a_holding_statement_needs_no_fact_but_the_next_time(file: pathlib.Path) -> None:
    book = read(file)
    known = {"severity": "SEV1", "incident": "INC-2026-0001", "next_update": "14:20 CET"}
    for audience in book.audiences:
        holding = book.holding_for(audience)
        assert "14:20 CET" in render(holding.sms, known)
        assert (
            segments(compose_sms(render(holding.sms, known), link="https://" + "x" * 62, code="K7W", drill=True)) <= 3
        )
        assert "14:20 CET" in render(holding.email.body, known)
        assert "14:20 CET" in render(holding.voice, known)


def test_nobody_can_type_a_customers_name_into_a_privacy_message() -> None:
    book = shipped("customer-data-breach")
    assert {fact.type for fact in book.facts.values()} == {"choice", "time"}
    for stage in STAGES:
        for audience in book.audiences:
            assert "${data_kinds}" not in book.script(stage, audience).sms, "what got out is no matter for a text"


def test_a_privacy_bulletin_shows_what_legal_cleared_and_its_author_never_approves_it() -> None:
    book = shipped("customer-data-breach")
    assert all(book.approval(severity).other_person for severity in SEVERITIES)
    for severity in ("SEV1", "SEV2"):
        assert book.approval(severity).roles == ["commander", "communications_lead"]
    assert book.facts["legal"].required
    for stage in ("investigating", "identified", "monitoring"):
        assert "${legal}" in book.script(stage, "public_voice").email.body


def test_texts_about_ransomware_name_no_attacker_no_demand_and_no_backup() -> None:
    book = shipped("ransomware")
    for stage in STAGES:
        for audience in set(book.audiences) - {"it"}:
            text = book.script(stage, audience).sms.casefold()
            assert not re.search(r"ransom|demand|backup|negotiat|gang|bitcoin", text), (stage, audience)
    for audience in ("front_line", "contact_centre", "operations"):
        assert "on, off or plug in" in book.script("investigating", audience).sms


def test_in_a_storm_everybody_who_meets_the_public_gets_the_same_line() -> None:
    book = shipped("social-media-storm")
    for stage in ("investigating", "identified", "monitoring"):
        for audience in ("public_voice", "front_line", "contact_centre", "operations", "money"):
            script = book.script(stage, audience)
            assert "${our_line}" in script.sms, (stage, audience)
            assert "${our_line}." in script.say, (stage, audience)


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs/playbook.schema.json").read_text(encoding="utf-8"))
    assert published == json_schema(), "write it again: python -m app.playbooks.json_schema > docs/playbook.schema.json"


def test_the_schema_explains_every_key() -> None:
    schema = json_schema()
    for name, part in [("Playbook", schema), *schema["$defs"].items()]:
        assert part["additionalProperties"] is False, name
        for key, field in part["properties"].items():
            assert field.get("description"), f"{name}.{key}"
