"""The carrier against the real `twilio` package: shapes, errors, paging, signatures."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from app.simulator.wire import segments, signature

from .stand import ACCOUNT, PERSON, SENDER, SOMEBODY, TOKEN, Stand, twilio_client, until

SERVICE = "MG" + "0" * 32


async def test_an_accepted_text_has_every_field_of_twilios_message(stand: Stand) -> None:
    body = "Gate screens down. Code K7. Reply 1 OK, 2 need help, 3 cannot"
    sent = await asyncio.to_thread(
        lambda: stand.twilio.messages.create(to=PERSON, from_=SENDER, body=body, validity_period=3600)
    )
    assert sent.sid is not None
    assert sent.sid.startswith("SM")
    assert len(sent.sid) == 34
    assert (sent.status, sent.direction, sent.num_segments) == ("queued", "outbound-api", "1")
    assert (sent.to, sent.from_, sent.body, sent.account_sid) == (PERSON, SENDER, body, ACCOUNT)
    assert (sent.error_code, sent.price, sent.date_sent) == (None, None, None)
    assert sent.date_created is not None
    assert abs(sent.date_created - datetime.now(UTC)) < timedelta(seconds=10)
    assert sent.subresource_uris == {"media": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sent.sid}/Media.json"}
    later = await _fetched(stand, sent.sid, "delivered")
    assert later.date_sent is not None
    assert later.price == "-0.00830"


async def _fetched(stand: Stand, sid: str, status: str):  # type: ignore[no-untyped-def]
    for _ in range(200):
        found = await asyncio.to_thread(lambda: stand.twilio.messages(sid).fetch())
        if found.status == status:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"never {status}")


async def test_a_messaging_service_accepts_first_and_names_its_sender_later(stand: Stand) -> None:
    sent = await asyncio.to_thread(
        lambda: stand.twilio.messages.create(
            to=PERSON, messaging_service_sid=SERVICE, body="hello", status_callback=stand.callback("m")
        )
    )
    assert (sent.status, sent.from_, sent.num_segments, sent.messaging_service_sid) == ("accepted", None, "0", SERVICE)
    later = await _fetched(stand, str(sent.sid), "delivered")
    assert (later.from_, later.num_segments) == (SENDER, "1")
    await until(lambda: "delivered" in stand.receiver.of(str(sent.sid)))
    assert {got.form["MessagingServiceSid"] for got in stand.receiver.receipts} == {SERVICE}


ERRORS: list[tuple[dict[str, Any], int, int]] = [
    ({"to": ""}, 21604, 400),
    ({"body": ""}, 21602, 400),
    ({"body": "x" * 1601}, 21617, 400),
    ({"from_": "12"}, 21212, 400),
    ({"from_": "+15005550001"}, 21212, 400),
    ({"from_": "+15005550008"}, 21611, 400),
    ({"from_": "+12065550199"}, 21606, 400),
    ({"from_": ""}, 21603, 400),
    ({"from_": "", "messaging_service_sid": "MG12"}, 21705, 400),
    ({"to": "5550141"}, 21211, 400),
    ({"to": SENDER}, 21266, 400),
    ({"to": "+15005550001"}, 21211, 400),
    ({"to": "+15005550002"}, 21612, 400),
    ({"to": "+15005550003"}, 21408, 400),
    ({"to": "+15005550004"}, 21610, 400),
    ({"to": "+15005550008"}, 21611, 400),
    ({"to": "+15005550009"}, 21614, 400),
    ({"to": "+15005554003"}, 20503, 503),
    ({"to": "+15005554004"}, 20429, 429),
    ({"validity_period": 0}, 21624, 400),
    ({"validity_period": 36001}, 21624, 400),
    ({"status_callback": "nowhere"}, 21609, 400),
]


async def test_each_refusal_reaches_the_package_as_twilios_own_error(stand: Stand) -> None:
    for change, code, status in ERRORS:
        asked: dict[str, Any] = {"to": PERSON, "from_": SENDER, "body": "hello", **change}
        with pytest.raises(TwilioRestException) as caught:
            await asyncio.to_thread(stand.twilio.messages.create, **asked)
        assert (caught.value.code, caught.value.status) == (code, status), change
    assert (await stand.stats())["accepted"] == 0


async def test_wrong_login_and_wrong_account_are_told_apart(stand: Stand) -> None:
    stranger = twilio_client(stand.where.url, token="wrong")
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(lambda: stranger.messages.create(to=PERSON, from_=SENDER, body="hello"))
    assert (caught.value.status, caught.value.code) == (401, 20003)
    stranger.http_client.session.close()
    other = "AC" + "f" * 32
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(lambda: stand.twilio.api.v2010.accounts(other).fetch())
    assert (caught.value.status, caught.value.code) == (404, 20404)
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(lambda: stand.twilio.messages("SM" + "0" * 32).fetch())
    assert (caught.value.status, caught.value.code) == (404, 20404)


async def test_an_error_body_has_twilios_four_fields(stand: Stand) -> None:
    answer = await stand.http.post(
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", auth=(ACCOUNT, TOKEN), data={"Body": "x", "From": SENDER}
    )
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 21604,
        "message": "A 'To' phone number is required.",
        "more_info": "https://www.twilio.com/docs/errors/21604",
        "status": 400,
    }


async def test_the_account_and_its_number_can_be_looked_up(stand: Stand) -> None:
    account = await asyncio.to_thread(lambda: stand.twilio.api.v2010.accounts(ACCOUNT).fetch())
    assert (account.sid, account.status, account.type) == (ACCOUNT, "active", "Full")
    numbers = await asyncio.to_thread(lambda: stand.twilio.incoming_phone_numbers.list(phone_number=SENDER))
    assert [(number.phone_number, number.capabilities["sms"]) for number in numbers] == [(SENDER, True)]
    assert numbers[0].sms_url == f"{stand.receiver.url}/webhooks/twilio/inbound"
    assert await asyncio.to_thread(lambda: stand.twilio.incoming_phone_numbers.list(phone_number=PERSON)) == []


async def test_pages_of_the_list_are_followed_newest_first(stand: Stand) -> None:
    sids = [await stand.send(PERSON, token=f"t{n}") for n in range(7)]
    await stand.send(SOMEBODY, token="other")
    found = await asyncio.to_thread(lambda: stand.twilio.messages.list(to=PERSON, page_size=3))
    assert [message.sid for message in found] == sids[::-1]
    assert [m.sid for m in await asyncio.to_thread(lambda: stand.twilio.messages.list(to=PERSON, limit=2))] == sids[
        :4:-1
    ]
    assert len(await asyncio.to_thread(lambda: stand.twilio.messages.list(page_size=2))) == 8


async def test_a_page_has_twilios_envelope_and_can_be_walked_back(stand: Stand) -> None:
    sids = [await stand.send(PERSON, token=f"t{n}") for n in range(5)][::-1]
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    first = (await stand.http.get(path, params={"PageSize": "2"}, auth=(ACCOUNT, TOKEN))).json()
    assert set(first) == {
        "first_page_uri", "end", "next_page_uri", "page", "page_size", "previous_page_uri", "messages", "start", "uri",
    }  # fmt: skip
    assert (first["page"], first["start"], first["end"], first["previous_page_uri"]) == (0, 0, 1, None)
    # A text sent meanwhile shifts the list; the page token still continues where the page ended.
    await stand.send(PERSON, token="between")
    second = (await stand.http.get(first["next_page_uri"], auth=(ACCOUNT, TOKEN))).json()
    assert [m["sid"] for m in second["messages"]] == sids[2:4]
    back = (await stand.http.get(second["previous_page_uri"], auth=(ACCOUNT, TOKEN))).json()
    assert [m["sid"] for m in back["messages"]] == sids[:2]
    last = (await stand.http.get(second["next_page_uri"], auth=(ACCOUNT, TOKEN))).json()
    assert ([m["sid"] for m in last["messages"]], last["next_page_uri"]) == (sids[4:], None)


async def test_a_date_filter_leaves_out_what_was_not_sent_yet(stand: Stand) -> None:
    today = datetime.now(UTC)
    early = await stand.http.post(
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        auth=(ACCOUNT, TOKEN),
        data={"To": PERSON, "From": SENDER, "Body": "hello"},
    )
    assert early.json()["date_sent"] is None
    listed = await asyncio.to_thread(lambda: stand.twilio.messages.list(to=PERSON))
    assert [message.sid for message in listed] == [early.json()["sid"]]
    await _fetched(stand, early.json()["sid"], "delivered")
    cases: list[tuple[dict[str, Any], int]] = [
        ({"date_sent": today}, 1),
        ({"date_sent_after": today - timedelta(days=1)}, 1),
        ({"date_sent_after": today + timedelta(days=1)}, 0),
        ({"date_sent_before": today - timedelta(days=1)}, 0),
        ({"date_sent": today - timedelta(days=1)}, 0),
    ]
    for filters, count in cases:
        found = await asyncio.to_thread(stand.twilio.messages.list, to=PERSON, **filters)
        assert len(found) == count, filters


async def test_a_text_can_be_redacted_once_done_and_cancelled_only_before(stand: Stand) -> None:
    sid = await stand.send(PERSON)
    await _fetched(stand, sid, "delivered")
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(lambda: stand.twilio.messages(sid).update(status="canceled"))
    assert caught.value.code == 30409
    redacted = await asyncio.to_thread(lambda: stand.twilio.messages(sid).update(body=""))
    assert redacted.body == ""
    assert "Northwind" in str((await stand.text(sid))["body"]), "the phone still shows it"
    second = await asyncio.to_thread(
        lambda: stand.twilio.messages.create(to="+12065550147", messaging_service_sid=SERVICE, body="later")
    )
    try:
        done = await asyncio.to_thread(lambda: stand.twilio.messages(str(second.sid)).update(status="canceled"))
    except TwilioRestException as error:  # it may have left already, within milliseconds
        assert error.code == 30409  # noqa: PT017
    else:
        assert done.status == "canceled"


async def test_receipts_and_incoming_texts_bear_a_signature_that_twilios_validator_accepts(stand: Stand) -> None:
    sid = await stand.send(PERSON)
    await until(lambda: "delivered" in stand.receiver.of(sid))
    await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": "Tills 3 & 4 are down, Zoë = here"})
    check = RequestValidator(TOKEN)
    assert len(stand.receiver.receipts) >= 2
    for got in (*stand.receiver.receipts, *stand.receiver.incoming):
        url = stand.receiver.url + got.path
        assert check.validate(url, got.form, got.headers["x-twilio-signature"])
        assert not check.validate(url, {**got.form, "To": "+19995550000"}, got.headers["x-twilio-signature"])
    final = stand.receiver.receipts[-1].form
    assert final["SmsSid"] == final["MessageSid"] == sid
    assert final["SmsStatus"] == final["MessageStatus"] == "delivered"
    assert (final["To"], final["From"], final["AccountSid"], final["ApiVersion"]) == (
        PERSON,
        SENDER,
        ACCOUNT,
        "2010-04-01",
    )
    assert len(final["RawDlrDoneDate"]) == 10
    assert "ErrorCode" not in final
    incoming = stand.receiver.incoming[0].form
    assert incoming["MessageSid"] == incoming["SmsSid"] == incoming["SmsMessageSid"]
    assert (incoming["From"], incoming["To"], incoming["NumMedia"], incoming["NumSegments"]) == (
        PERSON,
        SENDER,
        "0",
        "1",
    )
    assert (incoming["FromCountry"], incoming["FromCity"], incoming["SmsStatus"]) == ("US", "", "received")


@pytest.mark.parametrize(
    "url",
    [
        "https://muster.example.com/a?x=1&y=2",
        "http://127.0.0.1:8000/webhooks/twilio/inbound",
        "https://m.example:8443/p",
    ],
)
def test_the_signature_equals_the_packages_own(url: str) -> None:
    params = {"To": PERSON, "Body": "Zoë: 1 \N{THUMBS UP SIGN}\n", "Empty": "", "SmsSid": "SM1", "From": SENDER}
    assert signature(url, params, TOKEN) == RequestValidator(TOKEN).compute_signature(url, params)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the euro sign counts two and is not split over two parts
        ("”" + "a" * 69, 1),
        ("”" + "a" * 70, 2),
        ("\N{THUMBS UP SIGN}" * 35, 1),
        ("\N{THUMBS UP SIGN}" * 36, 2),
        ("ç" * 70, 1),
        ("Ç" * 160, 1),
    ],
)
def test_parts_are_counted_as_the_network_counts_them(body: str, parts: int) -> None:
    assert segments(body) == parts


async def test_a_form_that_is_too_long_or_no_form_is_a_plain_error(stand: Stand) -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    for content in (b"Body=" + b"x" * 70_000, b"\xff\xfe"):
        answer = await stand.http.post(path, content=content, auth=(ACCOUNT, TOKEN))
        assert answer.status_code == 400
    async with httpx2.AsyncClient(verify=False, base_url=stand.where.url, trust_env=False) as nobody:
        assert (await nobody.get(path)).status_code == 401
