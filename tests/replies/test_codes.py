"""Reply codes: on one phone no two open questions have the same, however many there are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bulletins import render
from app.channels.sms_text import RESERVED_WORDS
from app.kernel.db import rows
from app.replies.keywords import ANSWERS
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person, statement


async def open_codes(desk: Desk, number: str) -> list[str]:
    """The codes of every text that this phone got or will get, of open incidents."""
    async with desk.house.db.begin() as session:
        found = await rows(
            session,
            """SELECT d.code FROM delivery d JOIN incident i ON i.id = d.incident_id
               JOIN attempt a ON a.delivery_id = d.id AND a.channel = 'sms'
               WHERE a.address = :number AND i.closed_at IS NULL""",
            {"number": number},
        )
    return [entry["code"] for entry in found]


def assert_unique(codes: list[str]) -> None:
    assert [code for code, many in Counter(codes).items() if many > 1] == []


async def test_many_people_on_one_phone_in_many_incidents_have_codes_of_their_own(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    number = a_number()
    people = [a_person(mobile=number) for _ in range(9)]
    await at_the_desk.hire(*people)
    keys = []
    for place in range(5):
        key = await at_the_desk.declare(title=f"Incident {place}")
        keys.append(key)
        for stage in ("investigating", "identified", "monitoring"):
            await the_desk.send(key, stage)
    codes = await open_codes(the_desk, number)
    assert len(codes) == 9 * 5 * 3
    assert_unique(codes)
    # Closing the oldest frees its codes, and what comes then is still unique.
    for key in keys[:3]:
        await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    for stage in ("investigating", "identified", "monitoring", "resolved"):
        await the_desk.send(keys[3], stage)
    assert_unique(await open_codes(the_desk, number))


@pytest.mark.parametrize("many", [119, 130, 400])
async def test_more_people_than_short_codes_get_longer_ones(the_desk: Desk, at_the_desk: Crew, many: int) -> None:
    number = a_number()
    await at_the_desk.told(*(a_person(mobile=number, email="") for _ in range(many)))
    codes = await open_codes(the_desk, number)
    assert len(codes) == many
    assert_unique(codes)
    assert {len(code) for code in codes} == ({2} if many <= 120 else {2, 3})
    assert {code[0] for code in codes} <= set("EFHJKLMNPRTUVXY")  # never A, C, D or W


async def test_while_codes_of_an_earlier_rule_are_open_on_a_number_new_ones_are_longer(
    the_desk: Desk, at_the_desk: Crew, module_database: str
) -> None:
    """An upgrade in the middle of an incident: a code that was given is not given to somebody else."""
    number = a_number()
    people = [a_person(mobile=number, email="") for _ in range(20)]
    key = await at_the_desk.told(*people)
    after = (
        "CREATE OR REPLACE FUNCTION reply_codes_after() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT {}::bigint'"
    )
    latest = await statement(module_database, "SELECT max(id) FROM delivery")
    await statement(module_database, after.format(latest[0][0]))
    try:
        await the_desk.send(key, "identified")
    finally:
        await statement(module_database, after.format(0))
    codes = await open_codes(the_desk, number)
    assert Counter(len(code) for code in codes) == {2: 20, 4: 20}
    assert_unique(codes)


async def test_codes_are_counted_on_the_number_that_the_text_goes_to(the_desk: Desk, at_the_desk: Crew) -> None:
    """Forty people of a shop: landlines of their own, which cannot be texted, and one phone at the counter."""
    counter = a_number()
    people = [a_person(mobile=f"+1500{number:03}0006", phone=counter) for number in range(700, 740)]
    await at_the_desk.hire(*people)
    for person in people:
        await the_desk.text(person.mobile, "STOP")
    key = await at_the_desk.declare()
    await the_desk.send(key)
    codes = await open_codes(the_desk, counter)
    assert len(codes) == 40
    assert_unique(codes)
    for person in people:
        await the_desk.text(person.mobile, "START")


async def test_a_number_that_only_can_be_texted_goes_before_a_fixed_line(the_desk: Desk, at_the_desk: Crew) -> None:
    """A French fixed line as `mobile` cannot be texted: the code belongs to the phone that can."""
    phone = a_number()
    people = [Person(f"F{n:04}", mobile=f"+3314455{n:04}", phone=phone) for n in range(30)]
    await at_the_desk.told(*people)
    codes = await open_codes(the_desk, phone)
    assert len(codes) == 30
    assert_unique(codes)


CODES = st.from_regex(r"[EFHJKLMNPRTUVXY][2-9]{1,3}", fullmatch=True)


@given(CODES)
def test_a_code_is_never_a_word_of_the_carriers_nor_an_answer(code: str) -> None:
    assert code not in RESERVED_WORDS
    assert code.casefold() not in ANSWERS


@given(st.text(min_size=1, max_size=200), CODES, st.booleans())
def test_every_text_holds_code_and_link_and_ends_with_how_to_answer(body: str, code: str, drill: bool) -> None:
    link = "https://m.example/a/aaaaaaacum4bgicstk2a"
    text = render.sms(body=body, link=link, code=code, drill=drill)
    assert f"{link} Code {code}. " in text
    how = "Reply 1 OK, 2 need help, 3 cannot"
    assert text.endswith(f"{how} DRILL" if drill else how)
    assert text.startswith("DRILL") or not drill


@given(st.text(max_size=300), st.text(max_size=80), CODES)
def test_every_part_of_a_drill_mail_begins_and_ends_with_drill(body: str, subject: str, code: str) -> None:
    mail = render.email(subject=subject, body=body, link="https://m.example/a/x", code=code, drill=True)
    assert mail.subject.startswith("DRILL")
    assert mail.subject.endswith("DRILL")
    assert mail.text.startswith("DRILL")
    assert mail.text.endswith("DRILL")
    inside = mail.html.partition("<body")[2].partition(">")[2].removesuffix("</body></html>")
    assert inside.startswith('<p style="font-weight:bold">DRILL')
    assert inside.endswith("DRILL</p>")
    assert render.voice(body=body, drill=True).startswith("DRILL")
    assert render.voice(body=body, drill=True).endswith("DRILL")
