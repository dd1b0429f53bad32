"""What people type, through the real webhook: what they read is an answer, what may be help leaves a trace."""

from __future__ import annotations

import csv
import itertools
import re

import pytest

from app.bulletins import render
from app.channels.sms_text import compose_sms
from app.kernel.db import rows
from app.replies import wording
from app.replies.parse import Answer, parse
from app.replies.questions import Question
from app.replies.whose import DIGIT_RACE_SECONDS
from tests.conftest import ROOT
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person

EXAMPLE = re.compile(
    r"\b[123]\b(?: OK| need help| cannot)?(?: [A-Z][2-9]{1,3})?(?: \((?:[^()]|\([^()]*\))*\))?"
    r"|\bOK\b|\bneed help\b|\bcannot\b"
)
"""An answer as our words print it: `1`, `1 OK`, `2 K7 (Gates)`, `need help`."""

DIGITS = {"ok": "1", "need_help": "2", "cannot": "3"}


def asked(code: str, title: str, *, drill: bool = False) -> Question:
    return Question(
        1, 1, 1, code, title, drill, None, None, None, superseded=False, open=True, here=True, asks=True, over_at=None
    )


def after(text: str, mark: str) -> str:
    assert mark in text
    return text.rpartition(mark)[2]


def our_words() -> list[str]:
    """Everything that we write in English, the only language of our own words, and that names an answer."""
    link = "https://m.example/a/x"
    mail = render.email(subject="Tills", body="They are down.", link=link, code="K7", drill=False)
    page = (ROOT / "app/web/templates/staff_error.html").read_text(encoding="utf-8")
    words = [*(wording.which_answer(coded=coded) for coded in (False, True))]
    words += [wording.report_kept(True, coded=coded) for coded in (False, True)]
    words += [after(compose_sms("", link=link, code="K7", drill=drill), "Code K7. ") for drill in (False, True)]
    words += [after(mail.text, "then choose:").partition("By text message")[0], after(page, "by text message:")]
    words += [after(wording.HELP_CLOSED, "still need help,")]
    for response in DIGITS:
        for drills in ((False, False), (True, False), (True, True)):
            questions = [asked("K7", "Tills (north)", drill=drills[0]), asked("M4", "Gates", drill=drills[1])]
            words += [wording.which_question(response, questions), wording.who_is_it(response, questions)]
        for changed, late, drill in itertools.product((False, True), repeat=3):
            again = wording.confirmation(response, title="Exercise", changed=changed, late=late, drill=drill, code="K7")
            words.append(again)
            words.append(wording.confirmation(response, title="Exercise", changed=changed, late=late, drill=drill))
    return words


def test_every_example_in_our_own_words_is_an_answer() -> None:
    found: list[tuple[str, str]] = [(match[0], text) for text in our_words() for match in EXAMPLE.finditer(text)]
    assert len({example for example, _ in found}) > 20
    for example, text in found:
        meant = parse(example)
        assert isinstance(meant, Answer), (example, text)
        assert DIGITS[meant.response] in example or example in ("OK", "need help", "cannot"), example
    for text in our_words():
        assert EXAMPLE.search(text), text


@pytest.mark.parametrize("response", DIGITS)
def test_a_question_back_names_the_digit_that_was_typed(response: str) -> None:
    questions = [asked("K7", "Gates"), asked("M4", "Tills")]
    digit = DIGITS[response]
    assert f"{digit} K7 (Gates) or {digit} M4 (Tills)." in wording.which_question(response, questions)
    example = wording.who_is_it(response, questions).partition("such as ")[2].partition(",")[0]
    # Nobody there has the code of the example: copied as it is, it answers for nobody.
    assert parse(example) == Answer(response, "R8")


async def told(desk: Desk, crew: Crew, *people: Person, **more: object) -> str:
    key = await crew.told(*people, **more)
    await desk.hand_over()
    desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 1)
    return key


async def outcomes(desk: Desk, number: str) -> list[str]:
    async with desk.house.db.begin() as session:
        found = await rows(
            session, "SELECT outcome FROM inbound_message WHERE sender = :number ORDER BY id", {"number": number}
        )
    return [entry["outcome"] for entry in found]


async def flags(desk: Desk, key: str) -> list[tuple[str, bool, bool]]:
    """(text, maybe help, maybe stop) of each field report, the oldest first."""
    found = await desk.reports(key)
    return [(entry["text"], entry["maybe_help"], entry["maybe_stop"]) for entry in reversed(found)]


async def test_every_row_of_the_table_does_what_it_says(the_desk: Desk, at_the_desk: Crew) -> None:
    """tests/data/replies.csv: what is typed, through the webhook; V8 stands for the person's own code."""
    with (ROOT / "tests" / "data" / "replies.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    people = [a_person() for _ in table]
    key = await told(the_desk, at_the_desk, *people)
    expected: list[tuple[str, bool, bool]] = []
    for person, row in zip(people, table, strict=True):
        code = await the_desk.code(key, person)
        typed = row["typed"].replace("V8", code).replace("v8", code.lower())
        said = await the_desk.text(person.mobile, typed)
        means, _, mark = row["means"].partition(" ")
        answered = [(means, False)] if means in DIGITS else []
        assert await the_desk.acts(key, person) == answered, row
        if means == "report" or mark == "maybe_help":
            expected.append((typed, mark == "maybe_help", mark == "maybe_stop"))
        outcome = {"report": "field_report", "ask_back": "asked_which", "opt_out": "opted_out"}.get(means, means)
        assert await outcomes(the_desk, person.mobile) == ["answered" if answered else outcome], row
        assert bool(said) == (means not in ("reaction", "opt_out")), row
    assert await flags(the_desk, key) == expected


async def test_a_title_behind_the_code_counts_only_when_it_is_that_questions(the_desk: Desk, at_the_desk: Crew) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other, title="Second one")
    code = await the_desk.code(key, person)
    assert "2 need help" in await the_desk.text(person.mobile, f"2 {code} (Second one)")
    assert "1 OK" in await the_desk.text(person.mobile, f"1 {code.lower()} (second one")
    assert "3 cannot" in await the_desk.text(person.mobile, f"3 {code} Second one.")
    assert await the_desk.acts(key, person) == [("need_help", False), ("ok", False), ("cannot", False)]
    code = await the_desk.code(key, other)
    assert "not yet your answer" in await the_desk.text(other.mobile, f"1 {code} (somebody is hurt)")
    assert "not yet your answer" in await the_desk.text(other.mobile, "2 (gate 4)")
    assert "not yet your answer" in await the_desk.text(other.mobile, f"1 {code} tills are down")
    assert await the_desk.acts(key, other) == []
    assert await flags(the_desk, key) == [
        (f"1 {code} (somebody is hurt)", True, False),
        ("2 (gate 4)", True, False),
        (f"1 {code} tills are down", False, False),
    ]


@pytest.mark.parametrize(
    ("text", "response"),
    [("2 {} (another title)", "need_help"), ("2 {} we have no cash", "need_help"), ("1 {} (gate 4)", "ok")],
)
async def test_with_the_code_an_answer_counts_and_words_behind_it_are_kept(
    the_desk: Desk, at_the_desk: Crew, text: str, response: str
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    typed = text.format(await the_desk.code(key, person))
    await the_desk.text(person.mobile, typed)
    assert await the_desk.acts(key, person) == [(response, False)]
    assert await flags(the_desk, key) == [(typed, False, False)]


async def test_a_copied_example_of_the_question_back_answers_that_question(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    tills = await told(the_desk, at_the_desk, person, title="Tills (north)", drill=True)
    gates = await told(the_desk, at_the_desk, person, title="Gates")
    asked_back = await the_desk.text(person.mobile, "2")
    examples, _, seen = asked_back.partition("such as ")[2].partition(". ")
    first, second = examples.split(" or ")
    assert seen == "The incident team can see that someone here may need help."
    assert (first, second) == (
        f"2 {await the_desk.code(gates, person)} (Gates)",
        f"2 {await the_desk.code(tills, person)} (DRILL: Tills (north))",
    )
    # The possible help of the bare 2 stands until it is plain which was meant.
    assert await flags(the_desk, gates) == [("2", True, False)]
    assert "2 need help (Tills (north))" in await the_desk.text(person.mobile, second)
    assert await the_desk.acts(tills, person) == [("need_help", False)]
    assert await flags(the_desk, gates) == [("2", False, False)]
    assert "2 need help (Gates)" in await the_desk.text(person.mobile, first)


async def test_a_title_says_which_of_several_is_meant(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    tills = await told(the_desk, at_the_desk, person, title="Tills")
    gates = await told(the_desk, at_the_desk, person, title="Gates")
    assert "3 cannot (Tills)" in await the_desk.text(person.mobile, "3 cannot (Tills)")
    assert await the_desk.acts(tills, person) == [("cannot", False)]
    assert await the_desk.acts(gates, person) == []


async def test_help_alone_is_settled_when_the_same_person_asks_for_it_by_its_digit(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "HELP")
    await the_desk.text(person.mobile, "1")
    assert await flags(the_desk, key) == [("HELP", True, False)]
    await the_desk.text(person.mobile, "2")
    assert await flags(the_desk, key) == [("HELP", False, False)]


async def test_words_below_an_answer_that_may_be_more_than_a_name_are_kept_as_well(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    signed, reports = a_person(name="Gus Hay"), a_person()
    key = await told(the_desk, at_the_desk, signed, reports)
    assert "1 OK" in await the_desk.text(signed.mobile, "1\nGus")
    assert await the_desk.reports(key) == []
    assert "1 OK" in await the_desk.text(reports.mobile, "1\nTills Down")
    assert await flags(the_desk, key) == [("1\nTills Down", False, False)]
    assert await the_desk.acts(key, reports) == [("ok", False)]


async def test_a_two_that_is_asked_back_is_kept_as_possible_help_until_it_is_cleared_up(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    number = a_number()
    people = [a_person(mobile=number), a_person(mobile=number)]
    key = await told(the_desk, at_the_desk, *people)
    first, second = [await the_desk.code(key, person) for person in people]
    assert "such as 2 " in await the_desk.text(number, "2")
    assert "such as 1 " in await the_desk.text(number, "1")
    assert await flags(the_desk, key) == [("2", True, False)]
    # An OK with a code does not say who asked for help, on a phone that several people have.
    await the_desk.text(number, f"1 {first}")
    assert await flags(the_desk, key) == [("2", True, False)]
    await the_desk.text(number, f"2 {second}")
    assert await flags(the_desk, key) == [("2", False, False)]


async def test_an_answer_with_its_code_clears_up_what_was_asked_back_from_a_phone_of_ones_own(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    assert "2 " in await the_desk.text(person.mobile, "2")  # too soon after the newer one
    await the_desk.text(person.mobile, "somebody fell")
    assert await flags(the_desk, key) == [("2", True, False), ("somebody fell", True, False)]
    await the_desk.text(person.mobile, f"1 {await the_desk.code(key, person, 2)}")
    # Words are not cleared up by an answer: somebody looks.
    assert await flags(the_desk, key) == [("2", False, False), ("somebody fell", True, False)]


async def test_an_ok_to_one_of_two_incidents_leaves_open_that_help_was_meant_for_the_other(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    one = await told(the_desk, at_the_desk, person)
    other = await told(the_desk, at_the_desk, person)
    assert "Which one" in await the_desk.text(person.mobile, "2")
    await the_desk.text(person.mobile, f"1 {await the_desk.code(one, person)}")
    assert await flags(the_desk, other) == [("2", True, False)]
    await the_desk.text(person.mobile, f"1 {await the_desk.code(other, person)}")
    assert await flags(the_desk, other) == [("2", False, False)]


async def test_a_two_after_the_end_that_fits_nothing_is_kept_with_the_incident(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    number = a_number()
    people = [a_person(mobile=number), a_person(mobile=number)]
    key = await told(the_desk, at_the_desk, *people)
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    assert "Several people" in await the_desk.text(number, "2")
    assert await flags(the_desk, key) == [("2", True, False)]


async def test_help_is_heard_even_when_the_carrier_took_the_text_for_an_opt_out(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    assert await the_desk.text(person.mobile, "stop, somebody is hurt", OptOutType="STOP") == ""
    assert await outcomes(the_desk, person.mobile) == ["opted_out"]
    assert [(text, help) for text, help, _ in await flags(the_desk, key)] == [("stop, somebody is hurt", True)]


async def test_a_reaction_is_counted_and_neither_answers_nor_reports(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    (text,) = await the_desk.texts(person.mobile)
    for reaction in (
        f"Liked “{text['body']}”",
        "👍",
        f"👍 to “{text['body']}”",
        f"Removed a like from “{text['body']}”",
    ):
        assert await the_desk.text(person.mobile, reaction) == ""
    assert await the_desk.acts(key, person) == []
    assert await the_desk.reports(key) == []
    assert await outcomes(the_desk, person.mobile) == ["reaction"] * 4
    assert (await the_desk.board(key))["reactions"] == 4
    review = await the_desk.api.get(f"/api/v1/incidents/{key}/review", params={"format": "json"})
    assert review.json()["reactions"] == 4
    # The answer itself still counts.
    assert "1 OK" in await the_desk.text(person.mobile, "1 OK")
