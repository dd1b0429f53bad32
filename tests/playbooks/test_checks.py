"""Each thing that can be wrong with a playbook is named where it stands. « marks the place."""

from __future__ import annotations

import pytest

from app.channels.sms_text import RESERVED_WORDS
from app.playbooks.checks import Known, check
from app.playbooks.schema import Playbook
from app.playbooks.yaml_source import load

from .cases import ERRORS, SMS, VOICE, WARNINGS
from .sample import SAMPLE, changed, marked, playbook, problems


@pytest.mark.parametrize("kind", ERRORS)
def test_error_is_named_where_it_stands(kind: str) -> None:
    (old, new), said = ERRORS[kind]
    text, line, column = marked(changed((old, new)))
    errors = [p for p in problems(text) if p.severity == "error" and said in p.what]
    assert errors, [str(p) for p in problems(text)]
    assert (errors[0].line, errors[0].column) == (line, column), [str(p) for p in problems(text)]
    assert str(errors[0]).startswith(f"sample.yaml:{line}:{column}: ")


@pytest.mark.parametrize("kind", WARNINGS)
def test_warning_is_named_where_it_stands(kind: str) -> None:
    (old, new), said = WARNINGS[kind]
    base = SAMPLE
    if kind == "curly quote":
        old, new = SMS, "sms: It«’s ${vendor}, ${kind} at ${hit}."
    if kind == "optional fact without default":
        base = changed((", default: every site", ""))
    if kind == "choice outside GSM-7":
        base = changed(("[power, network]", "[power, fenêtre]"))
    text, line, column = marked(changed((old, new), base=base))
    found = [p for p in problems(text) if said in p.what]
    assert found, [str(p) for p in problems(text)]
    assert (found[0].severity, found[0].line, found[0].column) == ("warning", line, column)
    assert str(found[0]).startswith(f"sample.yaml:{line}:{column}: warning: ")


def test_a_missing_stage_is_named_with_what_belongs_there() -> None:
    whole = SAMPLE.index("  resolved:\n")
    text, line, column = marked(SAMPLE[:whole].replace("stages:\n", "«stages:\n"))
    assert [str(p) for p in problems(text)] == [
        f"sample.yaml:{line}:{column}: stages lacks resolved; add scripts there for front_line and responders"
    ]


def test_a_missing_audience_at_a_stage_is_named() -> None:
    first = SAMPLE.index("    front_line:\n      sms")
    second = SAMPLE.index("    responders:\n      sms")
    text, line, column = marked((SAMPLE[:first] + SAMPLE[second:]).replace("  investigating:\n", "  «investigating:\n"))
    assert [str(p) for p in problems(text)] == [
        f"sample.yaml:{line}:{column}: investigating lacks front_line; "
        "add sms, email, voice, say and do_not_say for each"
    ]


def test_the_sample_itself_is_right() -> None:
    assert problems(SAMPLE) == []


def test_the_line_of_a_problem_can_be_pressed_in_an_editor() -> None:
    assert [str(p) for p in problems(changed(("cadence: 20m", "cadence: 20")))] == [
        "sample.yaml:25:44: cadence is a bare number; say its unit, such as 20m for minutes or 20s for seconds"
    ]


def test_problem_inside_a_folded_text_is_named_on_its_own_line() -> None:
    text, line, column = marked(changed((VOICE, "voice: >-\n        One fine line\n        and «${nothing} else.")))
    assert [(p.line, p.column) for p in problems(text)] == [(line, column)]


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    broken = changed(
        ("slug: sample", "slug: other"),
        ("owner: IT", "owner: IT\nowner: IT\nowners: IT"),
        ("max: 30", "max: 0"),
        ("cadence: 60m", "cadence: 60"),
        ("after: 8m", "after: 2m"),
        ("anyone:", "Anyone Else:"),
        ("${vendor} at ${sites}.", "${vendr}."),
        (VOICE, "voice: Reply STOP."),
        ("  identified:", "  identify:"),
    )
    found = problems(broken)
    assert [(p.line, p.column) for p in found] == sorted((p.line, p.column) for p in found)
    said = "\n".join(str(p) for p in found)
    for words in ("file is called", "twice", '"owners"', "max must", "60m for minutes", "each step", "lacks anyone",
                  "${vendr}", "asks for STOP", 'is "identify"', "lacks identified"):  # fmt: skip
        assert words in said


def test_a_sound_part_of_a_broken_playbook_is_still_checked() -> None:
    """A missing key at the top must not hide a text message that is too long at the bottom."""
    found = problems(changed(("title: A sample outage\n", ""), (SMS, "sms: " + "x" * 500)))
    assert [p.what.split(";")[0] for p in found] == [
        "the playbook lacks title",
        "sms is 5 parts at worst (628 characters)",
    ]


def test_sms_over_three_parts_says_what_to_shorten() -> None:
    long = changed(("max: 30", "max: 60"), (SMS, "sms: " + "x" * 300 + " ${vendor}."))
    text, line, column = marked(changed(("sms: xxx", "sms: «xxx"), base=long))
    # 300 + space + 60 + full stop, a space, 70 for the link, 44 for code and answers, 13 for DRILL
    assert [str(p) for p in problems(text)] == [
        f"sample.yaml:{line}:{column}: sms is 4 parts at worst (490 characters); "
        "shorten it by 31 or lower max of vendor (60)"
    ]
    assert problems(long.replace("x" * 31, "", 1)) == []


def test_longer_links_leave_less_room() -> None:
    text = changed((SMS, "sms: " + "x" * 320 + " ${vendor}."), ("max: 30", "max: 9"))
    assert check(load(text, "sample.yaml"), link_length=70) == []
    assert "sms is 4 parts at worst" in check(load(text, "sample.yaml"), link_length=80)[0].what


def test_names_that_nobody_in_the_directory_has_are_warned_about() -> None:
    known = Known(
        departments=frozenset({"IT", "Store Operation"}),
        sites=frozenset({"Paris"}),
        titles=frozenset({"Cashiers"}),
    )
    found = problems(SAMPLE, known=known)
    assert {p.severity for p in found} == {"warning"}
    assert [p.what for p in found] == [
        'nobody has the department "Store Operations"; did you mean "Store Operation"?',
        'nobody has the department "Store Operations"; did you mean "Store Operation"?',
        'nobody has the title "Cashier"; did you mean "Cashiers"?',
    ]
    assert problems(SAMPLE, known=Known()) == []


@pytest.mark.parametrize(
    "fine",
    [
        "We answer calls and help people.",
        "Answer 2 if you need help, and say where.",
        "Send help to the gate. Stop the queue at the door.",
        "Text the number on your page, end the call, then start over.",
        "Do NOT answer questions from the press.",
        "You will know more at ${next_update}.",
        "It was fixed by the vendor. Tills are back.",
        "The price list is in the box by the till.",
        "We will be at the counter by then.",
        "That costs 5 $$ a day.",
    ],
)
def test_plain_sentences_are_left_alone(fine: str) -> None:
    assert problems(changed((VOICE, f"voice: '{fine}'"))) == []


@pytest.mark.parametrize("word", RESERVED_WORDS)
def test_no_script_asks_for_a_word_that_carriers_act_on(word: str) -> None:
    for asked in (f"Reply {word}", f"Text {word} to us", f"answer with {word.lower()}.", f"Send 1 or {word}"):
        found = problems(changed((SMS, f"sms: {asked}")))
        assert [p.what for p in found if f"asks for {word}" in p.what], asked


def test_without_a_file_name_the_slug_is_free() -> None:
    assert check(load(changed(("slug: sample", "slug: another")))) == []
    assert check(load(SAMPLE, "uploaded")) == []


def test_the_schema_of_a_playbook_is_stored_and_read_back() -> None:
    book = playbook()
    assert Playbook.model_validate(book.model_dump(mode="json", by_alias=True)) == book


def test_every_reserved_word_and_every_stray_dollar_of_one_text_is_named() -> None:
    from app.playbooks.template import mistakes
    from app.playbooks.wording import promises_of_a_fix_time, reserved_words_asked

    asked = list(reserved_words_asked("Text HELP for info. Reply CANCEL to opt out. Text HELP again."))
    assert [(word, place) for _, place, word in asked] == [("HELP", 0), ("CANCEL", 0), ("HELP", 1)]
    assert [place for _, place, _ in mistakes("Pay $5 or $$5 ${")] == [0, 3]
    assert [piece for piece, _ in promises_of_a_fix_time("Fixed soon. ETA later. Resolved shortly.")] == [
        "Fixed soon", "ETA", "Resolved shortly",
    ]  # fmt: skip
