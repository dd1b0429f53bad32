"""Email through an SMTP server: text and HTML, one recipient a message, `Message-ID` kept."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formatdate

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected

from app.channels.port import Capabilities, Examined, Health, Kind, Outcome, Outgoing, StillOurs
from app.kernel.logs import redact

log = logging.getLogger("muster.channels.smtp")

TIMEOUT_SECONDS = 20.0

TAKEN, GO_ON, SESSION_ENDS = 250, 354, 421
"""Replies of RFC 5321: taken; send the words; the server ends the session, which it may do at any time."""

MOST_LOCAL_PART = 64
"""RFC 5321: the longest part before the @."""

_CANNOT_CONNECT = (SMTPException, OSError)
_LINE_OF_DOTS = re.compile(rb"^\.", re.MULTILINE)


class SmtpEmail:
    channel = "email"
    name = "smtp"
    capabilities = Capabilities(reports_status=False, lists_messages=False)

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: bool,
        username: str | None,
        password: str | None,
        sender: str,
        reply_to: str | None,
        plus_address: bool = False,
        connections: int = 4,
    ) -> None:
        self.host, self.port, self.tls = host, port, tls
        self.username, self.password = username, password
        self.sender, self.reply_to, self.plus_address = sender, reply_to, plus_address
        self._idle: list[SMTP] = []
        self._places = asyncio.Semaphore(connections)

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome:
        async with self._places:
            if not still_ours():
                return Outcome(Kind.FENCED)
            kept = await self._kept()
            try:
                client = kept or await self._connect()
            except _CANNOT_CONNECT as error:
                return _no_connection(error)
            try:
                return await self._in_session(client, message, still_ours)
            except _SessionEnded as ended:
                if kept is None or ended.timed_out:
                    return ended.outcome
            # A server may end any session at any time: on one that has served others that is no refusal, and the
            # mail, of which it has nothing, goes out in a new one.
            log.info("the mail server ended its session; going on in a new one")
            try:
                return await self._in_session(await self._connect(), message, still_ours)
            except _SessionEnded as ended:
                return ended.outcome
            except _CANNOT_CONNECT as error:
                return _no_connection(error)

    async def _in_session(self, client: SMTP, message: Outgoing, still_ours: StillOurs) -> Outcome:
        """One mail in one session, which is kept for the next where it can be. Raises _SessionEnded."""
        try:
            outcome = await self._hand_over(client, message, still_ours)
        except _SessionEnded:
            client.close()
            raise
        # After an unknown outcome the conversation is out of step; after every other one it was reset.
        if outcome.kind is Kind.UNKNOWN or not client.is_connected:
            client.close()
        else:
            self._idle.append(client)
        return outcome

    async def _hand_over(self, client: SMTP, message: Outgoing, still_ours: StillOurs) -> Outcome:
        message_id = self.message_id(message.token)
        try:
            content = self.compose(message, message_id)
        except ValueError:
            return Outcome(Kind.REJECTED, reason="the address or the subject cannot be written in a mail")
        try:
            # Where it is offered (RFC 3461), a returned mail names the token and brings back the headers alone.
            notifies = client.supports_extension("dsn")
            await client.mail(self.sender, options=[f"ENVID={message.token}", "RET=HDRS"] if notifies else None)
        except SMTPResponseException as error:
            if error.code == SESSION_ENDS:
                raise _SessionEnded.saying(error, down=True) from error
            # Our sender is refused, and not this message: it waits until the operator has put that right.
            log.error("the mail server refuses the sender %s: %s %s", self.sender, error.code, error.message)
            await _reset(client)
            return Outcome(Kind.LATER, error_code=error.code, reason="the mail server refuses our sender", down=True)
        except (SMTPException, OSError) as error:
            raise _SessionEnded.without_a_word(error) from error
        try:
            await client.rcpt(message.to)
        except SMTPResponseException as error:
            if error.code == SESSION_ENDS:
                raise _SessionEnded.saying(error, down=False) from error
            await _reset(client)
            return _refusal(error)
        except ValueError:
            await _reset(client)
            return Outcome(Kind.REJECTED, reason="the address cannot be given to a mail server")
        except (SMTPException, OSError) as error:
            raise _SessionEnded.without_a_word(error) from error
        if not still_ours() or not (message.begin is None or await message.begin()):
            await _reset(client)
            return Outcome(Kind.FENCED)
        return await _words(client, content, message_id)

    def message_id(self, token: str) -> str:
        """The same for every try of one attempt, so that servers that fold repetitions can."""
        return f"<{token}.muster@{self.sender.rpartition('@')[2]}>"

    def answers_to(self, token: str) -> str | None:
        """Where this mail is to be answered; None: where it came from."""
        local, _, domain = (self.reply_to or self.sender).rpartition("@")
        if self.plus_address and len(local) + 1 + len(token) <= MOST_LOCAL_PART:
            return f"{local}+{token}@{domain}"
        return self.reply_to

    def compose(self, message: Outgoing, message_id: str) -> bytes:
        """The mail as bytes: text, HTML alternative, and headers that keep automatic answers away."""
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = message.to
        mail["Subject"] = " ".join(message.subject.split())
        mail["Date"] = formatdate(usegmt=True)
        mail["Message-ID"] = message_id
        if answers_to := self.answers_to(message.token):
            mail["Reply-To"] = answers_to
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(message.text)
        if message.html:
            mail.add_alternative(message.html, subtype="html")
        return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))

    async def _kept(self) -> SMTP | None:
        """A session that is open and still answers; None when there is none."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.noop()
            except (SMTPException, OSError):
                log.info("the mail server ended its session")
                client.close()
                continue
            return client
        return None

    async def _connect(self) -> SMTP:
        client = SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls,
            start_tls=None,  # used when offered
            timeout=TIMEOUT_SECONDS,
            username=self.username,
            password=self.password,
        )
        await client.connect()
        return client

    async def check(self) -> Health:
        try:
            client = await self._connect()
            client.close()
        except aiosmtplib.SMTPAuthenticationError:
            return Health(
                False, "the mail server refuses the user name or password in MUSTER_SMTP_URL", misconfigured=True
            )
        except (SMTPException, OSError) as error:
            where = f"{self.host}:{self.port}"
            return Health(
                False, f"the mail server {where} cannot be used ({type(error).__name__}); check MUSTER_SMTP_URL"
            )
        return Health(True, "the mail server answers")

    async def examine(self, inbound_url: str) -> dict[str, Examined]:
        try:
            client = await self._connect()
        except (SMTPException, OSError):
            return {}  # `check` says what is wrong
        try:
            await client.mail(self.sender)
        except SMTPResponseException as error:
            wrong = (
                f"the mail server refuses MUSTER_EMAIL_SENDER as sender (code {error.code}); use an address of its own"
            )
            return {"sender": Examined(False, wrong)}
        except (SMTPException, OSError):
            return {"sender": Examined(None, "the mail server hung up before it said whether it takes our sender")}
        else:
            login = "after logging in" if self.username else "without a login, as MUSTER_SMTP_URL names none"
            return {"sender": Examined(True, f"the mail server takes our sender, {login}")}
        finally:
            client.close()

    def ahead(self) -> timedelta | None:
        return None

    async def close(self) -> None:
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit()
            except (SMTPException, OSError):
                client.close()


class _SessionEnded(Exception):
    """The server ended the session, or broke it off, and has nothing of the message. `outcome`: what that proves on a
    session that was new."""

    def __init__(self, outcome: Outcome, *, timed_out: bool = False) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.timed_out = timed_out

    @classmethod
    def saying(cls, error: SMTPResponseException, *, down: bool) -> _SessionEnded:
        reason = "the mail server ended its session"
        return cls(Outcome(Kind.LATER, error_code=error.code, reason=reason, retry_after=5.0, down=down))

    @classmethod
    def without_a_word(cls, error: Exception) -> _SessionEnded:
        reason = "the mail server hung up"
        return cls(Outcome(Kind.LATER, reason=reason, down=True), timed_out=isinstance(error, TimeoutError))


def _no_connection(error: Exception) -> Outcome:
    if isinstance(error, SMTPResponseException):
        return Outcome(Kind.LATER, error_code=error.code, reason="the mail server refuses us", down=True)
    return Outcome(Kind.LATER, reason="the mail server cannot be reached", down=True)


async def _words(client: SMTP, content: bytes, message_id: str) -> Outcome:
    """DATA and the mail itself, the two apart: until the server asks for the words it can have nothing of them.

    `content` has CRLF line ends. Raises _SessionEnded before the first word.
    """
    try:
        asked = await client.execute_command(b"DATA")
    except (SMTPException, OSError) as error:
        raise _SessionEnded.without_a_word(error) from error
    if asked.code == SESSION_ENDS:
        raise _SessionEnded.saying(SMTPResponseException(asked.code, asked.message), down=True)
    if asked.code != GO_ON:
        await _reset(client)
        return _refusal(SMTPResponseException(asked.code, asked.message))
    try:
        # From here the server may have it, whatever we hear.
        if client.protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        client.protocol.write(_LINE_OF_DOTS.sub(b"..", content) + b".\r\n")
        said = await client.protocol.read_response(timeout=TIMEOUT_SECONDS)
    except SMTPResponseException as error:  # what is no answer at all
        return _refusal(error)
    except (SMTPException, OSError) as error:
        reason = f"no answer after the text was sent ({type(error).__name__})"
        return Outcome(Kind.UNKNOWN, reason=reason, down=True)
    if said.code == SESSION_ENDS:
        return Outcome(Kind.UNKNOWN, error_code=said.code, reason="the mail server ended its session after the text")
    if said.code != TAKEN:
        await _reset(client)
        return _refusal(SMTPResponseException(said.code, said.message))
    return Outcome(Kind.ACCEPTED, provider_message_id=message_id)


def _refusal(error: SMTPResponseException) -> Outcome:
    reason = redact(" ".join(str(error.message).split()))[:200]
    if 500 <= error.code < 600:
        return Outcome(Kind.REJECTED, error_code=error.code, reason=reason)
    if 400 <= error.code < 500:
        return Outcome(Kind.LATER, error_code=error.code, reason=reason, retry_after=5.0)
    # Nothing that SMTP knows (aiosmtplib gives -1 for what is no answer at all).
    return Outcome(Kind.UNKNOWN, error_code=max(error.code, 0) or None, reason=reason)


async def _reset(client: SMTP) -> None:
    try:
        await client.rset()
    except (SMTPException, OSError):
        client.close()
