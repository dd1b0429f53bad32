"""One phone, several people: the code says who; a bare digit acknowledges nobody."""

from __future__ import annotations

from app.kernel.db import run
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person, adds_up


def sharing(count: int, **more: str) -> list[Person]:
    number = a_number()
    return [a_person(mobile=number, email="", **more) for _ in range(count)]


async def told(desk: Desk, crew: Crew, *people: Person, **more: object) -> str:
    key = await crew.told(*people, **more)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    return key


async def test_reply_from_shared_phone_acknowledges_nobody(the_desk: Desk, at_the_desk: Crew) -> None:
    people = sharing(3)
    key = await told(the_desk, at_the_desk, *people)
    assert len(await the_desk.texts(people[0].mobile)) == 3
    for words in ("1", "ok", "need help", "3"):
        assert "Several people share this phone" in await the_desk.text(people[0].mobile, words)
    for person in people:
        assert await the_desk.acts(key, person) == []
    assert (await the_desk.board(key))["counts"]["waiting"] == 3


async def test_the_code_says_who(the_desk: Desk, at_the_desk: Crew) -> None:
    people = sharing(3)
    key = await told(the_desk, at_the_desk, *people)
    codes = [await the_desk.code(key, person) for person in people]
    assert len(set(codes)) == 3
    assert "2 need help" in await the_desk.text(people[0].mobile, f"2 {codes[1]}")
    assert [await the_desk.acts(key, person) for person in people] == [[], [("need_help", False)], []]
    adds_up(await the_desk.board(key))


async def test_each_text_on_a_shared_phone_holds_its_own_code_and_link(the_desk: Desk, at_the_desk: Crew) -> None:
    people = sharing(4)
    key = await told(the_desk, at_the_desk, *people)
    texts = {text["code"]: text["body"] for text in await the_desk.texts(people[0].mobile)}
    for person in people:
        delivery = await the_desk.delivery(key, person)
        assert the_desk.house.link(delivery["id"]) in texts[delivery["code"]]


async def test_words_from_a_shared_phone_come_from_someone_at_this_number(the_desk: Desk, at_the_desk: Crew) -> None:
    people = sharing(2)
    key = await told(the_desk, at_the_desk, *people)
    answer = await the_desk.text(people[0].mobile, "tills 3 and 4 are down")
    assert "with your code" in answer
    (report,) = await the_desk.reports(key)
    assert (report["person_id"], report["name"], report["text"]) == (
        None, "someone at this number", "tills 3 and 4 are down",
    )  # fmt: skip
    assert report["number"].endswith(people[0].mobile[-4:])
    assert people[0].mobile not in report["number"]


async def test_stop_from_a_shared_phone_concerns_everybody_on_it(the_desk: Desk, at_the_desk: Crew) -> None:
    people = sharing(2)
    key = await told(the_desk, at_the_desk, *people)
    await the_desk.text(people[0].mobile, "STOP")
    number = await the_desk.send(key, "identified")
    for person in people:
        entry = await at_the_desk.person(key, person, number)
        assert (entry["status"], entry["attempts"]) == ("unreachable", [])
        assert "opted out" in entry["reason"]
    await the_desk.text(people[0].mobile, "START")


async def test_a_phone_that_is_one_persons_own_and_the_others_second_is_shared(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    owner = a_person()
    colleague = a_person(phone=owner.mobile)
    key = await told(the_desk, at_the_desk, owner, colleague)
    # Only the owner was asked on it: the colleague's question went to the colleague's own phone.
    assert "1 OK" in await the_desk.text(owner.mobile, "1")
    assert await the_desk.acts(key, owner) == [("ok", False)]
    assert await the_desk.acts(key, colleague) == []
    assert "Changed to 3 cannot" in await the_desk.text(owner.mobile, "3")
    # From the own phone, which nobody shares, the digit is enough.
    assert "3 cannot" in await the_desk.text(colleague.mobile, "3")


async def test_once_all_but_one_have_left_the_phone_is_no_longer_shared(the_desk: Desk, at_the_desk: Crew) -> None:
    stays, leaves = sharing(2)
    key = await told(the_desk, at_the_desk, stays, leaves)
    await at_the_desk.hire(Person(**{**vars(leaves), "active": False}))
    assert "1 OK" in await the_desk.text(stays.mobile, "1")
    assert await the_desk.acts(key, stays) == [("ok", False)]
    assert await the_desk.acts(key, leaves) == []


async def test_a_code_that_two_people_had_in_closed_incidents_is_asked_back(the_desk: Desk, at_the_desk: Crew) -> None:
    """Codes are unique while incidents are open. Later only the link says whose it is."""
    people = sharing(2)
    first = await told(the_desk, at_the_desk, people[0])
    second = await told(the_desk, Crew(the_desk, at_the_desk.site), people[1])
    code = await the_desk.code(first, people[0])
    async with the_desk.house.db.begin() as session:
        delivery = await the_desk.delivery(second, people[1])
        await run(session, "UPDATE delivery SET code = :code WHERE id = :id", {"code": code, "id": delivery["id"]})
    for key in (first, second):
        await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    assert "Press the link" in await the_desk.text(people[0].mobile, f"1 {code}")
    assert await the_desk.acts(first, people[0]) == await the_desk.acts(second, people[1]) == []


async def test_a_persons_other_number_never_takes_over_somebodys_answer(the_desk: Desk, at_the_desk: Crew) -> None:
    """Two people have the counter's phone. One was asked on a mobile of her own, the other on the counter's."""
    counter = a_number()
    own, at_counter = a_person(phone=counter), a_person(mobile=counter)
    key = await told(the_desk, at_the_desk, own, at_counter)
    assert "2 need help" in await the_desk.text(counter, "2")
    assert await the_desk.acts(key, at_counter) == [("need_help", False)]
    assert await the_desk.acts(key, own) == []


async def test_whoever_alone_has_an_open_question_on_a_shared_phone_is_meant(the_desk: Desk, at_the_desk: Crew) -> None:
    first, second, third = sharing(3)
    key = await told(the_desk, at_the_desk, first, second, third)
    await the_desk.text(first.mobile, f"1 {await the_desk.code(key, first)}")
    assert "Several people" in await the_desk.text(first.mobile, "3")
    await the_desk.text(first.mobile, f"1 {await the_desk.code(key, second)}")
    assert "3 cannot" in await the_desk.text(first.mobile, "3")
    assert await the_desk.acts(key, third) == [("cannot", False)]
    # Nobody's is open now: whose answer a digit would change, only the code says.
    assert "Several people" in await the_desk.text(first.mobile, "1")
    assert [await the_desk.acts(key, person) for person in (first, second)] == [[("ok", False)], [("ok", False)]]


async def test_a_shared_phone_on_which_only_one_was_told_of_anything_is_theirs(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    told_one, other = sharing(2)
    await at_the_desk.hire(other)
    key = await told(the_desk, Crew(the_desk), told_one)
    assert "1 OK" in await the_desk.text(told_one.mobile, "1")
    assert await the_desk.acts(key, told_one) == [("ok", False)]


async def test_two_incidents_that_went_to_one_person_on_a_shared_phone_are_asked_apart(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person, other = sharing(2)
    await at_the_desk.hire(other)
    crew = Crew(the_desk)
    tills = await told(the_desk, crew, person, title="Tills")
    gates = await told(the_desk, crew, person, title="Gates")
    codes = [await the_desk.code(key, person) for key in (gates, tills)]
    asked = await the_desk.text(person.mobile, "2")
    assert f"2 {codes[0]} (Gates) or 2 {codes[1]} (Tills)" in asked
    assert [report["maybe_help"] for report in await the_desk.reports(gates)] == [True]


async def test_a_code_means_the_question_on_this_number_before_one_on_another(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    """Codes are unique on a number, so a colleague's own mobile may have the same."""
    counter = a_number()
    own, at_counter = a_person(phone=counter), a_person(mobile=counter)
    key = await told(the_desk, at_the_desk, own, at_counter)
    code = await the_desk.code(key, at_counter)
    async with the_desk.house.db.begin() as session:
        delivery = await the_desk.delivery(key, own)
        await run(session, "UPDATE delivery SET code = :code WHERE id = :id", {"code": code, "id": delivery["id"]})
    assert "1 OK" in await the_desk.text(counter, f"1 {code}")
    assert await the_desk.acts(key, at_counter) == [("ok", False)]
    assert "3 cannot" in await the_desk.text(own.mobile, f"3 {code}")
    assert await the_desk.acts(key, own) == [("cannot", False)]


async def test_where_a_digit_would_not_do_every_answer_asks_for_the_code(the_desk: Desk, at_the_desk: Crew) -> None:
    people = sharing(2)
    key = await told(the_desk, at_the_desk, *people)
    code = (await the_desk.delivery(key, people[0]))["code"]
    assert f"with your code {code}." in await the_desk.text(people[0].mobile, f"1 {code}")
    for word in ("HELP", "YES"):
        assert "3 cannot, with your code." in await the_desk.text(people[0].mobile, word)


async def test_an_answer_that_another_signs_is_not_taken_for_whoevers_question_is_open(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    number = a_number()
    ann, bo = (a_person(mobile=number, email="", name=name) for name in ("Ann Archer", "Bo Bell"))
    key = await told(the_desk, at_the_desk, ann, bo)
    await the_desk.text(number, f"1 {await the_desk.code(key, ann)}")
    assert "Several people" in await the_desk.text(number, "2\nAnn")
    assert await the_desk.acts(key, bo) == []
    assert [report["maybe_help"] for report in await the_desk.reports(key)] == [True]
    assert "2 need help" in await the_desk.text(number, "2 - Bo Bell")
    assert await the_desk.acts(key, bo) == [("need_help", False)]
