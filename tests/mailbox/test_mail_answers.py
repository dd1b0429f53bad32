"""Mails that come back, on a real IMAP server: what they do to a person's delivery, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.channels import registry
from app.channels.port import Health, Letter, Place, Post, SmtpConfig, TwilioConfig
from app.kernel.db import rows
from app.mailbox import service
from app.mailbox.reader import Reader
from tests.journeys.crew import Crew, Desk, Person, a_person, tried
from tests.mailbox.postbox import Postbox, sample
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER

OURS = frozenset({"muster@example.org"})


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _answered_mail(the_desk: Desk) -> AsyncIterator[None]:
    """Our mails ask for their answers at an address of their own."""
    before = the_desk.providers
    smtp = SmtpConfig(
        "127.0.0.1", the_desk.simulator.smtp_port, False, None, None, "muster@example.org", None, plus_address=True
    )
    the_desk.providers = registry.build(TwilioConfig(ACCOUNT, AUTH_TOKEN, SENDER, the_desk.simulator.url), smtp)
    yield
    await the_desk.providers.close()
    the_desk.providers = before


def reader(desk: Desk, postbox: Postbox) -> Reader:
    return Reader(desk.house, postbox.mailbox, OURS)


async def read(desk: Desk, postbox: Postbox) -> int:
    made = reader(desk, postbox)
    try:
        return await made.step()
    finally:
        await made.mailbox.close()


async def token_of(desk: Desk, person: Person, stage: str = "investigating") -> str:
    """The token in the mail that this person got at this stage."""
    (mail,) = [mail for mail in await desk.emails(person.email) if mail["subject"].startswith(stage)]
    token = str(mail["reply_to"].partition("+")[2].partition("@")[0])
    assert mail["reply_to"] == f"muster+{token}@example.org"
    assert mail["message_id"] == f"<{token}.muster@example.org>"
    return token


async def mailed(desk: Desk, crew: Crew, *people: Person, **more: Any) -> tuple[str, str]:
    """Declares what goes by email first; returns the incident's key and the token in the first person's mail."""
    key = await crew.told(*people, severity="SEV4", **more)
    await desk.hand_over()
    desk.clock.advance(seconds=30)
    return key, await token_of(desk, people[0])


def answer(token: str, words: str) -> bytes:
    return sample("answer-message-id-only", token).replace(b"Ok 1", words.encode())


ANSWERS = {
    "answer-gmail": "need_help", "answer-outlook-plain": "cannot", "answer-below-the-quote": "need_help",
    "answer-message-id-only": "acknowledged", "answer-plus-address-only": "need_help",
    "answer-iphone": "acknowledged", "person-auto-submitted-no": "acknowledged",
}  # fmt: skip


async def test_an_answer_by_mail_counts_from_when_the_server_had_it(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    people = {name: a_person() for name in ANSWERS}
    other = a_person()
    key, _ = await mailed(the_desk, at_the_desk, *people.values(), other)
    at = the_desk.clock.now()
    for name, person in people.items():
        # Whatever sender is written on it: the token says whose it is.
        postbox.deliver(sample(name, await token_of(the_desk, person)), at)
    the_desk.clock.advance(seconds=60)
    assert await read(the_desk, postbox) == len(people)
    entries = {name: await at_the_desk.person(key, person) for name, person in people.items()}
    assert {name: entry["status"] for name, entry in entries.items()} == ANSWERS
    assert {entry["via"] for entry in entries.values()} == {"email"}
    assert {datetime.fromisoformat(entry["acknowledged_at"]) for entry in entries.values()} == {at}
    assert (await at_the_desk.person(key, other))["status"] == "waiting"
    open_help = await the_desk.call("GET", f"/incidents/{key}/help-requests")
    assert len(open_help["items"]) == list(ANSWERS.values()).count("need_help")
    assert await the_desk.reports(key) == []


async def test_other_words_are_passed_on_without_what_they_quote(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    postbox.deliver(sample("report-german", token), the_desk.clock.now())
    postbox.deliver(sample("report-picture", token), the_desk.clock.now())
    assert await read(the_desk, postbox) == 2
    picture, words = await the_desk.reports(key)
    assert words["text"] == "Kasse 3 geht wieder, Kasse 4 nicht.\nWer bringt Bargeld?"
    assert (words["person_id"], words["via"]) == (person.id, "email")
    assert [medium["content_type"] for medium in picture["media"]] == ["image/jpeg", "application/pdf"]
    assert (await at_the_desk.person(key, person))["status"] == "waiting"


async def test_without_a_token_a_known_sender_reports_and_never_answers(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, _ = await mailed(the_desk, at_the_desk, person)
    forged = the_desk.house.signer.link_token(1)
    for words in (b"1", b"2 need help"):
        mail = sample("answer-message-id-only", forged).replace(b"ann@example.org", person.email.encode())
        mail = mail.replace(b"Ok 1", words).replace(b"plain@", words[:1] + b"@")
        postbox.deliver(mail, the_desk.clock.now())
    postbox.deliver(sample("report-new-mail"), the_desk.clock.now())  # of nobody whom we know
    assert await read(the_desk, postbox) == 3
    assert (await at_the_desk.person(key, person))["status"] == "waiting"
    said = [(entry["text"], entry["maybe_help"], entry["person_id"]) for entry in await the_desk.reports(key)]
    assert said == [("2 need help", True, person.id), ("1", False, person.id)]


NOBODYS = (
    "automatic-exchange-english", "automatic-exchange-german", "automatic-responder-header", "automatic-auto-replied",
    "automatic-null-return-path", "automatic-ticket", "automatic-read-receipt", "list-google-groups", "own-looped",
    "delay-postfix", "receipt-relayed", "bounce-no-token", "bounce-forged-by-person",
)  # fmt: skip


async def test_what_nobody_meant_as_an_answer_changes_nothing(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    people = {name: a_person() for name in NOBODYS}
    key, _ = await mailed(the_desk, at_the_desk, *people.values())
    for name, person in people.items():
        token = await token_of(the_desk, person)
        postbox.deliver(sample(name, token, **{"ann@example.org": person.email}), the_desk.clock.now())
    assert await read(the_desk, postbox) == len(people)
    await the_desk.take_steps()
    await the_desk.hand_over()
    for name, person in people.items():
        entry = await at_the_desk.person(key, person)
        assert (entry["status"], tried(entry)) == ("waiting", [("email", "accepted")]), name
        assert len(await the_desk.emails(person.email)) + len(await the_desk.texts(person.mobile)) == 1, name
    assert await the_desk.reports(key) == []


RETURNED = {
    "bounce-postfix": ("the mailbox does not exist (5.1.1: Recipient address rejected: User unknown)", True),
    "bounce-gmail": ("the mailbox does not exist (5.1.1: The email account", True),
    "bounce-exchange": ("the mailbox does not exist (5.1.10: RESOLVER.ADR", True),
    "bounce-qmail": ("the mailbox does not exist (5.1.1: Remote host said", True),
    "bounce-exim": ("the mailbox does not exist (5.1.1: User unknown in virtual mailbox table)", True),
    "bounce-mailbox-full": ("the mailbox is full (5.2.2: Mailbox full)", False),
    "bounce-gave-up": ("the recipient's mail server could not be reached in time (4.4.1: connect to", False),
    "bounce-refused-words": ("the recipient's mail server refused the message (5.7.1: Message rejected", False),
}
"""How the reason begins, and whether the address is flagged."""


async def test_a_returned_mail_fails_and_the_next_channel_follows_at_once(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    people = {name: a_person() for name in RETURNED}
    key, _ = await mailed(the_desk, at_the_desk, *people.values())
    for name, person in people.items():
        token = await token_of(the_desk, person)
        postbox.deliver(sample(name, token, **{"ann@example.org": person.email}), the_desk.clock.now())
    assert await read(the_desk, postbox) == len(people)
    await the_desk.take_steps()
    await the_desk.hand_over()
    for name, (reason, flagged) in RETURNED.items():
        person = people[name]
        entry = await at_the_desk.person(key, person)
        assert tried(entry) == [("email", "failed"), ("sms", "accepted")], name
        assert entry["attempts"][0]["reason"].startswith(reason)
        assert person.email not in str(entry)
        known = await the_desk.call("GET", f"/people?q={person.id}")
        point = next(point for point in known["items"][0]["contact_points"] if point["kind"] == "email")
        assert [(flag["channel"], flag["reason"]) for flag in point["flags"]] == [("email", "invalid")] * flagged, name


async def test_a_mail_that_was_passed_on_to_nowhere_fails_and_flags_nobody(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    postbox.deliver(sample("bounce-postfix", token), the_desk.clock.now())  # about ann@example.org
    await read(the_desk, postbox)
    assert tried(await at_the_desk.person(key, person))[0] == ("email", "failed")
    known = await the_desk.call("GET", f"/people?q={person.id}")
    assert not any(point["flags"] for point in known["items"][0]["contact_points"])


async def test_a_returned_mail_after_an_answer_takes_nothing_back(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    postbox.deliver(answer(token, "1"), the_desk.clock.now())
    postbox.deliver(sample("bounce-postfix", token, **{"ann@example.org": person.email}), the_desk.clock.now())
    assert await read(the_desk, postbox) == 2
    await the_desk.take_steps()
    entry = await at_the_desk.person(key, person)
    assert (entry["status"], tried(entry)) == ("acknowledged", [("email", "failed")])


async def test_each_mail_counts_once_whatever_is_read_again(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    mail = sample("report-german", token)
    postbox.deliver(mail, the_desk.clock.now())
    postbox.deliver(answer(token, "2"), the_desk.clock.now())
    assert await read(the_desk, postbox) == 2
    assert await read(the_desk, postbox) == 0
    postbox.deliver(b"Received: once more\r\n" + mail, the_desk.clock.now())
    assert await read(the_desk, postbox) == 0
    postbox.begin_anew()  # other UIDs, and another UIDVALIDITY
    assert await read(the_desk, postbox) == 0
    assert await the_desk.acts(key, person) == [("need_help", False)]
    assert len(await the_desk.reports(key)) == 1


async def test_two_workers_at_once_take_each_mail_once(the_desk: Desk, at_the_desk: Crew, postbox: Postbox) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    for place in range(6):
        postbox.deliver(sample("report-german", token, **{"voss@": f"voss{place}@"}), the_desk.clock.now())
    taken = await asyncio.gather(*(read(the_desk, postbox) for _ in range(2)))
    assert sum(taken) == 6
    assert len(await the_desk.reports(key)) == 6


async def test_what_breaks_off_between_effect_and_place_happens_once(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    postbox.deliver(answer(token, "1"), the_desk.clock.now())
    whole = service.read_to

    async def killed(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(service, "read_to", killed)
    with pytest.raises(asyncio.CancelledError):
        await read(the_desk, postbox)
    assert await the_desk.acts(key, person) == []
    monkeypatch.setattr(service, "read_to", whole)
    assert await read(the_desk, postbox) == 1
    assert await the_desk.acts(key, person) == [("ok", False)]


@dataclass
class Handed:
    """A mailbox that holds just these letters: what a mail server would not take from us."""

    letters: tuple[Letter, ...]
    name: str = "handed"

    async def new(self, after: Place | None, *, since: datetime, limit: int, most_bytes: int) -> Post:
        return Post(1, tuple(letter for letter in self.letters if after is None or letter.uid > after.uid))

    async def check(self) -> Health:
        return Health(True, "")

    async def close(self) -> None: ...


async def test_what_cannot_be_read_is_kept_as_that_and_holds_nobody_up(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    now = the_desk.clock.now()
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(3000))
    letters = [Letter(place, len(raw), now, raw) for place, raw in enumerate((deep, answer(token, "1")), start=1)]
    await Reader(the_desk.house, Handed(tuple(letters)), OURS).step()
    assert (await at_the_desk.person(key, person))["status"] == "acknowledged"
    async with the_desk.house.db.begin() as session:
        kept = await rows(session, "SELECT outcome, reason FROM received_mail WHERE kind = 'unreadable'")
    assert [(entry["outcome"], entry["reason"]) for entry in kept] == [("skipped", "RecursionError")]


async def test_the_words_above_a_huge_picture_are_heard(the_desk: Desk, at_the_desk: Crew, postbox: Postbox) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    picture = b"/9j/4AAQSkZJRgABAQ==\r\n" * 100_000
    mail = sample("report-picture", token).replace(b"Water at gate 4", b"2").replace(b"/9j/4AAQSkZJRgABAQ==", picture)
    assert len(mail) > 2_000_000
    postbox.deliver(mail, the_desk.clock.now())
    await read(the_desk, postbox)
    assert (await at_the_desk.person(key, person))["status"] == "need_help"


async def test_nothing_in_the_mailbox_is_marked_or_removed(the_desk: Desk, at_the_desk: Crew, postbox: Postbox) -> None:
    _, token = await mailed(the_desk, at_the_desk, a_person())
    postbox.deliver(answer(token, "1"), the_desk.clock.now())
    await read(the_desk, postbox)
    (flags,) = postbox.flags()
    assert b"Seen" not in flags
    assert b"Deleted" not in flags


async def test_what_is_older_than_every_question_is_left_alone(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    postbox.deliver(answer(token, "1"), the_desk.clock.now() - timedelta(days=60))
    assert await read(the_desk, postbox) == 0
    assert (await at_the_desk.person(key, person))["status"] == "waiting"


async def test_somebody_who_left_answers_no_more(the_desk: Desk, at_the_desk: Crew, postbox: Postbox) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    await at_the_desk.hire(replace(person, active=False))
    postbox.deliver(answer(token, "2"), the_desk.clock.now())
    await read(the_desk, postbox)
    assert await the_desk.acts(key, person) == []


async def test_a_mailbox_that_comes_back_is_read_from_where_it_was(
    the_desk: Desk, at_the_desk: Crew, postbox: Postbox
) -> None:
    person = a_person()
    key, token = await mailed(the_desk, at_the_desk, person)
    wrong = replace(postbox, password="other")
    made = reader(the_desk, wrong)
    assert await made.step() == 0
    (health,) = await _health(the_desk)
    assert not health["ok"]
    assert "user name or password" in health["detail"]
    postbox.deliver(answer(token, "1"), the_desk.clock.now())
    assert await made.step() == 0  # it waits before it tries again
    assert await read(the_desk, postbox) == 1
    assert [entry["ok"] for entry in await _health(the_desk)] == [True]
    assert (await at_the_desk.person(key, person))["status"] == "acknowledged"


async def _health(desk: Desk) -> list[dict[str, Any]]:
    async with desk.house.db.begin() as session:
        found = await rows(session, "SELECT * FROM provider_health WHERE provider = 'mailbox'")
    return [dict(entry) for entry in found]


async def test_an_all_clear_asks_nothing_and_hears_of_help(the_desk: Desk, at_the_desk: Crew, postbox: Postbox) -> None:
    fine, digit, words = a_person(), a_person(), a_person()
    key, _ = await mailed(the_desk, at_the_desk, fine, digit, words)
    await the_desk.send(key, "resolved")
    await the_desk.hand_over()
    the_desk.clock.advance(seconds=30)
    said = {fine: "1", digit: "2", words: "A customer collapsed at gate 4"}
    for person, text in said.items():
        token = await token_of(the_desk, person, "resolved")
        postbox.deliver(answer(token, text), the_desk.clock.now())
    assert await read(the_desk, postbox) == 3
    open_help = await the_desk.call("GET", f"/incidents/{key}/help-requests")
    assert {entry["person_id"] for entry in open_help["items"]} == {digit.id, words.id}
    assert [entry["text"] for entry in await the_desk.reports(key)] == [said[words]]
    assert await the_desk.acts(key, fine, 2) == []
