"""Calls as Twilio makes them: asked for over REST, rung, spoken from signed TwiML, reported, kept over a restart."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from app.simulator.fates import CALL_FATES
from app.simulator.twiml import NotTwiml
from app.simulator.voice_twiml import verbs

from .stand import PERSON, SENDER, SOMEBODY, TOKEN, Posted, Receiver, Stand, standing, until

QUESTION = (
    '<Response><Gather numDigits="1" input="dtmf" timeout="2" action="{action}"><Say language="fr-FR">Bonjour '
    '&lt;Ada&gt;.</Say><Pause length="1"/><Say>Press 1.</Say></Gather><Redirect>{again}</Redirect></Response>'
)
THANKS = "<Response><Say>Noted: {key}.</Say><Hangup/></Response>"


def conversation(posted: Posted) -> str:
    """Asks for a key, thanks for 1, 2 and 3, asks again for every other; once more after silence, then goodbye."""
    address = posted.path.partition("?")[0].removesuffix("/answer")
    if (key := posted.form.get("Digits")) is not None and key in "123":
        return THANKS.format(key=key)
    if "again" in posted.path:
        return "<Response><Say>Goodbye.</Say></Response>"
    return QUESTION.format(action=f"{address}/answer?turn=1", again=f"{address}?again=1")


def told(receiver: Receiver, sid: str) -> list[str]:
    """The statuses that were reported of one call, in order of arrival."""
    return [posted.form["CallStatus"] for posted in receiver.reports if posted.form["CallSid"] == sid]


async def over(stand: Stand, sid: str) -> dict[str, Any]:
    """The call, once it has ended and every report on it was taken."""
    found: dict[str, Any] = {}
    for _ in range(1000):
        found = await stand.call(sid)
        if found["ended"] and found["reported"] == found["course"]:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


def magic(digits: str) -> str:
    return f"+1500555{digits}"


ENDS = {
    # digits: course, answered_by, keys
    "5001": (["initiated", "ringing", "in-progress", "completed"], "human", ["1"]),
    "5002": (["initiated", "ringing", "in-progress", "completed"], "human", ["2"]),
    "5003": (["initiated", "ringing", "in-progress", "completed"], "human", ["3"]),
    "5004": (["initiated", "ringing", "in-progress", "completed"], "human", []),
    "5005": (["initiated", "ringing", "in-progress", "completed"], "human", []),
    "5006": (["initiated", "busy"], None, []),
    "5008": (["initiated", "ringing", "in-progress", "completed"], "machine_end_beep", []),
    "5009": (["initiated", "ringing", "in-progress", "completed"], "human", ["*", "1"]),
    "5010": (["initiated", "ringing", "in-progress", "completed"], "human", ["7", "1"]),
    "5011": (["initiated", "failed"], None, []),
    "5012": (["initiated", "ringing", "in-progress", "completed"], "unknown", ["1"]),
    "5014": (["initiated", "ringing", "in-progress", "completed"], "fax", []),
    "5015": (["initiated", "ringing", "in-progress", "completed"], "human", ["1"]),
}


def test_every_fate_of_a_call_has_its_case() -> None:
    assert set(ENDS) | {"5007", "5013"} == {fate.digits for fate in CALL_FATES}


async def test_each_call_ends_as_its_number_says(lively: Stand) -> None:
    lively.receiver.says = conversation
    sids = {digits: await lively.dial(magic(digits), token=digits) for digits in ENDS}
    for digits, (course, answered_by, keys) in ENDS.items():
        call = await over(lively, sids[digits])
        assert (call["course"], call["answered_by"], call["pressed"]) == (course, answered_by, keys), digits
        told = [
            posted.form["CallStatus"] for posted in lively.receiver.reports if posted.form["CallSid"] == call["sid"]
        ]
        assert told == course


async def test_nobody_picks_up_within_the_time_that_was_asked_for(stand: Stand) -> None:
    call = await over(stand, await stand.dial(PERSON, timeout=1))
    assert call["course"] == ["initiated", "ringing", "no-answer"]
    assert stand.receiver.calls == []


async def test_every_request_about_a_call_is_signed_and_names_it(stand: Stand) -> None:
    stand.receiver.says = conversation
    sid = await stand.dial(PERSON)
    await until(lambda: bool(stand.receiver.reports))
    assert (await stand.phone(PERSON, "pick_up")).json()["said"] == ["Bonjour <Ada>.", "Press 1."]
    said = (await stand.phone(PERSON, "press", "2")).json()
    assert said["said"][-1] == "Noted: 2."
    await over(stand, sid)
    first, answer = stand.receiver.calls
    assert first.form["AnsweredBy"] == "human"
    assert first.form["CallStatus"] == "in-progress"
    assert answer.path.endswith("/answer?turn=1")
    assert answer.form["Digits"] == "2"
    validator = RequestValidator(TOKEN)
    for posted in (*stand.receiver.calls, *stand.receiver.reports):
        assert (posted.form["CallSid"], posted.form["To"], posted.form["From"]) == (sid, PERSON, SENDER)
        assert posted.form["FromCity"] == ""
        assert validator.validate(stand.receiver.url + posted.path, posted.form, posted.headers["x-twilio-signature"])
    last = stand.receiver.reports[-1].form
    assert (last["CallStatus"], last["AnsweredBy"]) == ("completed", "human")
    assert last["CallDuration"].isdecimal()


async def test_the_resource_and_the_list_show_no_words(stand: Stand) -> None:
    one = await stand.dial(PERSON)
    other = await stand.dial(SOMEBODY)
    calls = stand.twilio.calls
    shown = await asyncio.to_thread(lambda: calls(one).fetch())
    assert (shown.sid, shown.to, shown.direction) == (one, PERSON, "outbound-api")
    assert shown.status in ("queued", "ringing")
    assert shown.date_created is not None
    listed = await asyncio.to_thread(lambda: calls.list(to=PERSON, from_=SENDER))
    assert [call.sid for call in listed] == [one]
    assert [call.sid for call in await asyncio.to_thread(lambda: calls.list(limit=10))] == [other, one]
    assert await asyncio.to_thread(lambda: calls.list(status="completed")) == []
    raw = (await stand.http.get(f"/2010-04-01/Accounts/{stand.twilio.username}/Calls/{one}.json",
                                auth=(stand.twilio.username, TOKEN))).text  # fmt: skip
    assert "voice" not in raw
    for status, ends in (("canceled", "canceled"), ("completed", "canceled")):
        sid = one if status == "canceled" else other
        stopped = await asyncio.to_thread(calls(sid).update, status=status)
        assert stopped.status == ends
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(lambda: calls(one).update(status="completed"))
    assert refused.value.code == 21220


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"to": "hello"}, 21211), ({"to": magic("0001")}, 21211), ({"to": magic("5013")}, 21215),
    ({"from_": "+12065550100"}, 21210), ({"from_": "me"}, 21212), ({"url": "nowhere"}, 21205),
    ({"status_callback": "nowhere"}, 21609), ({"timeout": 601}, 30400), ({"machine_detection": "Perhaps"}, 30400),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "code"), REFUSED)
async def test_what_twilio_refuses_is_refused(stand: Stand, changed: dict[str, Any], code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await stand.dial(changed.pop("to", PERSON), **changed)
    assert refused.value.code == code
    assert (await stand.stats())["calls"]["accepted"] == 0  # type: ignore[index]


@pytest.mark.parametrize(("fault", "there"), [("503", 0), ("429", 0), ("cut_before", 0), ("500", 1), ("cut", 1)])
async def test_the_wires_faults_are_the_same_as_for_texts(stand: Stand, fault: str, there: int) -> None:
    await stand.fault(http=fault, count=1)
    with pytest.raises(Exception):  # noqa: B017 - a refusal, or a connection that breaks off
        await stand.dial(PERSON)
    assert len((await stand.http.get("/simulator/calls", params={"to": PERSON})).json()["calls"]) == there
    await stand.fault(http=None)


async def test_a_receiver_that_fails_makes_the_carrier_apologize_and_hang_up(stand: Stand) -> None:
    sid = await stand.dial(PERSON, status_callback_event=["initiated"])
    stand.receiver.status = 500
    said = (await stand.phone(PERSON, "pick_up")).json()["said"]
    assert said == ["We are sorry, an application error has occurred. Goodbye."]
    await stand.phone(PERSON, "hang_up")
    stand.receiver.status = 200
    assert (await stand.call(sid))["status"] == "completed"


async def test_a_call_that_is_taken_at_once_has_rung_before_and_does_not_ring_afterwards(stand: Stand) -> None:
    stand.receiver.says = conversation
    sid = await stand.dial(PERSON)
    await stand.phone(PERSON, "pick_up")
    assert (await stand.call(sid))["course"] == ["initiated", "ringing", "in-progress"]
    await stand.phone(PERSON, "press", "1")
    assert (await over(stand, sid))["course"] == ["initiated", "ringing", "in-progress", "completed"]


async def test_only_what_was_asked_for_is_reported_and_faults_apply(stand: Stand) -> None:
    sid = await stand.dial(magic("5006"), status_callback_event=["completed"])
    await until(lambda: [p.form["CallStatus"] for p in stand.receiver.reports] == ["busy"])
    await stand.fault(receipts="twice")
    again = await stand.dial(magic("5006"))
    await until(lambda: len(stand.receiver.reports) == 5)
    await stand.fault(receipts="off")
    await over(stand, await stand.dial(magic("5006")))
    assert len(stand.receiver.reports) == 5
    assert sid != again


async def test_the_phones_page_rings_is_picked_up_and_takes_keys_without_javascript(stand: Stand) -> None:
    stand.receiver.says = conversation
    await stand.dial(PERSON)
    await until(lambda: len(stand.receiver.reports) == 2)
    page = (await stand.http.get(f"/phones/{PERSON}")).text
    assert "The phone rings" in page
    assert "Pick up" in page
    assert "Ringing" in (await stand.http.get("/?show=ringing")).text
    origin = {"Origin": stand.where.url}
    address = f"/phones/{PERSON}/call"
    assert (await stand.http.post(address, data={"do": "pick_up"})).status_code == 403
    answer = await stand.http.post(address, data={"do": "pick_up"}, headers=origin)
    assert answer.status_code == 303
    page = (await stand.http.get(f"/phones/{PERSON}")).text
    assert '<p class="says" lang="fr-FR">Bonjour &lt;Ada&gt;.</p>' in page
    for key in "123*0#":
        assert f'name="key" value="{key}"' in page
    await stand.http.post(address, data={"key": "1"}, headers=origin)
    await stand.http.post(address, data={"do": "hang_up"}, headers=origin)
    page = (await stand.http.get(f"/phones/{PERSON}")).text
    assert "Noted: 1." in page
    assert "<kbd>1</kbd>" in page
    assert "Answered 1 in a call" in page


async def test_the_controls_say_when_nobody_is_on_the_line(stand: Stand) -> None:
    assert (await stand.phone(PERSON, "pick_up")).status_code == 409
    await stand.dial(PERSON)
    assert (await stand.phone(PERSON, "press", "1")).status_code == 409
    assert (await stand.phone(PERSON, "sing")).status_code == 422
    assert (await stand.phone(PERSON, "press", "12")).status_code == 422
    assert (await stand.phone(PERSON, "hang_up")).json()["status"] == "busy"


async def test_a_restart_rings_again_and_ends_what_was_being_spoken(tmp_path: Path, receiver: Receiver) -> None:
    receiver.says = conversation
    journal = tmp_path / "calls.jsonl"
    async with standing(journal, receiver) as first:
        spoken, ringing = await first.dial(PERSON), await first.dial(SOMEBODY, timeout=2)
        await until(lambda: len(receiver.reports) == 4)
        await first.phone(PERSON, "pick_up")
        await until(lambda: len(receiver.reports) == 5)
    async with standing(journal, receiver) as second:
        ended = await over(second, spoken)
        assert ended["status"] == "completed"
        assert ended["said"] == ["Bonjour <Ada>.", "Press 1."]
        assert ended["pressed"] == []
        assert (await over(second, ringing))["course"] == ["initiated", "ringing", "no-answer"]
        assert told(receiver, ringing) == ["initiated", "ringing", "no-answer"]


BAD = ["", "<Response>", "<Nothing/>", "<Response><Dial>1</Dial></Response>", "<Response><Say><Say/></Say></Response>",
       "<!DOCTYPE a><Response/>", '<Response><Gather timeout="x"><Say>a</Say></Gather></Response>']  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_twiml_is_refused(text: str) -> None:
    with pytest.raises(NotTwiml):
        [verb.seconds("timeout", 1) for verb in verbs(text)]
