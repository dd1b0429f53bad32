"""Email through an SMTP server: text and HTML, one recipient a message, `Message-ID` kept."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formatdate

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from app.channels.port import Capabilities, Examined, Health, Kind, Outcome, Outgoing, StillOurs
from app.kernel.logs import redact

log = logging.getLogger("muster.channels.smtp")

TIMEOUT_SECONDS = 20.0


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
        connections: int = 4,
    ) -> None:
        self.host, self.port, self.tls = host, port, tls
        self.username, self.password = username, password
        self.sender, self.reply_to = sender, reply_to
        self._idle: list[SMTP] = []
        self._places = asyncio.Semaphore(connections)

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome:
        async with self._places:
            if not still_ours():
                return Outcome(Kind.FENCED)
            try:
                client = await self._client()
            except SMTPResponseException as error:
                return Outcome(Kind.LATER, error_code=error.code, reason="the mail server refuses us", down=True)
            except (SMTPException, OSError, TimeoutError, ssl.SSLError):
                return Outcome(Kind.LATER, reason="the mail server cannot be reached", down=True)
            outcome = await self._hand_over(client, message, still_ours)
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
            await client.mail(self.sender)
        except SMTPResponseException as error:
            # Our sender is refused, and not this message: it waits until the operator has put that right.
            log.error("the mail server refuses the sender %s: %s %s", self.sender, error.code, error.message)
            await _reset(client)
            return Outcome(Kind.LATER, error_code=error.code, reason="the mail server refuses our sender", down=True)
        except (SMTPException, OSError, TimeoutError):
            return Outcome(Kind.LATER, reason="the mail server hung up", down=True)
        try:
            await client.rcpt(message.to)
        except SMTPResponseException as error:
            await _reset(client)
            return _refusal(error)
        except ValueError:
            await _reset(client)
            return Outcome(Kind.REJECTED, reason="the address cannot be given to a mail server")
        except (SMTPException, OSError, TimeoutError):
            return Outcome(Kind.LATER, reason="the mail server hung up", down=True)
        if not still_ours() or not (message.begin is None or await message.begin()):
            await _reset(client)
            return Outcome(Kind.FENCED)
        try:
            # From here the server may have it, whatever we hear.
            await client.data(content)
        except SMTPResponseException as error:
            await _reset(client)
            return _refusal(error)
        except (SMTPException, OSError, TimeoutError) as error:
            reason = f"no answer after the text was sent ({type(error).__name__})"
            return Outcome(Kind.UNKNOWN, reason=reason, down=True)
        return Outcome(Kind.ACCEPTED, provider_message_id=message_id)

    def message_id(self, token: str) -> str:
        """The same for every try of one attempt, so that servers that fold repetitions can."""
        return f"<{token}.muster@{self.sender.rpartition('@')[2]}>"

    def compose(self, message: Outgoing, message_id: str) -> bytes:
        """The mail as bytes: text, HTML alternative, and headers that keep automatic answers away."""
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = message.to
        mail["Subject"] = " ".join(message.subject.split())
        mail["Date"] = formatdate(usegmt=True)
        mail["Message-ID"] = message_id
        if self.reply_to:
            mail["Reply-To"] = self.reply_to
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(message.text)
        if message.html:
            mail.add_alternative(message.html, subtype="html")
        return mail.as_bytes()

    async def _client(self) -> SMTP:
        while self._idle:
            client = self._idle.pop()
            try:
                await client.noop()
            except (SMTPException, OSError, TimeoutError):
                client.close()
                continue
            return client
        return await self._connect()

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
        except (SMTPException, OSError, TimeoutError, ssl.SSLError) as error:
            where = f"{self.host}:{self.port}"
            return Health(
                False, f"the mail server {where} cannot be used ({type(error).__name__}); check MUSTER_SMTP_URL"
            )
        return Health(True, "the mail server answers")

    async def examine(self, inbound_url: str) -> dict[str, Examined]:
        try:
            client = await self._connect()
        except (SMTPException, OSError, TimeoutError, ssl.SSLError):
            return {}  # `check` says what is wrong
        try:
            await client.mail(self.sender)
        except SMTPResponseException as error:
            wrong = (
                f"the mail server refuses MUSTER_EMAIL_SENDER as sender (code {error.code}); use an address of its own"
            )
            return {"sender": Examined(False, wrong)}
        except (SMTPException, OSError, TimeoutError):
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
            except (SMTPException, OSError, TimeoutError):
                client.close()


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
    except (SMTPException, OSError, TimeoutError):
        client.close()
