"""How the people behind phones and mailboxes behave, and how their texts travel."""

import asyncio
import itertools
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from twilio.base.exceptions import TwilioRestException

from tests.patience import patience

from .stand import PERSON, SENDER, Posted, Receiver, Stand, standing, until

OK = "+15005551001"


def said(receiver: Receiver, number: str) -> list[str]:
    return [got.form["Body"] for got in receiver.incoming if got.form["From"] == number]


async def test_two_open_texts_are_answered_with_the_code_of_each(lively: Stand) -> None:
    first = await lively.send(OK, token="a", code="K7")
    second = await lively.send(OK, token="b", code="M2")
    await until(lambda: len(said(lively.receiver, OK)) == 2, 15)
    both = said(lively.receiver, OK)
    # Whoever was quick answered the first alone; whoever was slower names the newest by its code.
    assert both in (["1 M2", "1 K7"], ["1", "1"], ["1", "1 M2"]), both
    await until(lambda: all(lively.simulator.world.messages[sid].answered for sid in (first, second)))


async def test_slow_people_name_the_newest_by_its_code(tmp_path: Path, receiver: Receiver) -> None:
    async with standing(tmp_path / "j.jsonl", receiver, auto=True, speed=60.0) as stand:
        number = "+15005551003"  # answers after 5 to 25 seconds at this speed: both are there by then
        await stand.send(number, token="a", code="K7")
        await stand.send(number, token="b", code="M2")
        world = stand.simulator.world
        await until(lambda: [text.status for text in world.phone(number).texts] == ["delivered", "delivered"])
        # Time flies: what is due later is due now.
        for _, _, call, arguments in sorted(world.scheduler._heap):
            call(*arguments)
        await until(lambda: said(receiver, number) == ["1 M2", "1 K7"])


async def test_a_person_who_is_asked_for_the_code_tries_once_more(lively: Stand) -> None:
    asking = (
        "<Response><Message>Two questions are open. Which one? Answer with its code, like 1 K7.</Message></Response>"
    )
    lively.receiver.reply = lambda form: asking
    await lively.send(OK)
    await until(lambda: said(lively.receiver, OK) == ["1", "1 K7"])
    await lively.http.post("/simulator/phones/+12065550199/reply", json={"body": "hello"})  # a round trip more
    assert said(lively.receiver, OK) == ["1", "1 K7"]


async def test_a_confirmation_is_not_taken_for_a_question(lively: Stand) -> None:
    lively.receiver.reply = lambda form: (
        "<Response><Message>Thank you. Noted: OK for K7. To change: 2 or 3.</Message></Response>"
    )
    sid = await lively.send(OK)
    await until(lambda: bool(lively.simulator.world.messages[sid].answered))
    world = lively.simulator.world
    await until(lambda: world.counts["inbound_answered"] == 1)
    assert len(world.scheduler) == 0
    assert said(lively.receiver, OK) == ["1"]


async def test_silent_people_do_nothing_by_themselves(stand: Stand) -> None:
    sid = await stand.send(OK)
    await until(lambda: "delivered" in stand.receiver.of(sid))
    assert len(stand.simulator.world.scheduler) == 0
    assert stand.receiver.incoming == []


async def test_a_text_without_a_question_is_not_answered(lively: Stand) -> None:
    sid = await lively.send(OK, body="It is over. Thank you.")
    await until(lambda: "delivered" in lively.receiver.of(sid))
    assert len(lively.simulator.world.scheduler) == 0


NOTICE = """<html><body>
<form method="post" action="{path}"><input type="hidden" name="nonce" value="n-{token}">
<input type="hidden" name="request" value="7"><button name="do" value="take">Assign to me</button></form>
<form method="post" action="{path}"><input type="hidden" name="nonce" value="n-{token}">
<input type="hidden" name="request" value="8"><button name="do" value="take_over">Take over</button></form>
<form method="post" action="{path}"><input type="hidden" name="nonce" value="n-{token}">
<input type="hidden" name="request" value="7"><button name="do" value="close">It is done</button></form>
</body></html>"""


async def test_whoever_is_told_of_help_takes_what_nobody_has(lively: Stand) -> None:
    lively.receiver.html = NOTICE
    sid = await lively.send(OK, body=f"Ana Anders (IT) needs help. {lively.link('notice-1')}")
    world = lively.simulator.world
    await until(lambda: (sid, 0) in world.acted)
    assert [(got.path, got.form) for got in lively.receiver.pressed] == [
        ("/a/notice-1", {"nonce": "n-notice-1", "request": "7", "do": "take"})
    ]
    # Nothing else that asks nothing is opened.
    read = await lively.send(OK, body=f"It is over. {lively.link('news-1')}")
    await until(lambda: world.messages[read].status == "delivered")
    assert len(world.scheduler) == 0
    assert len(lively.receiver.pressed) == 1
    assert lively.receiver.incoming == [], "nothing is answered by text"


async def test_a_reply_by_hand_returns_what_muster_answered(stand: Stand) -> None:
    stand.receiver.reply = lambda form: (
        f"<Response><Message>Got &lt;{form['Body']}&gt;</Message><Message><Body>Two</Body></Message></Response>"
    )
    sid = await stand.send(PERSON)
    await until(lambda: "delivered" in stand.receiver.of(sid))
    answer = (await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": "1"})).json()
    assert answer["status"] == 200
    assert answer["replies"] == ["Got <1>", "Two"]
    assert answer["twiml"].startswith("<Response>")
    assert (await stand.text(sid))["answered"] == "1"
    listed = await asyncio.to_thread(lambda: stand.twilio.messages.list(to=PERSON))
    assert [(text.direction, text.body) for text in listed] == [
        ("outbound-reply", "Two"),
        ("outbound-reply", "Got <1>"),
        ("outbound-api", listed[2].body),
    ]
    received = await asyncio.to_thread(lambda: stand.twilio.messages.list(to=SENDER))
    assert [(text.direction, text.from_, text.status, text.sid) for text in received] == [
        ("inbound", PERSON, "received", answer["sid"])
    ]


async def test_an_incoming_text_that_nobody_takes_stays_in_the_list(stand: Stand) -> None:
    stand.receiver.status = 500
    failed = (await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": "1"})).json()
    assert (failed["status"], failed["replies"]) == (500, [])
    assert len(stand.receiver.incoming) == 1, "Twilio does not post an incoming text again"
    received = await asyncio.to_thread(lambda: stand.twilio.messages.list(to=SENDER))
    assert [text.sid for text in received] == [failed["sid"]]


async def test_an_incoming_text_is_posted_once_more_when_nobody_is_there(tmp_path: Path) -> None:
    gone = Receiver(port=1)
    async with standing(tmp_path / "j.jsonl", gone) as stand:
        answer = (await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": "1"})).json()
        assert (answer["status"], answer["twiml"]) == (0, "")
        assert (await stand.stats())["inbound_failed"] == 1


async def test_stop_words_opt_out_and_start_words_opt_in(stand: Stand) -> None:
    stand.receiver.reply = lambda form: "<Response><Message>Heard</Message></Response>"
    words = ["STOP", "stopall", "Unsubscribe", " cancel ", "END", "QUIT", "REVOKE", "OPTOUT"]
    starts = itertools.cycle(["START", "unstop", "Yes"])
    for word in words:
        stopped = (await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": word})).json()
        assert "unsubscribed" in stopped["replies"][0]
        assert "Heard" not in stopped["replies"], "nothing reaches somebody who has opted out"
        with pytest.raises(TwilioRestException) as caught:
            await stand.send(PERSON)
        assert caught.value.code == 21610
        back = (await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": next(starts)})).json()
        assert back["replies"][-1] == "Heard"
        await stand.send(PERSON)
    assert [got.form.get("OptOutType") for got in stand.receiver.incoming] == ["STOP", "START"] * len(words)


async def test_help_and_yes_and_words_in_a_sentence(stand: Stand) -> None:
    async def kind(body: str) -> str | None:
        await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": body})
        return stand.receiver.incoming[-1].form.get("OptOutType")

    assert await kind("help") == "HELP"
    assert await kind("YES") is None
    assert await kind("please stop calling") is None
    await stand.fault(opt_out_type="off")
    assert await kind("STOP") is None
    assert (await stand.stats())["opted_out"] == 1, "the carrier blocks all the same"


async def send_mail(stand: Stand, to: str, text: str, html: str = "") -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Muster <muster@example.com>", to, "Outage: read this"
    mail["Message-ID"], mail["Reply-To"] = "<abc@muster.example>", "desk@example.com"
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=stand.where.smtp_port)


async def test_a_person_opens_the_page_in_a_mail_and_presses_the_button(lively: Stand) -> None:
    link = lively.link("mail-1")
    await send_mail(lively, "ok@example.com", "hello", f'<a href="{link}">I have read this</a>')
    await send_mail(lively, "help@example.com", f"Read {lively.link('mail-2')}.")
    pressed = lively.receiver.pressed
    await until(lambda: len(pressed) == 2)
    choices = {got.path: got.form["response"] for got in pressed}
    assert choices == {"/a/mail-1": "ok", "/a/mail-2": "need_help"}
    emails = (await lively.http.get("/simulator/emails")).json()["emails"]
    await until(lambda: all(mail.answer for mail in lively.simulator.world.emails.values()))
    assert {mail["to"] for mail in emails} == {"ok@example.com", "help@example.com"}


async def test_links_that_lead_elsewhere_are_never_opened(lively: Stand) -> None:
    async with asyncio.timeout(patience(5)):
        hits: list[Posted] = []
        server = await asyncio.start_server(lambda r, w: hits.append(Posted("", {}, {}, 0)), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await send_mail(
            lively, "ok@example.com", f"http://127.0.0.1:{port}/a/x http://localhost:{lively.receiver.port}/a/y"
        )
        assert len(lively.simulator.world.scheduler) == 0
        server.close()
    assert (hits, lively.receiver.pages) == ([], [])
