"""The pretend mail server: real SMTP, everything stored, the magic local parts of fates.MAIL_FATES."""

import asyncio
import logging
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.simulator.carrier import Carrier
from app.simulator.faults import Faults, abort
from app.simulator.world import World

log = logging.getLogger(__name__)

HANG_SECONDS = 60.0
MAX_BYTES = 10 * 1024 * 1024


def _part(mail: Message, kind: str) -> str:
    for part in mail.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            content = payload if isinstance(payload, bytes) else b""
            try:
                text = content.decode(part.get_content_charset("utf-8"), "replace")
            except LookupError:
                text = content.decode("utf-8", "replace")
            return text.replace("\r\n", "\n")
    return ""


def _header(mail: Message, name: str) -> str:
    value = str(mail.get(name, ""))
    try:
        return " ".join(str(make_header(decode_header(value))).split())
    except (HeaderParseError, LookupError, ValueError):
        return value


def parse(content: bytes) -> dict[str, str]:
    """A mail's headers and its text and HTML parts; what cannot be read is empty, never an error.

    With the older of Python's two mail policies: the newer one takes several times as long.
    """
    mail = message_from_bytes(content)
    return {
        "subject": _header(mail, "Subject"),
        "from_header": _header(mail, "From"),
        "reply_to": _header(mail, "Reply-To"),
        "message_id": _header(mail, "Message-ID"),
        "text": _part(mail, "text/plain").strip(),
        "html": _part(mail, "text/html"),
    }


class Handler:
    """What the mail server says at each step of a conversation. The method names are aiosmtpd's hooks."""

    def __init__(self, world: World, carrier: Carrier, faults: Faults) -> None:
        self.world = world
        self.carrier = carrier
        self.faults = faults

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse one recipient."""
        fate = self.world.mail_fate(address).key
        if fate == "bounce":
            return f"550 5.1.1 <{address}>: No such mailbox here"
        if fate == "later" and not self.world.mail_tries[address.lower()]:
            self.world.record({"e": "mtry", "to": address})
            return "451 4.7.1 Please try again later"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store one mail for each recipient, on disk before the 250."""
        fault = self.faults.take("smtp")
        if fault == "tempfail":
            return "451 4.3.0 Temporary failure, please try again later"
        content = envelope.content or b""
        parts = parse(content if isinstance(content, bytes) else content.encode())
        try:
            for address in envelope.rcpt_tos:
                self.carrier.store_mail(to=address, **{"from": envelope.mail_from or ""}, **parts)
        except OSError:
            log.exception("the simulator could not write its journal")
            return "451 4.3.0 Cannot store the message"
        fates = {self.world.mail_fate(address).key for address in envelope.rcpt_tos}
        if fault == "cut_after_data" or "cut" in fates:
            abort(server.transport)
            await asyncio.sleep(1)
        elif fault == "hang_after_data" or "hang" in fates:
            await asyncio.sleep(HANG_SECONDS)
            abort(server.transport)
        return "250 OK: stored"


class MailServer:
    """Real SMTP on one listening socket. AUTH is offered without TLS (this is loopback) and any login is right."""

    def __init__(self, world: World, carrier: Carrier, faults: Faults) -> None:
        self._handler = Handler(world, carrier, faults)
        self._faults = faults
        self._open: WeakSet[SMTP] = WeakSet()

    def close(self) -> None:
        """Cut every open conversation."""
        for conversation in list(self._open):
            abort(conversation.transport)

    def protocol(self) -> asyncio.Protocol:
        """The protocol of one connection, for `loop.create_server`."""
        if self._faults.on.get("smtp") == "refuse":
            self._faults.take("smtp")
            return _Closed()
        conversation = SMTP(
            self._handler,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname="mail.pretend-carrier.test",
            ident="Pretend mail server",
            auth_require_tls=False,
            authenticator=_anybody,
            loop=asyncio.get_running_loop(),
        )
        self._open.add(conversation)
        return conversation


def _anybody(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    return AuthResult(success=isinstance(data, LoginPassword))


class _Closed(asyncio.Protocol):
    """A connection that is closed before the greeting, as by a server that is down."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        abort(transport)
