"""What a mail server says, and what that proves: one case a row, over real SMTP."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

import app.channels.smtp as smtp_module
from app.channels.port import Kind, Outcome, Records
from app.channels.smtp import SmtpEmail
from app.simulator.config import SimulatorConfig
from app.simulator.faults import abort
from app.simulator.server import Running, running
from tests.channels.wires import Talk, a_message, lost_after, ours, talking
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER, free_port

FINE = {
    "connect": "220 mail.test ESMTP", "EHLO": "250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
    "AUTH": "235 in", "MAIL": "250 OK", "RCPT": "250 OK", "DATA": "354 go on", ".": "250 OK stored", "RSET": "250 OK",
    "NOOP": "250 OK", "QUIT": "221 bye",
}  # fmt: skip


def server(**said: str | list[str]) -> Talk:
    """A mail server that answers each verb like this; `cut` breaks off there, `hang` says nothing any more. Of a list
    each time the next."""
    answers = FINE | {{"END": ".", "CONNECT": "connect"}.get(verb, verb): answer for verb, answer in said.items()}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb = "connect"
        while True:
            known = answers[verb]
            answer = known.pop(0) if isinstance(known, list) else known
            if answer == "cut":
                return
            if answer == "hang":
                await reader.read()
                return
            writer.write(answer.encode() + b"\r\n")
            await writer.drain()
            if verb == "DATA" and answer.startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                verb = "."
            else:
                verb = (await reader.readuntil(b"\r\n"))[:4].decode().upper()

    return talk


def mailer(port: int, **more: Any) -> SmtpEmail:
    given = {"tls": False, "username": None, "password": None, "sender": "muster@example.org", "reply_to": None}
    return SmtpEmail(host="127.0.0.1", port=port, **(given | more))


async def said_to(talk: Talk, **more: Any) -> Outcome:
    async with talking(talk) as wire:
        provider = mailer(wire.port, **more)
        outcome = await provider.send(a_message("e1@example.org"), ours)
        await provider.close()
    return outcome


CASES: list[tuple[str, dict[str, str], Kind, int | None, bool]] = [
    ("taken", {}, Kind.ACCEPTED, None, False),
    ("no such mailbox", {"RCPT": "550 5.1.1 No such mailbox"}, Kind.REJECTED, 550, False),
    ("greylisted", {"RCPT": "451 4.7.1 Come back later"}, Kind.LATER, 451, False),
    ("mailbox full for now", {"RCPT": "452 4.2.2 Full"}, Kind.LATER, 452, False),
    ("closing down at RCPT", {"RCPT": "421 4.3.2 Closing"}, Kind.LATER, 421, False),
    ("cut at RCPT", {"RCPT": "cut"}, Kind.LATER, None, True),
    ("sender refused", {"MAIL": "553 5.1.8 Not your address"}, Kind.LATER, 553, True),
    ("login wanted", {"MAIL": "530 5.7.0 Authentication required"}, Kind.LATER, 530, True),
    ("sender not now", {"MAIL": "451 4.3.0 Later"}, Kind.LATER, 451, True),
    ("cut at MAIL", {"MAIL": "cut"}, Kind.LATER, None, True),
    ("words refused", {"END": "554 5.7.1 Looks like spam"}, Kind.REJECTED, 554, False),
    ("words not taken now", {"END": "451 4.3.0 Queue full"}, Kind.LATER, 451, False),
    ("DATA refused for good", {"DATA": "554 5.5.1 No"}, Kind.REJECTED, 554, False),
    ("DATA refused for now", {"DATA": "450 4.2.1 Busy"}, Kind.LATER, 450, False),
    ("cut when the words are announced", {"DATA": "cut"}, Kind.LATER, None, True),
    ("closing down at MAIL", {"MAIL": "421 4.3.2 Closing"}, Kind.LATER, 421, True),
    ("closing down when the words are announced", {"DATA": "421 4.3.2 Closing"}, Kind.LATER, 421, True),
    ("closing down after the words", {"END": "421 4.3.2 Closing"}, Kind.UNKNOWN, 421, False),
    ("cut after the words", {"END": "cut"}, Kind.UNKNOWN, None, True),
    ("nothing said after the words", {"END": "hang"}, Kind.UNKNOWN, None, True),
    ("nonsense after the words", {"END": "what?"}, Kind.UNKNOWN, None, False),
    ("busy at the greeting", {"CONNECT": "421 Too many connections"}, Kind.LATER, 421, True),
    ("refused at the greeting", {"CONNECT": "554 Go away"}, Kind.LATER, 554, True),
    ("cut before the greeting", {"CONNECT": "cut"}, Kind.LATER, None, True),
    ("nothing said at all", {"CONNECT": "hang"}, Kind.LATER, None, True),
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_module, "TIMEOUT_SECONDS", 0.7)


@pytest.mark.parametrize(("said", "kind", "code", "down"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
async def test_what_a_mail_server_proves(said: dict[str, str], kind: Kind, code: int | None, down: bool) -> None:
    outcome = await said_to(server(**said))
    assert (outcome.kind, outcome.error_code, outcome.down) == (kind, code, down)
    assert (outcome.provider_message_id == "<token7.muster@example.org>") == (kind is Kind.ACCEPTED)
    assert outcome.reason or kind is Kind.ACCEPTED


async def test_nobody_listens() -> None:
    outcome = await mailer(free_port()).send(a_message("e1@example.org"), ours)
    assert (outcome.kind, outcome.down) == (Kind.LATER, True)


async def test_a_wrong_login_holds_the_mail_back_and_refuses_nobody() -> None:
    outcome = await said_to(server(AUTH="535 5.7.8 Bad credentials"), username="u", password="p")
    assert (outcome.kind, outcome.error_code, outcome.down) == (Kind.LATER, 535, True)


async def test_a_server_without_tls_is_not_trusted_when_tls_is_asked_for() -> None:
    outcome = await said_to(server(), tls=True)
    assert (outcome.kind, outcome.down) == (Kind.LATER, True)


@pytest.mark.parametrize("to", ["a b@example.org", "x@example.org\r\nRCPT TO:<y@example.org>", "", "é@example.org"])
async def test_an_address_that_cannot_be_written_refuses_only_itself(to: str) -> None:
    async with talking(server()) as wire:
        provider = mailer(wire.port)
        outcome = await provider.send(replace(a_message(), to=to), ours)
        assert outcome.kind in (Kind.REJECTED, Kind.ACCEPTED)
        assert b"y@example.org>\r\n" not in bytes(wire.heard).partition(b"DATA")[0]
        assert (await provider.send(a_message("e1@example.org"), ours)).kind is Kind.ACCEPTED
        await provider.close()


async def test_a_worker_that_lost_its_lease_sends_no_words() -> None:
    async with talking(server()) as wire:
        provider = mailer(wire.port)
        assert (await provider.send(a_message("e1@example.org"), lost_after(0))).kind is Kind.FENCED
        assert b"DATA" not in wire.heard
        # The conversation was reset and serves the next.
        assert (await provider.send(a_message("e2@example.org"), ours)).kind is Kind.ACCEPTED
        assert wire.calls == 1
        await provider.close()


@pytest.mark.parametrize("said", [{"RCPT": "550 No"}, {"RCPT": "451 Later"}, {"END": "554 Spam"}])
async def test_one_refusal_costs_no_connection(said: dict[str, str]) -> None:
    async with talking(server(**said)) as wire:
        provider = mailer(wire.port)
        for _ in range(3):
            await provider.send(a_message("e1@example.org"), ours)
        assert wire.calls == 1
        await provider.close()


async def test_a_connection_that_died_meanwhile_is_replaced() -> None:
    async with talking(server(NOOP="cut")) as wire:
        provider = mailer(wire.port)
        assert (await provider.send(a_message("e1@example.org"), ours)).kind is Kind.ACCEPTED
        assert (await provider.send(a_message("e2@example.org"), ours)).kind is Kind.ACCEPTED
        assert wire.calls == 2
        await provider.close()


class Ending:
    """Real SMTP; a session that has taken a mail is ended at the next of this verb (`421` or without a word)."""

    def __init__(self, verb: str, says: str | None) -> None:
        self.verb, self.says = verb, says
        self.taken: list[str] = []
        self.ended = 0
        self._served: list[Session] = []

    def _end(self, server: SMTP, session: Session) -> str | None:
        if session not in self._served:
            return None
        self.ended += 1
        assert server.transport is not None
        if self.says is None:
            abort(server.transport)
            return "250 nobody hears this"
        asyncio.get_running_loop().call_later(0.02, server.transport.close)
        return self.says

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.verb == "MAIL" and (said := self._end(server, session)):
            return said
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.verb == "RCPT" and (said := self._end(server, session)):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_NOOP(self, server: SMTP, session: Session, envelope: Envelope, arg: str) -> str:
        return (self._end(server, session) if self.verb == "NOOP" else None) or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken += envelope.rcpt_tos
        self._served.append(session)
        return "250 stored"


@contextlib.asynccontextmanager
async def ending(handler: Ending) -> AsyncIterator[int]:
    port = free_port()
    loop = asyncio.get_running_loop()
    made = await loop.create_server(lambda: SMTP(handler, hostname="mail.test", loop=loop), "127.0.0.1", port)
    yield port
    made.close()


@pytest.mark.parametrize("says", ["421 4.4.2 Timeout - closing connection", None], ids=["421", "without a word"])
@pytest.mark.parametrize("verb", ["NOOP", "MAIL", "RCPT"])
async def test_a_server_that_ends_a_session_gets_a_new_one_at_once(
    verb: str, says: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "muster.channels.smtp")
    handler = Ending(verb, says)
    async with ending(handler) as port:
        provider = mailer(port)
        to = [f"e{number}@example.org" for number in range(4)]
        outcomes = [await provider.send(a_message(address), ours) for address in to]
        await provider.close()
    assert [outcome.kind for outcome in outcomes] == [Kind.ACCEPTED] * 4
    assert handler.taken == to  # each once
    assert handler.ended == 3
    said = [record for record in caplog.records if record.name == "muster.channels.smtp"]
    assert {record.levelname for record in said} == {"INFO"}
    assert all("ended its session" in record.getMessage() and "refuse" not in record.getMessage() for record in said)


async def test_a_session_ended_when_the_words_are_announced_gets_a_new_one_too() -> None:
    """aiosmtpd asks for the words by itself, so this server is raw."""
    async with talking(server(DATA=["354 go on", "421 4.3.2 Closing", "354 go on"])) as wire:
        provider = mailer(wire.port)
        for address in ("e1@example.org", "e2@example.org"):
            assert (await provider.send(a_message(address), ours)).kind is Kind.ACCEPTED
        assert wire.calls == 2
        assert bytes(wire.heard).count(b"\r\n.\r\n") == 2
        await provider.close()


async def test_a_session_ended_after_the_words_is_never_repeated() -> None:
    async with talking(server(END="421 4.3.2 Closing")) as wire:
        provider = mailer(wire.port)
        assert (await provider.send(a_message("e1@example.org"), ours)).kind is Kind.UNKNOWN
        assert (wire.calls, bytes(wire.heard).count(b"DATA\r\n")) == (1, 1)
        await provider.close()


async def test_the_mail_is_whole() -> None:
    async with talking(server()) as wire:
        provider = mailer(wire.port, reply_to="desk@example.org")
        message = replace(
            a_message("e1@example.org"), subject="Störung\n an den\r\nKassen", text="Zeile 1\n.\nÄ 🙂", html="<p>Ä</p>"
        )
        await provider.send(message, ours)
        await provider.close()
    words = bytes(wire.heard).partition(b"DATA\r\n")[2].partition(b"\r\n.\r\n")[0].replace(b"\r\n..", b"\r\n.")
    mail = email.message_from_bytes(words, policy=email.policy.default)
    kept = ("From", "To", "Subject", "Message-ID", "Reply-To", "Auto-Submitted")
    assert {name: str(mail[name]) for name in kept} == {
        "From": "muster@example.org", "To": "e1@example.org", "Subject": "Störung an den Kassen",
        "Message-ID": "<token7.muster@example.org>", "Reply-To": "desk@example.org", "Auto-Submitted": "auto-generated",
    }  # fmt: skip
    assert mail["Date"]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == "Zeile 1\n.\nÄ 🙂\n"
    assert "<p>Ä</p>" in html.get_content()


def test_every_try_of_one_attempt_bears_the_same_message_id() -> None:
    provider = mailer(1)
    assert provider.message_id("t1") == provider.message_id("t1") != provider.message_id("t2")


@pytest.mark.parametrize(
    ("sender", "reply_to", "wanted"),
    [
        ("muster@example.org", None, "muster+t1@example.org"),
        ("muster@example.org", "desk@example.com", "desk+t1@example.com"),
        ("m" * 62 + "@example.org", None, None),  # an address has no room for it
        ("muster@example.org", "d" * 62 + "@example.com", "d" * 62 + "@example.com"),
    ],
)
def test_each_mail_asks_for_its_answer_at_an_address_of_its_own(
    sender: str, reply_to: str | None, wanted: str | None
) -> None:
    assert mailer(1, sender=sender, reply_to=reply_to, plus_address=True).answers_to("t1") == wanted
    assert mailer(1, sender=sender, reply_to=reply_to).answers_to("t1") == reply_to


async def test_where_the_server_can_a_returned_mail_is_to_name_the_token() -> None:
    offered = FINE["EHLO"] + "\r\n250 DSN"
    async with talking(server(EHLO=offered.replace("250 8BITMIME", "250-8BITMIME"))) as wire:
        provider = mailer(wire.port)
        await provider.send(a_message("e1@example.org"), ours)
        await provider.close()
    assert b"MAIL FROM:<muster@example.org> ENVID=token7 RET=HDRS\r\n" in bytes(wire.heard)


def test_mail_cannot_be_looked_up_afterwards() -> None:
    assert not isinstance(mailer(1), Records)


async def test_health_is_told_in_words_that_help() -> None:
    async with talking(server()) as wire:
        assert (await mailer(wire.port).check()).ok
    async with talking(server(AUTH="535 no")) as wire:
        health = await mailer(wire.port, username="u", password="p").check()
        assert not health.ok
        assert "password" in health.detail
    assert "cannot be used" in (await mailer(free_port()).check()).detail


# --- with the pretend mail server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def post_office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder: Path = tmp_path_factory.mktemp("post")
    config = SimulatorConfig(
        http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=AUTH_TOKEN, sender=SENDER,
        inbound_url="http://127.0.0.1:9/webhooks/twilio/inbound", journal=folder / "simulator.jsonl",
    )  # fmt: skip
    async with running(config) as where:
        yield where


@pytest.mark.parametrize(
    ("to", "kinds", "stored"),
    [
        ("bounce+1@example.org", [Kind.REJECTED], 0),
        ("later+1@example.org", [Kind.LATER, Kind.ACCEPTED], 1),
        ("cut+1@example.org", [Kind.UNKNOWN], 1),
        ("hang+1@example.org", [Kind.UNKNOWN], 1),
        ("silent+1@example.org", [Kind.ACCEPTED], 1),
    ],
)
async def test_the_pretend_mail_servers_mailboxes(
    post_office: Running, to: str, kinds: list[Kind], stored: int
) -> None:
    provider = mailer(post_office.smtp_port)
    assert [(await provider.send(a_message(to), ours)).kind for _ in kinds] == kinds
    await provider.close()
    async with httpx2.AsyncClient(verify=False, base_url=post_office.url, trust_env=False) as client:
        mails = (await client.get("/simulator/emails", params={"to": to})).json()["emails"]
    assert [mail["message_id"] for mail in mails] == ["<token7.muster@example.org>"] * stored
