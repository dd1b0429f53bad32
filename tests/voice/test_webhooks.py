"""What the provider calls about a call: what is said, what a key means, and what changes nothing."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx2
import pytest

from app.kernel.db import rows, run
from tests.journeys.crew import Crew, Desk, Person, a_person, signed
from tests.stack import ACCOUNT

HUMAN, MACHINE = {"AnsweredBy": "human"}, {"AnsweredBy": "machine_end_beep"}


@dataclass
class Call:
    """One call as the provider has it, and how it would tell us of it."""

    desk: Desk
    key: str
    person: Person
    attempt: int
    sid: str = field(default_factory=lambda: "CA" + uuid.uuid4().hex)

    @property
    def address(self) -> str:
        return f"/webhooks/twilio/voice/{self.desk.house.signer.attempt_token(self.attempt)}"

    async def post(self, path: str, form: dict[str, str]) -> httpx2.Response:
        return await self.desk.post(f"{self.address}{path}", {"CallSid": self.sid, "CallStatus": "in-progress", **form})

    async def said(self, path: str = "", **form: str) -> ElementTree.Element:
        response = await self.post(path, form)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/xml")
        return ElementTree.fromstring(response.text)

    async def presses(self, keys: str, turn: int = 1, **form: str) -> str:
        return words(await self.said(f"/answer?turn={turn}", Digits=keys, **form))

    async def state(self) -> dict[str, Any]:
        return next(entry for entry in await self.desk.attempts(self.key) if entry["id"] == self.attempt)

    async def entry(self) -> dict[str, Any]:
        return await self.desk.person(self.key, self.person.id)


def words(document: ElementTree.Element) -> str:
    return " ".join(say.text or "" for say in document.iter("Say"))


async def a_call(crew: Crew, **more: Any) -> Call:
    """Somebody whose phone is being rung just now, for the first bulletin of a SEV2: it begins with the call."""
    desk = crew.muster
    assert isinstance(desk, Desk)
    given = more.pop("person", None) or a_person(**more.pop("who", {}))
    key = await crew.told(given, severity="SEV2", **more)
    await desk.hand_over()
    (attempt,) = [entry for entry in await desk.attempts(key) if entry["employee_id"] == given.id]
    assert (attempt["channel"], attempt["state"]) == ("voice", "accepted")
    return Call(desk, key, given, attempt["id"], attempt["provider_message_id"])


async def test_the_first_words_name_the_person_read_the_script_twice_and_take_one_key(crew: Crew) -> None:
    call = await a_call(crew, who={"name": "Ada <Lovelace> & Söhne"})
    document = await call.said("", **HUMAN)
    gather = document[0]
    assert gather.tag == "Gather"
    assert gather.attrib["numDigits"] == "1"
    assert gather.attrib["input"] == "dtmf"
    assert gather.attrib["finishOnKey"] == ""
    assert gather.attrib["action"] == f"{call.desk.house.base_url}{call.address}/answer?turn=1"
    text = words(document)
    assert text.startswith("This is Muster with a message for Ada <Lovelace> & Söhne.")
    assert text.count("investigating: tills are down.") == 2
    for phrase in ("Press 1", "Press 2", "Press 3", "Press star", "only if you are Ada <Lovelace> & Söhne"):
        assert phrase in text
    assert document[1].tag == "Redirect"
    # Nobody presses: how to answer once more, and then the end of it.
    again = await call.said((document[1].text or "").partition(call.address)[2])
    assert words(again).startswith("Press 1")
    assert "tills" not in words(again)
    assert "Nothing was noted. Goodbye." in words(again)
    assert again[-1].tag == "Hangup"
    assert (await call.entry())["response"] is None
    assert (await call.state())["state"] == "delivered"


KEYS = [("1", "ok", "you are OK"), ("2", "need_help", "you need help"), ("3", "cannot", "cannot do your part")]


@pytest.mark.parametrize(("key", "response", "phrase"), KEYS)
async def test_a_key_is_an_answer_by_voice(crew: Crew, key: str, response: str, phrase: str) -> None:
    call = await a_call(crew)
    await call.said("", **HUMAN)
    assert phrase in await call.presses(key)
    entry = await call.entry()
    assert (entry["response"], entry["via"]) == (response, "voice")
    asked = await call.desk.call("GET", f"/incidents/{call.key}/help-requests")
    assert len(asked["items"]) == (response == "need_help")
    timeline = await call.desk.call("GET", f"/incidents/{call.key}/timeline")
    (told,) = [e for e in timeline["items"] if e["kind"] == "acknowledged"]
    assert told["data"]["via"] == "voice"


async def test_a_later_key_changes_the_answer_and_a_later_text_does_too(crew: Crew) -> None:
    call = await a_call(crew)
    await call.presses("2")
    assert "Changed: you are OK" in await call.presses("1", turn=2)
    assert [response for response, _ in await call.desk.acts(call.key, call.person)] == ["need_help", "ok"]
    asked = await call.desk.call("GET", f"/incidents/{call.key}/help-requests")
    assert [entry["outcome"] for entry in asked["items"]] == ["withdrawn"]
    await call.desk.text(call.person.mobile, "3")
    entry = await call.entry()
    assert (entry["response"], entry["via"]) == ("cannot", "sms")


async def test_star_repeats_and_any_other_key_is_asked_again_a_few_times_only(crew: Crew) -> None:
    call = await a_call(crew)
    assert "tills are down" in await call.presses("*")
    for turn, key in enumerate(["7", "0", "#", "12", "", "9"], 2):
        assert "no meaning here" in await call.presses(key, turn=turn)
    last = await call.said("/answer?turn=8", Digits="7")
    assert last.find("Gather") is None
    assert last[-1].tag == "Hangup"
    assert (await call.entry())["response"] is None


@pytest.mark.parametrize(
    "who", ["machine_end_beep", "machine_end_silence", "machine_end_other", "machine_start", "fax"]
)
async def test_a_machine_is_told_little_and_never_acknowledges(crew: Crew, who: str) -> None:
    call = await a_call(crew)
    document = await call.said("", AnsweredBy=who)
    assert document.find("Gather") is None
    assert "tills" not in words(document)
    assert call.person.id in words(document)
    # A machine that plays tones, told of without who picked up: it is remembered.
    assert "Noted" not in await call.presses("1")
    assert "Noted" not in await call.presses("1", AnsweredBy=who)
    entry = await call.entry()
    assert entry["response"] is None
    assert entry["attempts"][0]["state"] == "undelivered"
    assert entry["attempts"][0]["reason"] == ("a fax machine" if who == "fax" else "an answering machine") + (
        " took the call"
    )
    assert entry["next_step_at"] is not None
    await call.desk.take_steps()
    assert [attempt["channel"] for attempt in (await call.entry())["attempts"]][1:] == ["email"]
    # Late news that it ended is no proof of a person.
    await call.post("/status", {"CallStatus": "completed", "AnsweredBy": who})
    assert (await call.state())["state"] == "undelivered"


async def test_an_answer_given_otherwise_meanwhile_is_said(crew: Crew) -> None:
    call = await a_call(crew)
    await call.desk.text(call.person.mobile, f"1 {await call_code(call)}")
    document = await call.said("", **HUMAN)
    assert "You have answered already: you are OK" in words(document)
    assert len(await call.desk.acts(call.key, call.person)) == 1


async def call_code(call: Call) -> str:
    return str((await call.desk.delivery(call.key, call.person))["code"])


async def closed(call: Call) -> None:
    await call.desk.call("PATCH", f"/incidents/{call.key}", {"status": "closed", "reason": "over"})


async def superseded(call: Call) -> None:
    await call.desk.send(call.key, "identified")


async def cancelled(call: Call) -> None:
    await call.desk.call("POST", f"/incidents/{call.key}/bulletins/1/cancel")


async def left(call: Call) -> None:
    person = call.person
    await Crew(call.desk).hire(Person(person.id, mobile=person.mobile, email=person.email, active=False))


ENDS = {"closed": (closed, "no longer current"), "superseded": (superseded, "newer one, which follows"),
        "cancelled": (cancelled, "no longer current"), "left": (left, "no longer meant for this number")}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("when", ["while it rings", "while it is read"])
async def test_what_is_no_longer_current_is_said_and_acknowledges_nothing(crew: Crew, how: str, when: str) -> None:
    call = await a_call(crew)
    end, phrase = ENDS[how]
    if when == "while it is read":
        await call.said("", **HUMAN)
    await end(call)
    if when == "while it rings":
        document = await call.said("", **HUMAN)
        assert phrase in words(document)
        assert document.find("Gather") is None
        assert "tills" not in words(document)
        if how == "left":
            assert call.person.id not in words(document)
    assert "Noted" not in await call.presses("1")
    assert await call.desk.acts(call.key, call.person) == []


async def test_whoever_asks_for_help_is_heard_though_the_message_was_just_replaced(crew: Crew) -> None:
    call = await a_call(crew)
    await call.said("", **HUMAN)
    await superseded(call)
    assert "you need help" in await call.presses("2")
    asked = await call.desk.call("GET", f"/incidents/{call.key}/help-requests")
    assert [entry["person_id"] for entry in asked["items"]] == [call.person.id]


async def test_whoever_asks_for_help_in_a_call_is_told_on_though_the_incident_was_just_closed(crew: Crew) -> None:
    call = await a_call(crew)
    leader = a_person()
    await crew.hire(leader)
    await call.desk.call("PATCH", f"/incidents/{call.key}", {"commander": leader.id, "reason": "She is on duty."})
    await call.said("", **HUMAN)
    await closed(call)
    call.desk.clock.advance(seconds=1)
    assert "The incident team sees it now" in await call.presses("2")
    await call.desk.hand_over()
    (asked,) = (await call.desk.call("GET", f"/incidents/{call.key}/help-requests"))["items"]
    assert asked["state"] == "open"
    assert len(asked["told"]) == 1
    (text,) = await call.desk.texts(leader.mobile)
    assert "needs help" in text["body"]


async def test_another_key_for_a_turn_that_was_handled_says_what_was_noted(crew: Crew) -> None:
    call = await a_call(crew)
    await call.presses("1")
    said = await call.presses("2")
    assert "Noted: you are OK" in said
    assert "Changed" not in said
    assert (await call.entry())["response"] == "ok"


async def test_a_key_from_another_call_counts_for_nobody(crew: Crew) -> None:
    call = await a_call(crew)
    other = await call.post("/answer?turn=1", {"Digits": "1", "CallSid": "CA" + "9" * 32})
    assert other.status_code == 404
    assert (await call.entry())["response"] is None


async def test_a_repeated_key_is_handled_once(crew: Crew) -> None:
    call = await a_call(crew)
    first = await call.presses("1")
    for _ in range(3):
        assert await call.presses("1") == first
    assert len(await call.desk.acts(call.key, call.person)) == 1
    timeline = await call.desk.call("GET", f"/incidents/{call.key}/timeline")
    assert [e["kind"] for e in timeline["items"]].count("answer_changed") == 0


async def test_on_a_shared_phone_each_call_is_one_persons(crew: Crew) -> None:
    desk = crew.muster
    assert isinstance(desk, Desk)
    one, other = a_person(), a_person()
    other = Person(other.id, mobile=one.mobile)
    key = await crew.told(one, other, severity="SEV2")
    await desk.hand_over()
    attempts = {entry["employee_id"]: entry for entry in await desk.attempts(key)}
    call = Call(desk, key, other, attempts[other.id]["id"], attempts[other.id]["provider_message_id"])
    assert f"only if you are Person {other.id}" in words(await call.said("", **HUMAN))
    await call.presses("1")
    assert (await desk.person(key, other.id))["response"] == "ok"
    assert (await desk.person(key, one.id))["response"] is None


async def test_a_drills_call_begins_and_ends_with_drill(crew: Crew) -> None:
    call = await a_call(crew, drill=True)
    for path, form in (("", HUMAN), ("?turn=1", {}), ("/answer?turn=2", {"Digits": "*"}), ("/answer?turn=3",
                       {"Digits": "1"}), ("/answer?turn=8", {"Digits": "6"}), ("", MACHINE)):  # fmt: skip
        text = words(await call.said(path, **form))
        assert text.startswith("DRILL."), (path, text)
        assert text.endswith("DRILL."), (path, text)


async def test_the_words_are_spoken_in_their_language_and_ours_in_english(crew: Crew) -> None:
    call = await a_call(crew, who={"language": "fr-CA"})
    document = await call.said("", **HUMAN)
    spoken = {(say.attrib["language"], (say.text or "")[:6]) for say in document.iter("Say")}
    assert ("fr-FR", "Panne,") in spoken
    assert ("en-US", "This i") in spoken


BAD: list[dict[str, str]] = [
    {"CallSid": ""}, {"CallSid": "C" * 65}, {"CallSid": "CA\0"}, {"CallStatus": "s" * 65},
    {"CallStatus": "busy\0"},
]  # fmt: skip


@pytest.mark.parametrize("form", BAD)
async def test_a_request_that_names_no_call_is_a_bad_request(crew: Crew, form: dict[str, str]) -> None:
    call = await a_call(crew)
    for path in ("", "/answer?turn=1", "/status"):
        assert (await call.post(path, {"Digits": "1", **form})).status_code == 400
    assert (await call.entry())["response"] is None


async def test_a_token_that_is_no_calls_is_a_404(crew: Crew) -> None:
    call = await a_call(crew)
    signer = call.desk.house.signer
    for token in ("a" * 20, "short", signer.attempt_token(2**39), signer.link_token(1)):
        for path in ("", "/answer?turn=1"):
            form = {"CallSid": call.sid, "CallStatus": "in-progress", "Digits": "1"}
            response = await call.desk.post(f"/webhooks/twilio/voice/{token}{path}", form)
            assert response.status_code == 404


async def test_an_unsigned_key_is_403_and_changes_nothing(crew: Crew) -> None:
    call = await a_call(crew)
    before = await call.state()
    form = {"AccountSid": ACCOUNT, "CallSid": call.sid, "CallStatus": "in-progress", "Digits": "1"}
    url = f"{call.desk.house.base_url}{call.address}"
    right = signed(f"{url}/answer?turn=1", form)
    wrong = [{}, {"X-Twilio-Signature": ""}, {"X-Twilio-Signature": "x"}, signed(f"{url}/answer?turn=2", form),
             signed(f"{url}/answer", form), signed(f"{url}/answer?turn=1", {**form, "Digits": "2"})]  # fmt: skip
    for headers in wrong:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        for path in ("/answer?turn=1", "/status", ""):
            if path == "/answer?turn=1" or not headers.get("X-Twilio-Signature"):
                response = await call.desk.api.post(f"{call.address}{path}", content=urlencode(form), headers=headers)
                assert response.status_code == 403, (path, headers)
    assert await call.state() == before
    assert (await call.entry())["response"] is None
    async with call.desk.house.db.begin() as session:
        assert await rows(session, "SELECT 1 FROM keypress WHERE call_sid = :sid", {"sid": call.sid}) == []
    response = await call.desk.api.post(f"{call.address}/answer?turn=1", content=urlencode(form), headers=right)
    assert response.status_code == 200


COURSES: list[tuple[list[dict[str, str]], str, str | None, bool]] = [
    # what came of the call, in any order -> its state, why, whether the next step is due at once
    ([{"CallStatus": "initiated"}, {"CallStatus": "ringing"}], "sending", None, False),
    ([{"CallStatus": "ringing"}, {"CallStatus": "in-progress"}], "sent", None, False),
    ([{"CallStatus": "in-progress"}, {"CallStatus": "completed", "AnsweredBy": "human"}], "delivered", None, False),
    ([{"CallStatus": "in-progress"}, {"CallStatus": "completed", "AnsweredBy": "unknown"}], "sent", None, False),
    ([{"CallStatus": "in-progress"}, {"CallStatus": "completed"}], "sent", None, False),
    ([{"CallStatus": "initiated"}, {"CallStatus": "busy"}], "undelivered", "the line was busy", True),
    ([{"CallStatus": "ringing"}, {"CallStatus": "no-answer"}], "undelivered", "nobody picked up", True),
    ([{"CallStatus": "initiated"}, {"CallStatus": "failed"}], "failed", "the provider gives no reason", True),
    ([{"CallStatus": "failed", "ErrorCode": "13224"}], "failed", "the number is not valid or cannot be called", True),
    ([{"CallStatus": "queued"}, {"CallStatus": "canceled"}], "cancelled_there", "the provider gives no reason", True),
    (
        [{"CallStatus": "in-progress"}, {"CallStatus": "completed", "AnsweredBy": "machine_end_beep"}],
        "undelivered", "an answering machine took the call", True,
    ),
    ([{"CallStatus": "rerouted"}], "accepted", None, False),
]  # fmt: skip


@pytest.mark.parametrize(("course", "state", "reason", "at_once"), COURSES)
async def test_what_the_reports_on_a_call_prove_in_any_order(
    crew: Crew, course: list[dict[str, str]], state: str, reason: str | None, at_once: bool
) -> None:
    for order in itertools.permutations(course):
        call = await a_call(crew)
        due = (await call.desk.delivery(call.key, call.person))["next_step_at"]
        for form in (*order, *order):
            assert (await call.post("/status", form)).status_code == 204
        attempt = await call.state()
        assert (attempt["state"], attempt["reason"]) == (state, reason)
        after = (await call.desk.delivery(call.key, call.person))["next_step_at"]
        assert (after < due) is at_once
        assert (await call.entry())["response"] is None


@pytest.mark.parametrize(("status", "again"), [("busy", 1), ("no-answer", 1), ("failed", 0), ("canceled", 0)])
async def test_a_busy_line_and_one_that_nobody_took_are_called_once_more(crew: Crew, status: str, again: int) -> None:
    call = await a_call(crew)
    await call.post("/status", {"CallStatus": status})
    more = [e for e in await call.desk.attempts(call.key) if e["channel"] == "voice"][1:]
    assert [(e["state"], e["seq"]) for e in more] == [("queued", 1)] * again
    for entry in more:
        call.desk.clock.advance(seconds=31)
        await call.desk.hand_over()
        second = Call(call.desk, call.key, call.person, entry["id"])
        second.sid = (await second.state())["provider_message_id"]
        await second.post("/status", {"CallStatus": status})
        assert len([e for e in await call.desk.attempts(call.key) if e["channel"] == "voice"]) == 2


async def test_a_question_what_to_say_proves_the_call_before_our_own_write(crew: Crew) -> None:
    """The provider asks before its answer to the hand-over has reached us."""
    call = await a_call(crew)
    async with call.desk.house.db.begin() as session:
        await run(
            session,
            """UPDATE attempt SET state = 'handing_over', provider_message_id = NULL, accepted_at = NULL,
                      lease_until = now() + interval '1 minute' WHERE id = :id""",
            {"id": call.attempt},
        )
    assert "tills are down" in words(await call.said("", **HUMAN))
    state = await call.state()
    assert (state["state"], state["provider_message_id"]) == ("delivered", call.sid)


async def test_another_calls_id_under_our_token_changes_nothing_that_is_known(crew: Crew) -> None:
    call = await a_call(crew)
    other = Call(call.desk, call.key, call.person, call.attempt)
    assert "tills are down" in words(await other.said("", **HUMAN))
    state = await call.state()
    assert (state["state"], state["provider_message_id"]) == ("accepted", call.sid)
