"""Answers by text: plain whose and to what, or asked back; every act kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.channels.sms_text import RESERVED_WORDS
from app.kernel.db import row
from app.replies.models import Inbound
from app.replies.service import ANSWERS_AN_HOUR, CONFIRMATIONS_AN_HOUR, receive
from app.replies.whose import DIGIT_RACE_SECONDS
from app.replies.wording import CHOICES
from tests.journeys.crew import Crew, Desk, Person, a_person, adds_up


async def told(desk: Desk, crew: Crew, *people: Person, **more: object) -> str:
    """An incident whose first bulletin the people have on their phones since a good while."""
    key = await crew.told(*people, **more)
    await desk.hand_over()
    desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 1)
    return key


async def outcome(desk: Desk, person: Person) -> tuple[str, str | None]:
    """What became of the last text from this phone, and what was answered."""
    async with desk.house.db.begin() as session:
        found = await row(
            session,
            "SELECT outcome, answer FROM inbound_message WHERE sender = :number ORDER BY id DESC LIMIT 1",
            {"number": person.mobile},
        )
    assert found
    return found["outcome"], found["answer"]


@pytest.mark.parametrize(
    ("digit", "response", "status", "named"),
    [("1", "ok", "acknowledged", "1 OK"), ("2", "need_help", "need_help", "2 need help"),
     ("3", "cannot", "cannot", "3 cannot")],
)  # fmt: skip
async def test_one_open_question_is_answered_by_the_digit_alone(
    the_desk: Desk, at_the_desk: Crew, digit: str, response: str, status: str, named: str
) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    answer = await the_desk.text(person.mobile, digit)
    assert named in answer
    assert "Exercise" in answer
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], entry["response"], entry["via"]) == (status, response, "sms")
    assert entry["acknowledged_at"]
    assert (entry["next_step"], entry["next_step_at"]) == (None, None)
    assert await the_desk.acts(key, person) == [(response, False)]
    # Nobody's answer changes anybody else's.
    untouched = await at_the_desk.person(key, other)
    assert (untouched["status"], untouched["response"], untouched["next_step"]) == ("waiting", None, "email")
    adds_up(await the_desk.board(key))


async def test_several_open_questions_need_the_code(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    tills = await told(the_desk, at_the_desk, person, title="Tills")
    gates = await told(the_desk, at_the_desk, person, title="Gates")
    codes = {key: await the_desk.code(key, person) for key in (tills, gates)}
    assert len(set(codes.values())) == 2
    asked = await the_desk.text(person.mobile, "1")
    assert asked == (
        f"Which one do you mean? Text your answer with its code, such as 1 {codes[gates]} (Gates) or "
        f"1 {codes[tills]} (Tills)."
    )
    assert await the_desk.acts(tills, person) == await the_desk.acts(gates, person) == []
    answer = await the_desk.text(person.mobile, f"2 {codes[tills].lower()}")
    assert "2 need help (Tills)" in answer
    assert await the_desk.acts(tills, person) == [("need_help", False)]
    assert await the_desk.acts(gates, person) == []
    # Now one is open, and the digit alone goes there.
    assert "1 OK (Gates)" in await the_desk.text(person.mobile, "1")
    # None is open and two are answered: which one is to change must be said.
    assert "Which one" in await the_desk.text(person.mobile, "3")
    assert "Changed to 3 cannot (Tills)" in await the_desk.text(person.mobile, f"{codes[tills]} 3")
    assert await the_desk.acts(tills, person) == [("need_help", False), ("cannot", False)]


async def test_a_second_digit_changes_the_answer_and_both_are_kept(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "1")
    the_desk.clock.advance(seconds=60)
    assert "Changed to 3 cannot" in await the_desk.text(person.mobile, "3")
    assert await the_desk.acts(key, person) == [("ok", False), ("cannot", False)]
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], entry["response"]) == ("cannot", "cannot")
    kinds = [e["kind"] for e in (await the_desk.call("GET", f"/incidents/{key}/timeline"))["items"]]
    assert [kind for kind in kinds if kind in ("acknowledged", "answer_changed")] == ["acknowledged", "answer_changed"]


async def test_a_digit_right_after_a_newer_bulletin_may_mean_the_older_one(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    first, second = await the_desk.code(key, person), await the_desk.code(key, person, 2)
    the_desk.clock.advance(seconds=DIGIT_RACE_SECONDS - 1)
    asked = await the_desk.text(person.mobile, "1")
    assert f"1 {second} (" in asked
    assert f"1 {first} (" in asked
    assert await the_desk.acts(key, person) == await the_desk.acts(key, person, 2) == []
    # Answered as asked: the older one is over, and its answer is kept all the same.
    assert "your answer is kept" in await the_desk.text(person.mobile, f"1 {first}")
    assert await the_desk.acts(key, person) == [("ok", True)]
    assert await the_desk.acts(key, person, 2) == []
    the_desk.clock.advance(seconds=2)
    assert "1 OK" in await the_desk.text(person.mobile, "1")
    assert await the_desk.acts(key, person, 2) == [("ok", False)]


async def test_the_race_is_over_after_twenty_seconds(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 1)
    await the_desk.text(person.mobile, "1")
    assert await the_desk.acts(key, person, 2) == [("ok", False)]
    assert await the_desk.acts(key, person) == []


async def test_the_race_is_as_long_as_the_time_scale_makes_it(the_desk: Desk, at_the_desk: Crew) -> None:
    house = replace(the_desk.house, time_scale=10)
    for seconds, expected in ((1.9, "asked_which_question"), (2.1, "answered")):
        person = a_person()
        key = await told(the_desk, at_the_desk, person)
        await the_desk.send(key, "identified")
        await the_desk.hand_over()
        the_desk.clock.advance(seconds=seconds)
        async with house.db.begin() as session:
            await receive(session, house, Inbound(f"SMscaled{seconds}", person.mobile, "1"))
        assert (await outcome(the_desk, person))[0] == expected


async def test_there_is_no_race_when_the_older_one_was_answered(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "1")
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    await the_desk.text(person.mobile, "2")
    assert await the_desk.acts(key, person, 2) == [("need_help", False)]
    assert await the_desk.acts(key, person) == [("ok", False)]


async def test_a_digit_while_the_newer_bulletin_is_still_queued_is_asked_back(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.send(key, "identified")
    the_desk.clock.advance(seconds=300)
    assert "Which one" in await the_desk.text(person.mobile, "1")
    assert await the_desk.acts(key, person) == await the_desk.acts(key, person, 2) == []
    await the_desk.hand_over()


async def test_an_answer_with_its_code_is_kept_after_a_newer_bulletin_and_after_the_end(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    code = await the_desk.code(key, person)
    await the_desk.send(key, "monitoring")
    await the_desk.hand_over()
    await the_desk.text(person.mobile, f"2 {code}")
    assert await the_desk.acts(key, person) == [("need_help", True)]
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over", "accept_open_help": True})
    answer = await the_desk.text(person.mobile, f"1 {code}")
    assert "Changed to 1 OK" in answer
    assert "your answer is kept" in answer
    assert await the_desk.acts(key, person) == [("need_help", True), ("ok", True)]


async def test_a_digit_after_the_incident_was_closed_is_kept(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    assert "your answer is kept" in await the_desk.text(person.mobile, "1")
    assert await the_desk.acts(key, person) == [("ok", True)]
    assert (await at_the_desk.person(key, person))["status"] == "acknowledged"


async def test_a_bulletin_that_never_arrived_is_no_open_question_beside_a_newer_one(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    """The handset was off for good; then it is on again, and the next bulletin arrives."""
    person = a_person(email="")
    key = await told(the_desk, at_the_desk, person, severity="SEV2")
    for _ in range(2):
        attempt = (await the_desk.attempts(key))[-1]
        await the_desk.callback(attempt["id"], attempt["provider_message_id"], "undelivered", 30003)
        the_desk.clock.advance(seconds=60)
        await the_desk.hand_over()
    assert (await at_the_desk.person(key, person))["status"] == "unreachable"
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 1)
    assert "1 OK" in await the_desk.text(person.mobile, "1")
    assert await the_desk.acts(key, person, 2) == [("ok", False)]
    assert (await at_the_desk.person(key, person))["status"] == "unreachable"


async def test_a_cancelled_bulletin_is_no_open_question_beside_a_newer_one(the_desk: Desk, at_the_desk: Crew) -> None:
    """It was wrong, it was stopped and replaced: the digit means what is right now, and nobody is asked back."""
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    await the_desk.send(key, "identified")
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=DIGIT_RACE_SECONDS + 1)
    assert "1 OK" in await the_desk.text(person.mobile, "1")
    assert await the_desk.acts(key, person, 2) == [("ok", False)]
    assert await the_desk.acts(key, person) == []


async def test_an_answer_to_a_cancelled_bulletin_counts_when_it_is_all_there_is(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    assert "1 OK" in await the_desk.text(person.mobile, "1")
    assert (await at_the_desk.person(key, person))["status"] == "acknowledged"


async def test_a_digit_means_what_the_person_has_when_its_successor_was_stopped_before_it_went_out(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.send(key, "identified")
    await the_desk.call("POST", f"/incidents/{key}/bulletins/2/cancel")
    await the_desk.hand_over()
    await the_desk.text(person.mobile, "2")
    assert await the_desk.acts(key, person) == [("need_help", True)]
    assert await the_desk.acts(key, person, 2) == []


@pytest.mark.parametrize("word", [*RESERVED_WORDS, "yes", "Help!", "stop."])
async def test_a_carriers_word_acknowledges_nothing(the_desk: Desk, at_the_desk: Crew, word: str) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    answer = await the_desk.text(person.mobile, word)
    assert await the_desk.acts(key, person) == []
    assert (await at_the_desk.person(key, person))["response"] is None
    plain = word.upper().strip("!.")
    if plain in ("HELP", "YES"):
        assert answer == f"1, 2 or 3? Text {CHOICES}."
    elif plain == "INFO":
        assert "not yet your answer" in answer
    else:
        assert answer == ""
    reports = [(entry["text"], entry["maybe_help"]) for entry in await the_desk.reports(key)]
    assert reports == {"HELP": [(word, True)], "INFO": [(word, False)]}.get(plain, [])


@pytest.mark.parametrize(("word", "kind"), [("HELP", "HELP"), ("INFO", "HELP"), ("YES", "START")])
async def test_where_the_carrier_answered_itself_we_say_nothing(
    the_desk: Desk, at_the_desk: Crew, word: str, kind: str
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    assert await the_desk.text(person.mobile, word, OptOutType=kind) == ""
    assert await the_desk.acts(key, person) == []
    reports = [(entry["text"], entry["maybe_help"]) for entry in await the_desk.reports(key)]
    assert reports == {"HELP": [("HELP", True)], "INFO": [("INFO", False)], "YES": []}[word]


async def test_stop_ends_texts_and_start_brings_them_back(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    assert await the_desk.text(person.mobile, "STOP", OptOutType="STOP") == ""
    # Whoever waits is tried on the next channel at once.
    assert (await the_desk.delivery(key, person))["next_step_at"] == the_desk.clock.now()
    number = await the_desk.send(key, "identified")
    (only,) = (await at_the_desk.person(key, person, number))["attempts"]
    assert only["channel"] == "email"
    assert await the_desk.text(person.mobile, "START") == ""
    number = await the_desk.send(key, "monitoring")
    (only,) = (await at_the_desk.person(key, person, number))["attempts"]
    assert only["channel"] == "sms"
    kinds = [e["kind"] for e in (await the_desk.call("GET", f"/incidents/{key}/timeline"))["items"]]
    assert [kind for kind in kinds if kind.startswith("opted")] == ["opted_out", "opted_in"]


async def test_a_carrier_that_says_stop_is_believed_whatever_the_words(the_desk: Desk, at_the_desk: Crew) -> None:
    """Accounts choose their own words: `OptOutType` is what counts."""
    person = a_person()
    await told(the_desk, at_the_desk, person)
    assert await the_desk.text(person.mobile, "1", OptOutType="STOP") == ""
    assert (await outcome(the_desk, person))[0] == "opted_out"
    assert await the_desk.text(person.mobile, "ARRET", OptOutType="START") == ""
    assert (await outcome(the_desk, person))[0] == "opted_in"


async def test_a_repeated_message_is_answered_with_nothing_and_counts_once(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    assert "1 OK" in await the_desk.text(person.mobile, "1", sid="SM" + "e" * 32)
    assert await the_desk.text(person.mobile, "1", sid="SM" + "e" * 32) == ""
    assert await the_desk.text(person.mobile, "2", sid="SM" + "e" * 32) == ""
    assert await the_desk.acts(key, person) == [("ok", False)]


async def test_an_unknown_sender_is_recorded_and_not_answered(the_desk: Desk, at_the_desk: Crew) -> None:
    stranger = a_person()
    await told(the_desk, at_the_desk, a_person())
    for body in ("1", "HELP", "tills are down", "1 K7"):
        assert await the_desk.text(stranger.mobile, body) == ""
        assert await outcome(the_desk, stranger) == ("unknown_sender", None)
    async with the_desk.house.db.begin() as session:
        found = await row(
            session, "SELECT count(*) AS n FROM inbound_message WHERE sender = :number", {"number": stranger.mobile}
        )
    assert found
    assert found["n"] == 4


async def test_whoever_has_left_is_a_stranger(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await at_the_desk.hire(Person(**{**vars(person), "active": False}))
    assert await the_desk.text(person.mobile, "1") == ""
    assert await the_desk.acts(key, person) == []


async def test_a_code_that_nobody_gave_is_said_so_and_passed_on(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    code = await the_desk.code(key, person)
    wrong = "A2" if code != "A2" else "A3"
    assert f"no question with the code {wrong}" in await the_desk.text(person.mobile, f"2 {wrong}")
    assert await the_desk.acts(key, person) == []
    assert [(e["text"], e["maybe_help"]) for e in await the_desk.reports(key)] == [(f"2 {wrong}", True)]


async def test_another_persons_code_answers_nothing(the_desk: Desk, at_the_desk: Crew) -> None:
    person, other = a_person(), a_person()
    key = await told(the_desk, at_the_desk, person, other)
    theirs = await the_desk.code(key, other)
    if theirs != await the_desk.code(key, person):
        assert "no question" in await the_desk.text(person.mobile, f"1 {theirs}")
        assert await the_desk.acts(key, person) == []
    assert await the_desk.acts(key, other) == []


async def test_a_digit_without_any_question_is_passed_on(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    await at_the_desk.hire(person)
    assert "no open question" in await the_desk.text(person.mobile, "2")
    assert (await outcome(the_desk, person))[0] == "no_question"


async def test_the_number_may_be_written_in_any_way(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    number = person.mobile
    spelled = f"+1 ({number[2:5]}) {number[5:8]}-{number[8:]}"
    assert "1 OK" in await the_desk.text(spelled, "1")
    assert await the_desk.acts(key, person) == [("ok", False)]


async def test_automatic_answers_end_but_answers_are_still_taken(the_desk: Desk, at_the_desk: Crew) -> None:
    """Two machines that text each other must come to rest; a person who changes an answer is still confirmed."""
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    said = [await the_desk.text(person.mobile, f"out of office {n}") for n in range(ANSWERS_AN_HOUR + 3)]
    assert [bool(words) for words in said] == [True] * ANSWERS_AN_HOUR + [False] * 3
    assert len(await the_desk.reports(key)) == ANSWERS_AN_HOUR + 3
    assert "1 OK" in await the_desk.text(person.mobile, "1")
    async with the_desk.house.db.begin() as session:
        await row(
            session,
            """WITH many AS (INSERT INTO inbound_message (sid, sender, body, received_at, outcome, answer)
                 SELECT 'SMmany' || :number || n, :number, '1', :now, 'answered', 'Thank you'
                 FROM generate_series(1, :n) AS n RETURNING 1) SELECT count(*) FROM many""",
            {"number": person.mobile, "now": the_desk.clock.now(), "n": CONFIRMATIONS_AN_HOUR},
        )
    assert await the_desk.text(person.mobile, "2") == ""
    assert await the_desk.text(person.mobile, "HELP") == ""
    assert (await the_desk.acts(key, person))[-1] == ("need_help", False)
    the_desk.clock.advance(seconds=3601)
    assert await the_desk.text(person.mobile, "3")


async def test_confirmations_use_up_none_of_the_other_answers(the_desk: Desk, at_the_desk: Crew) -> None:
    """Who changes an answer many times is still asked what HELP meant."""
    person = a_person()
    await told(the_desk, at_the_desk, person)
    for n in range(ANSWERS_AN_HOUR + 1):
        assert await the_desk.text(person.mobile, str(n % 3 + 1))
    assert "1, 2 or 3?" in await the_desk.text(person.mobile, "HELP")


async def test_an_answer_while_the_text_is_still_queued_stops_it(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await at_the_desk.told(person)
    await the_desk.text(person.mobile, "1")
    await the_desk.hand_over()
    assert await the_desk.texts(person.mobile) == []
    entry = await at_the_desk.person(key, person)
    assert entry["status"] == "acknowledged"
    assert [(a["state"], a["reason"]) for a in entry["attempts"]] == [("cancelled", "answered")]
