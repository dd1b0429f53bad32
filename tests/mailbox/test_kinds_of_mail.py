"""What each mail is: real-shaped samples in `mails/`, one case a row."""

from __future__ import annotations

import pytest

from app.mailbox.own_words import from_html, unquoted
from app.mailbox.parse import Kind, Mail, read
from tests.mailbox.postbox import MAILS, sample

TOKEN = "aaaaaaaaaaaaaaaaaaa2"
OURS = frozenset({"muster@example.com"})

PEOPLE: list[tuple[str, str]] = [
    ("answer-gmail", "2"),
    ("answer-outlook-html-only", "OK, danke"),
    ("answer-outlook-plain", "3 cannot"),
    ("answer-iphone", "1\n\nSent from my iPhone"),
    ("answer-below-the-quote", "2"),
    ("answer-message-id-only", "Ok 1"),
    ("answer-plus-address-only", "2 need help"),
    ("person-auto-submitted-no", "1"),
    ("report-german", "Kasse 3 geht wieder, Kasse 4 nicht.\nWer bringt Bargeld?"),
    ("report-picture", "Water at gate 4"),
    ("report-strange-charset", "Water at gate 4"),
    ("report-new-mail", "I need help at gate 4"),
    ("bounce-forged-by-person", "Undelivered Mail Returned to Sender\n<ann@example.org>: 550 5.1.1 User unknown"),
]
"""Mails that people wrote, and their own words in them."""

NOBODYS: list[tuple[str, Kind]] = [
    ("automatic-exchange-english", Kind.AUTOMATIC),
    ("automatic-exchange-german", Kind.AUTOMATIC),
    ("automatic-exchange-french", Kind.AUTOMATIC),
    ("automatic-exchange-japanese", Kind.AUTOMATIC),
    ("automatic-gmail-vacation", Kind.AUTOMATIC),
    ("automatic-responder-header", Kind.AUTOMATIC),
    ("automatic-auto-replied", Kind.AUTOMATIC),
    ("automatic-null-return-path", Kind.AUTOMATIC),
    ("automatic-ticket", Kind.AUTOMATIC),
    ("automatic-read-receipt", Kind.AUTOMATIC),
    ("list-google-groups", Kind.LIST),
    ("list-newsletter", Kind.LIST),
    ("own-looped", Kind.OWN),
]

RETURNED: list[tuple[str, Kind, str]] = [
    ("bounce-postfix", Kind.BOUNCE, "5.1.1"),
    ("bounce-gmail", Kind.BOUNCE, "5.1.1"),
    ("bounce-exchange", Kind.BOUNCE, "5.1.10"),
    ("bounce-mailbox-full", Kind.BOUNCE, "5.2.2"),
    ("bounce-gave-up", Kind.BOUNCE, "4.4.1"),
    ("bounce-refused-words", Kind.BOUNCE, "5.7.1"),
    ("bounce-qmail", Kind.BOUNCE, "5.1.1"),
    ("bounce-exim", Kind.BOUNCE, "5.1.1"),
    ("delay-postfix", Kind.DELAY, "4.4.1"),
    ("receipt-relayed", Kind.RECEIPT, "2.0.0"),
]
"""What mail servers say: the kind, and the status code in it."""


def of(name: str) -> Mail:
    return read(sample(name, TOKEN), OURS)


@pytest.mark.parametrize(("name", "words"), PEOPLE, ids=[case[0] for case in PEOPLE])
def test_a_persons_own_words(name: str, words: str) -> None:
    mail = of(name)
    assert (mail.kind, mail.text) == (Kind.PERSON, words)


@pytest.mark.parametrize(("name", "kind"), NOBODYS, ids=[case[0] for case in NOBODYS])
def test_what_no_person_wrote_has_no_words(name: str, kind: Kind) -> None:
    mail = of(name)
    assert (mail.kind, mail.text) == (kind, "")


@pytest.mark.parametrize(("name", "kind", "status"), RETURNED, ids=[case[0] for case in RETURNED])
def test_what_servers_say_of_a_mail_of_ours(name: str, kind: Kind, status: str) -> None:
    mail = of(name)
    assert mail.returned is not None
    assert (mail.kind, mail.returned.status) == (kind, status)
    assert "ann@example.org" in mail.returned.recipients or not mail.returned.recipients
    assert TOKEN in mail.tokens


def test_every_sample_is_a_case() -> None:
    cases = {case[0] for case in (*PEOPLE, *NOBODYS, *RETURNED)} | {"bounce-no-token"}
    assert {path.stem for path in MAILS.glob("*.eml")} == cases


def test_pictures_and_files_are_counted_and_left_where_they_are() -> None:
    kinds = [(medium.content_type, medium.url) for medium in of("report-picture").media]
    assert kinds == [("image/jpeg", ""), ("application/pdf", "")]


def test_a_mail_that_is_delivered_twice_has_one_key_and_other_words_have_another() -> None:
    one = sample("answer-gmail", TOKEN)
    again = b"Received: from elsewhere by here; Tue, 3 Mar 2026 07:25:00 +0100\r\n" + one
    other = one.replace(b"\r\n2\r\n", b"\r\n1\r\n", 1)
    assert read(one).key == read(again).key != read(other).key


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div>1 <b>OK</b></div><div>Ann</div>", "1 OK\nAnn"),
        ("<p>2</p><blockquote type=cite>Reply 1 OK</blockquote>", "2"),
        ("2<br><br>-- <br>Ann", "2\n\n--\nAnn"),
        ("<style>p {color: red}</style><p>3</p>", "3"),
        ("", ""),
        ("<", "<"),
    ],
)
def test_html_as_people_see_it_without_what_it_quotes(html: str, text: str) -> None:
    assert from_html(html) == text


def test_a_returned_mail_without_a_sender_is_still_one() -> None:
    head = b"Return-Path: <>\r\nX-Failed-Recipients: ann@example.org\r\nSubject: Returned mail\r\n\r\n"
    mail = read(head + b"550 5.1.1 unknown user")
    assert mail.kind is Kind.BOUNCE
    assert mail.returned is not None
    assert (mail.returned.status, mail.returned.recipients) == ("5.1.1", ("ann@example.org",))


@pytest.mark.parametrize("made", ["On " * 6000, "Dnia " * 4000, "On <" * 5000, "> " * 9000, "\t" * 20_000 + "x"])
def test_what_is_made_to_be_slow_is_not(made: str) -> None:
    assert len(unquoted(made)) <= 20_000


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00" * 1000, b"From: a@b\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
        b"From: =?utf-8?b?//////?=\r\nSubject: =?nonsense?q?x?=\r\nContent-Type: text/plain; charset=\"\xff\"\r\n\r\n2",
        b"To: \xff\xfe <<<>>> ,,, @\r\nFrom: \"\r\n\r\n2",
        b"Content-Type: message/delivery-status\r\n\r\nAction: failed",
        b"Content-Type: message/rfc822\r\n\r\n" * 50,
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
    ],
)  # fmt: skip
def test_whatever_it_holds_it_is_read(raw: bytes) -> None:
    assert read(raw).kind in Kind
