"""Real SMTP conversations, and the faults that a test switches on."""

import asyncio
import time
from email.message import EmailMessage

import aiosmtplib
import httpx2
import pytest
from twilio.base.exceptions import TwilioRestException

from app.simulator.faults import Faults

from .stand import ACCOUNT, PERSON, SENDER, SOMEBODY, TOKEN, Stand, until


def a_mail(to: str = "e00001@example.com", number: int = 1) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Muster <muster@example.com>", to, "Störung an den Kassen"
    mail["Message-ID"], mail["Reply-To"] = f"<{number}@muster.example>", "desk@example.com"
    mail.set_content("Kassen außer Betrieb\nhttp://127.0.0.1:1/a/tok\n")
    mail.add_alternative("<p>Kassen <b>außer Betrieb</b></p>", subtype="html")
    return mail


async def stored(stand: Stand) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await stand.http.get("/simulator/emails")).json()["emails"]
    return found


async def send(stand: Stand, mail: EmailMessage, **words: object) -> None:
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=stand.where.smtp_port, **words)  # type: ignore[arg-type]


async def test_a_mail_is_stored_with_its_headers_and_both_parts(stand: Stand) -> None:
    await send(stand, a_mail())
    (mail,) = await stored(stand)
    assert mail["to"] == "e00001@example.com"
    assert mail["from"] == "Muster <muster@example.com>"
    assert (mail["subject"], mail["message_id"]) == ("Störung an den Kassen", "<1@muster.example>")
    assert (mail["reply_to"], mail["envelope_from"]) == ("desk@example.com", "muster@example.com")
    assert mail["text"] == "Kassen außer Betrieb\nhttp://127.0.0.1:1/a/tok"
    assert "<b>außer Betrieb</b>" in mail["html"]


async def test_any_login_is_taken_without_tls(stand: Stand) -> None:
    await send(stand, a_mail(), username="anybody", password="anything")
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=stand.where.smtp_port)
    async with client:
        assert set(client.server_auth_methods) >= {"plain", "login"}
        assert not client.supports_extension("starttls")
    assert len(await stored(stand)) == 1


async def test_magic_mailboxes(stand: Stand) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(stand, a_mail("bounce@example.com"))
    assert refused.value.recipients[0].code == 550
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(stand, a_mail("later+1@example.com"))
    assert refused.value.recipients[0].code == 451
    await send(stand, a_mail("later+1@example.com"))
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(stand, a_mail("cut@example.com"))
    with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
        await send(stand, a_mail("hang@example.com"), timeout=0.5)
    assert [mail["to"] for mail in await stored(stand)] == [
        "later+1@example.com",
        "cut@example.com",
        "hang@example.com",
    ]


async def test_mail_faults_are_used_up_and_counted(stand: Stand) -> None:
    await stand.fault(smtp="refuse", count=1)
    with pytest.raises((aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected)):
        await send(stand, a_mail())
    await stand.fault(smtp="tempfail", count=1)
    with pytest.raises(aiosmtplib.SMTPDataError) as caught:
        await send(stand, a_mail())
    assert caught.value.code == 451
    assert await stored(stand) == []
    await stand.fault(smtp="cut_after_data", count=1)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(stand, a_mail())
    await send(stand, a_mail())
    stats = await stand.stats()
    assert (stats["emails"], stats["email_duplicates"]) == (2, 1)


async def test_each_wire_fault_accepts_or_not_as_documented(stand: Stand) -> None:
    data = {"To": PERSON, "From": SENDER, "Body": "hello"}
    path = f"{stand.where.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=0.4, auth=(ACCOUNT, TOKEN)) as client:
        for accepted, faults in {
            0: ("503", "429", "cut_before", "hang_before", "down"),
            1: ("500", "cut", "hang"),
        }.items():
            for fault in faults:
                await stand.http.post("/simulator/reset")
                await stand.fault(http=fault, count=1)
                if fault in ("503", "429", "500"):
                    assert (await client.post(path, data=data)).status_code == int(fault)
                else:
                    with pytest.raises(httpx2.TransportError):
                        await client.post(path, data=data)
                assert (await stand.stats())["accepted"] == accepted, fault
                assert (await client.post(path, data=data)).status_code == 201, "used up"


async def test_a_list_can_lie(stand: Stand) -> None:
    await stand.send(PERSON)

    def listed() -> int:
        return len(stand.twilio.messages.list(to=PERSON))

    assert await asyncio.to_thread(listed) == 1
    for fault in ("empty", "lagging"):
        await stand.fault(list=fault)
        assert await asyncio.to_thread(listed) == 0
    await stand.fault(list="lagging", lag_seconds=0)
    assert await asyncio.to_thread(listed) == 1
    await stand.fault(list="500", count=1)
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert (await stand.http.get(path, auth=(ACCOUNT, TOKEN))).status_code == 500
    assert (await stand.http.get(path, auth=(ACCOUNT, TOKEN))).status_code == 200


async def test_receipts_can_be_lost_repeated_or_shuffled(stand: Stand) -> None:
    await stand.fault(receipts="off")
    lost = await stand.send(PERSON, token="lost")
    await until(lambda: len(stand.simulator.world.messages[lost].receipts) >= 2)
    await stand.fault(receipts="twice")
    twice = await stand.send(PERSON, token="twice")
    await until(lambda: stand.receiver.of(twice).count("delivered") == 2)
    await stand.fault(receipts="shuffle")
    shuffled = await stand.send(PERSON, token="shuffled")
    await until(lambda: {"sent", "delivered"} <= set(stand.receiver.of(shuffled)))
    await stand.fault(receipts=None)
    assert stand.receiver.of(lost) == []


async def test_latency_slows_each_send(stand: Stand) -> None:
    await stand.fault(latency_ms=150)
    started = time.monotonic()
    await stand.send(PERSON)
    assert time.monotonic() - started >= 0.15
    await stand.fault(latency_ms=None)


async def test_duplicates_are_counted_by_link_or_by_words(stand: Stand) -> None:
    await stand.send(PERSON, token="same", code="K7")
    await stand.send(PERSON, token="same", code="M2")  # another wording, the same link
    await stand.send(PERSON, token="other")
    await stand.send(SOMEBODY, token="same")  # another person
    for _ in range(2):
        await stand.send(PERSON, body="Your code is 123")
    gone = "+15005552003"  # unreachable: a second try that nobody can get twice
    for _ in range(2):
        await stand.send(gone, token="gone")
    world = stand.simulator.world
    await until(lambda: all(text.status in ("delivered", "undelivered") for text in world.listing))
    stats = await stand.stats()
    assert (stats["accepted"], stats["duplicates"], stats["duplicates_delivered"]) == (8, 2, 2)
    assert stats["tries_after_failure"] == 1


async def test_reset_forgets_everything_and_heals_every_fault(stand: Stand) -> None:
    await stand.send(PERSON)
    await stand.fault(http="429", latency_ms=10)
    assert (await stand.http.post("/simulator/reset")).status_code == 200
    await stand.send(PERSON)
    stats = await stand.stats()
    assert (stats["accepted"], stats["phones"], stats["emails"]) == (1, 1, 0)
    with pytest.raises(TwilioRestException):
        await stand.send("+15005550001")
    assert (await stand.stats())["refused"] == {"21211": 1}


async def test_controls_refuse_nonsense_and_other_sites(stand: Stand) -> None:
    for wrong, word in (({"http": "sideways"}, "http"), ({"colour": 1}, "colour"), ({"count": "many"}, "count")):
        answer = await stand.http.post("/simulator/faults", json=wrong)
        assert answer.status_code == 422
        assert word in answer.json()["error"]
    assert (await stand.http.post("/simulator/faults", content=b"{")).status_code == 400
    assert (await stand.http.post("/simulator/faults", json=[1])).status_code == 400
    assert (await stand.http.post("/simulator/phones/12/reply", json={"body": "1"})).status_code == 404
    assert (await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": 1})).status_code == 422
    foreign = await stand.http.post("/simulator/reset", headers={"Origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    renamed = await stand.http.get("/simulator/stats", headers={"Host": "elsewhere.example"})
    assert renamed.status_code == 421


def test_a_fault_with_a_count_switches_itself_off() -> None:
    faults = Faults()
    faults.change({"http": "503", "list": "empty", "count": 2})
    assert [faults.take("http") for _ in range(3)] == ["503", "503", ""]
    assert faults.shown()["left"] == {"list": 2}
    faults.change({"list": None})
    assert faults.take("list") == ""
