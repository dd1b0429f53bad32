"""Calls over real wires: who does not answer their text is called, and only a key that they press counts."""

from __future__ import annotations

import pytest

from tests.journeys.crew import Crew, Person, a_number, a_person, tried

SILENT = ("sms", "delivered")
MAILED = ("email", "accepted")


def callee(fate: str, **given: str) -> Person:
    """Somebody whose phone takes texts in silence and whose calls end as this fate says; a mailbox nobody opens."""
    person = a_person(mobile=a_number(fate), **given)
    return Person(person.id, mobile=person.mobile, email=f"silent+{person.id}@example.org")


async def test_whoever_answers_neither_text_nor_mail_is_called_and_presses_1(people: Crew) -> None:
    person = callee("5001")
    key = await people.told(person, severity="SEV1")
    entry = await people.until(key, person, status="acknowledged")
    assert (entry["response"], entry["via"]) == ("ok", "voice")
    entry = await people.until_attempts(key, person, SILENT, MAILED, ("voice", "delivered"))
    (call,) = await people.muster.calls(person.mobile)
    assert call["sid"] == entry["attempts"][2]["provider_message_id"]
    said = " ".join(call["said"])
    assert said.count("investigating: tills are down.") == 2
    assert f"This is Muster with a message for Person {person.id}." in said
    assert "Press 1 if you are OK" in said
    assert call["pressed"] == ["1"]
    assert "Noted: you are OK" in said
    assert "/a/" not in said


PRESSED = [("5002", "need_help", "2"), ("5003", "cannot", "3"), ("5009", "ok", "*1"), ("5010", "ok", "71"),
           ("5012", "ok", "1"), ("5015", "need_help", "12")]  # fmt: skip


async def test_every_key_means_what_the_call_said(people: Crew) -> None:
    them = {fate: callee(fate) for fate, _, _ in PRESSED}
    key = await people.told(*them.values(), severity="SEV2")
    for fate, response, keys in PRESSED:
        entry = await people.until(key, them[fate], response=response)
        assert entry["via"] == "voice"
        await people.until_attempts(key, them[fate], ("voice", "sent" if fate == "5012" else "delivered"))
        (call,) = await people.muster.calls(them[fate].mobile)
        assert "".join(call["pressed"]) == keys
    # A 2 in a call opens a request for help as a 2 by text does.
    asked = await people.muster.call("GET", f"/incidents/{key}/help-requests")
    assert {entry["person_id"] for entry in asked["items"]} == {them["5002"].id, them["5015"].id}


NOBODY = [
    ("5008", "undelivered", "an answering machine took the call"),
    ("5014", "undelivered", "a fax machine took the call"),
    ("5006", "undelivered", "the line was busy"),
    ("5011", "failed", "the provider gives no reason"),
]


@pytest.mark.parametrize(("fate", "state", "reason"), NOBODY)
async def test_a_call_that_reaches_nobody_leads_to_the_next_step_at_once(
    people: Crew, fate: str, state: str, reason: str
) -> None:
    """SEV2 waits an hour for its mail; after such a call it goes out at once."""
    person = callee(fate)
    key = await people.told(person, severity="SEV2")
    first = ("voice", state)
    wanted = [first, first, MAILED] if fate == "5006" else [first, MAILED]
    entry = await people.until_attempts(key, person, *wanted)
    assert entry["attempts"][0]["reason"] == reason
    assert (entry["status"], entry["response"]) == ("waiting", None)


async def test_a_machine_is_left_a_short_message_without_what_it_is_about(people: Crew) -> None:
    person = callee("5008")
    key = await people.told(person, severity="SEV2")
    await people.until_attempts(key, person, ("voice", "undelivered"), MAILED)
    (call,) = await people.muster.calls(person.mobile)
    said = " ".join(call["said"])
    assert f"a message for Person {person.id}" in said
    assert "text messages or your email" in said
    assert "tills are down" not in said
    assert "Press" not in said


@pytest.mark.parametrize("fate", ["5004", "5005"])
async def test_hanging_up_or_pressing_nothing_acknowledges_nothing(people: Crew, fate: str) -> None:
    person = callee(fate)
    key = await people.told(person, severity="SEV2")
    entry = await people.until_attempts(key, person, ("voice", "delivered"))

    async def over() -> bool:
        return bool((await people.muster.calls(person.mobile))[0]["ended"])

    await people.muster.until(over)
    entry = await people.person(key, person)
    assert (entry["status"], entry["response"]) == ("waiting", None)
    # Its hour has not come: somebody picked up.
    assert entry["next_step"] == "email"
    assert tried(entry) == [("voice", "delivered")]
    if fate == "5005":
        (call,) = await people.muster.calls(person.mobile)
        assert "Nothing was noted. Goodbye." in call["said"][-1]
        assert " ".join(call["said"]).count("tills are down") == 2


async def test_a_landline_that_cannot_be_texted_is_called_at_once(people: Crew) -> None:
    person = Person(a_person().id, mobile=a_number("0009"))
    key = await people.told(person, severity="SEV1")

    async def called() -> bool:
        return bool(await people.muster.calls(person.mobile))

    await people.muster.until(called)
    entry = await people.person(key, person)
    assert tried(entry)[0] == ("sms", "rejected")
    assert tried(entry)[1][0] == "voice"
