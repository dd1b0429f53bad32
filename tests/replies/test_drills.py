"""Every word of a drill is marked as one, on the phone, in the mail, and in what we answer."""

from __future__ import annotations

from tests.journeys.crew import Crew, Desk, a_number, a_person


def marked(text: str) -> bool:
    return text.startswith("DRILL") and text.endswith("DRILL")


async def test_everything_a_drill_says_begins_and_ends_with_drill(the_desk: Desk, at_the_desk: Crew) -> None:
    person, mailed = a_person(), a_person(mobile="")
    key = await at_the_desk.told(person, mailed, drill=True)
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=60)
    (text,) = await the_desk.texts(person.mobile)
    (mail,) = await the_desk.emails(mailed.email)
    assert marked(text["body"])
    assert marked(mail["subject"])
    assert marked(mail["text"].strip())
    code = await the_desk.code(key, person)
    for words in ("HELP", "YES", "what is this", "1 A2" if code != "A2" else "1 A3", "1", "2", f"3 {code}"):
        answer = await the_desk.text(person.mobile, words)
        assert marked(answer), (words, answer)


async def test_what_is_asked_back_in_a_drill_is_marked(the_desk: Desk, at_the_desk: Crew) -> None:
    number = a_number()
    sharing = [a_person(mobile=number) for _ in range(2)]
    await at_the_desk.told(*sharing, drill=True)
    assert marked(await the_desk.text(number, "1"))
    twice = a_person()
    await at_the_desk.told(twice, drill=True)
    await the_desk.send(await at_the_desk.declare(drill=True))
    await the_desk.hand_over()
    assert marked(await the_desk.text(twice.mobile, "1"))


async def test_a_drill_beside_the_real_thing_is_named_so_and_marks_nothing_else(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    await at_the_desk.told(person, title="Practice", drill=True)
    real = await at_the_desk.declare(title="Tills")
    await the_desk.send(real)
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=60)
    asked = await the_desk.text(person.mobile, "1")
    assert "(DRILL: Practice)" in asked
    assert "(Tills)" in asked
    assert not marked(asked)
    assert "DRILL" not in await the_desk.text(person.mobile, f"1 {await the_desk.code(real, person)}")
    assert marked(await the_desk.text(person.mobile, "1"))
    assert "DRILL" not in await the_desk.text(person.mobile, "tills are still dead")
