"""The pages that people look at: phones, chats, mail. Escaped, safe against other sites, quick with many phones."""

from email.message import EmailMessage

import aiosmtplib
import pytest

from app.simulator.twiml import NotTwiml, messages

from .stand import ACCOUNT, PERSON, SENDER, TOKEN, Stand, until


async def test_the_wall_shows_each_phone_with_its_last_text_and_fate(stand: Stand) -> None:
    empty = await stand.http.get("/")
    assert "No phone has been texted or called yet" in empty.text
    sid = await stand.send(PERSON)
    await until(lambda: "delivered" in stand.receiver.of(sid))
    page = await stand.http.get("/")
    assert page.status_code == 200
    assert "nothing here reaches a real person" in page.text
    assert PERSON in page.text
    assert "1 new" in page.text
    assert "accepted and delivered; nobody answers" in page.text
    assert "Not answered yet" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_600_phones_are_paged_and_each_page_is_small(stand: Stand) -> None:
    carrier = stand.simulator.carrier
    for number in range(600):
        carrier.accept(f"+1206555{number:04d}", f"Tills down. Code K{number}. Reply 1 OK", service=None, callback=None)
    page = await stand.http.get("/")
    assert page.text.count('class="card"') == 60
    assert "Page 1 of 10" in page.text
    assert len(page.content) < 120_000
    last = await stand.http.get("/?page=10")
    assert "Next page" not in last.text
    found = await stand.http.get("/", params={"q": "555 0123"})
    assert found.text.count('class="card"') == 1
    assert "No phone fits" in (await stand.http.get("/", params={"q": "nothing like this"})).text
    assert (await stand.http.get("/?page=999999999999&show=nonsense")).status_code == 200


async def test_a_phone_shows_its_texts_as_a_chat_with_links_to_press(stand: Stand) -> None:
    await stand.send(PERSON, body=f"<b>Tills</b> & gates: {stand.link('tok')}. Code K7")
    page = (await stand.http.get(f"/phones/{PERSON}")).text
    assert f'<a href="{stand.link("tok")}" target="_blank" rel="noopener">' in page
    assert "&lt;b&gt;Tills&lt;/b&gt; &amp; gates" in page
    assert "<b>Tills" not in page
    for answer in ("Text 1", "Text 2", "Text 3", "Text STOP"):
        assert answer in page
    assert (await stand.http.get("/phones/+12065550143")).status_code == 404
    assert (await stand.http.get("/phones/hello")).status_code == 404


async def test_answering_on_the_page_sends_the_text_and_shows_musters_answer(stand: Stand) -> None:
    stand.receiver.reply = lambda form: "<Response><Message>Thank you, <![CDATA[<noted>]]></Message></Response>"
    await stand.send(PERSON)
    here = {"Origin": stand.where.url}
    sent = await stand.http.post(f"/phones/{PERSON}", data={"quick": "1"}, headers=here)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/phones/{PERSON}#end")
    await stand.http.post(f"/phones/{PERSON}", data={"body": "  tills 3 and 4 also down  "}, headers=here)
    assert [got.form["Body"] for got in stand.receiver.incoming] == ["1", "tills 3 and 4 also down"]
    page = (await stand.http.get(f"/phones/{PERSON}")).text
    assert "Thank you, &lt;noted&gt;" in page
    assert "Answered" in (await stand.http.get("/")).text
    stand.receiver.status = 500
    failed = await stand.http.post(f"/phones/{PERSON}", data={"quick": "2"}, headers=here, follow_redirects=True)
    assert "Muster did not take it" in failed.text


async def test_another_sites_form_is_refused(stand: Stand) -> None:
    await stand.send(PERSON)
    for headers in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Referer": "http://127.0.0.1:1/"},
        {},
    ):
        answer = await stand.http.post(f"/phones/{PERSON}", data={"quick": "STOP"}, headers=headers)
        assert answer.status_code == 403
    renamed = {"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}
    assert (await stand.http.post(f"/phones/{PERSON}", data={"quick": "STOP"}, headers=renamed)).status_code == 421
    assert stand.receiver.incoming == []


async def test_a_refused_number_shows_why_nothing_came(stand: Stand) -> None:
    data = {"To": "+15005550001", "From": SENDER, "Body": "hello"}
    await stand.http.post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", auth=(ACCOUNT, TOKEN), data=data)
    assert "the carrier refused it (21211)" in (await stand.http.get("/?show=failed")).text
    assert "Refused by the carrier" in (await stand.http.get("/phones/+15005550001")).text


async def test_mail_is_shown_as_a_mail_in_a_closed_frame(stand: Stand) -> None:
    assert "No mail has come yet" in (await stand.http.get("/mail")).text
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Muster <m@example.com>", "e1@example.com", "<Outage> & more"
    mail.set_content(f"Read {stand.link('tok')}")
    mail.add_alternative("<p class=\"x\">Hello</p><script>alert('x')</script>", subtype="html")
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=stand.where.smtp_port)
    wall = (await stand.http.get("/mail")).text
    assert "e1@example.com" in wall
    assert "&lt;Outage&gt; &amp; more" in wall
    page = (await stand.http.get("/mail/E1@example.com")).text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "&lt;script&gt;alert(&#39;x&#39;)" in page
    assert "<script>alert" not in page
    assert f'<a href="{stand.link("tok")}"' in page
    assert (await stand.http.get("/mail/nobody@example.com")).status_code == 404


async def test_style_and_script_are_served_and_nothing_else(stand: Stand) -> None:
    assert (await stand.http.get("/simulator.css")).headers["content-type"].startswith("text/css")
    assert (await stand.http.get("/simulator.js")).headers["content-type"].startswith("text/javascript")
    assert (await stand.http.get("/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("", []),
        ("<Response/>", []),
        ('<?xml version="1.0" encoding="UTF-8"?><Response><Message> a &amp; b </Message></Response>', ["a & b"]),
        (
            "<Response><Message><Body>x</Body><Media>http://m</Media></Message><Message>y</Message></Response>",
            ["x", "y"],
        ),
        ("<Response><Redirect>/x</Redirect><Message></Message></Response>", []),
    ],
)
def test_twiml_is_read_as_twilio_reads_it(text: str, bodies: list[str]) -> None:
    assert messages(text) == bodies


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "<Response><Message>",
        '<!DOCTYPE r [<!ENTITY a "b">]><Response><Message>&a;</Message></Response>',
        "<Response>" + "x" * 70_000 + "</Response>",
    ],
)
def test_what_is_no_twiml_is_refused(text: str) -> None:
    with pytest.raises(NotTwiml):
        messages(text)
