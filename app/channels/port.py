"""What a channel's provider must do, and what it can tell us. Pure: no provider is named here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from app.channels.media import Medium

StillOurs = Callable[[], bool]
"""Asked just before bytes leave: whether the lease on this attempt is still this worker's."""


@dataclass(frozen=True)
class Outgoing:
    """One message to hand over. `token` names the attempt in callbacks; `validity_seconds` is 1 to 36000.

    `callback_url`: where the provider reports how it goes. `answer_url`: where it asks what to say, for a channel whose
    words are asked for when somebody picks up; `text` is then only what will be said.
    `begin`, for a provider without records: awaited when everything is said but the message itself. It notes durably
    that the message is about to leave; False: it must not. Whatever ends before it has sent nothing.
    """

    attempt_id: int
    token: str
    to: str
    text: str
    subject: str = ""
    html: str = ""
    callback_url: str = ""
    answer_url: str = ""
    validity_seconds: int = 14_400
    begin: Callable[[], Awaitable[bool]] | None = None


class Kind(StrEnum):
    ACCEPTED = "accepted"
    """The provider has it and gave its id."""
    REJECTED = "rejected"
    """A definite refusal: the provider does not have it."""
    LATER = "later"
    """Nothing was accepted; the same attempt may be tried again after `retry_after` seconds."""
    UNKNOWN = "unknown"
    """The provider may have it."""
    FENCED = "fenced"
    """Our lease had ended before anything counted was written; whoever holds it now decides."""


@dataclass(frozen=True)
class Outcome:
    """What came of one provider call. `down`: the provider as a whole did not answer or refused us."""

    kind: Kind
    provider_message_id: str | None = None
    error_code: int | None = None
    reason: str | None = None
    retry_after: float | None = None
    down: bool = False


HEALTH_SECONDS = 90.0
"""What a provider said of itself longer ago says nothing about now."""


@dataclass(frozen=True)
class Health:
    """Whether a provider would take a message. `misconfigured`: it is there, and refuses what was set up here."""

    ok: bool
    detail: str
    misconfigured: bool = False


ANSWERED_BY = "answered_by_"
"""Who or what picked up a call is a fact like a status, under this prefix and the provider's own word for it."""


@dataclass(frozen=True)
class Listed:
    """A message as the provider's own records show it. `body` is empty when it was redacted, or never shown.

    `also`: what else they show that is a fact like a status.
    """

    provider_message_id: str
    to: str
    body: str
    status: str
    error_code: int | None = None
    created_at: datetime | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capabilities:
    """What a provider can tell us afterwards.

    `lists_messages`: it keeps records that can be read (`Records`). Without them a message's beginning is noted by us
    just before it leaves, and what was cut off after that can never be proven. `shows_text`: the records show the
    words, so that the link in them proves whose message it is; without, it follows from the number and the time.
    """

    reports_status: bool
    lists_messages: bool
    shows_text: bool = True


class Provider(Protocol):
    """One way to hand messages over. `send` never raises: every fault is an Outcome."""

    channel: str
    name: str
    capabilities: Capabilities

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome: ...

    async def check(self) -> Health: ...

    async def close(self) -> None: ...


@runtime_checkable
class Records(Protocol):
    """A provider whose own records can be read."""

    capabilities: Capabilities

    async def sent_to(self, address: str, *, limit: int = ...) -> Sequence[Listed]:
        """Our messages to one address, newest first, at most `limit`. Raises ProviderDown when it cannot be read."""
        ...


@runtime_checkable
class Readable(Protocol):
    """A provider of which one message can be asked for by its id."""

    async def read(self, provider_message_id: str) -> Listed | None:
        """The message as their records show it; None when they have none such. Raises ProviderDown."""
        ...


@dataclass(frozen=True)
class Heard:
    """A text that somebody sent to us, as the provider's own records show it. `at` is when the provider had it.

    `media`: how many pictures and the like came with it; `Inbox.media_of` says which.
    """

    sid: str
    sender: str
    body: str
    at: datetime
    media: int = 0


@runtime_checkable
class Inbox(Protocol):
    """A provider whose records show what was sent to us."""

    async def received(self, *, since: datetime) -> Sequence[Heard]:
        """Texts to our senders since about then, in any order. Raises ProviderDown when the list cannot be read."""
        ...

    async def media_of(self, sid: str) -> Sequence[Medium]:
        """What came with a text: kinds and addresses, never the media themselves. Raises ProviderDown."""
        ...


@dataclass(frozen=True)
class Examined:
    """One thing about how a provider is set up. `ok` None: it could not be found out, or is only worth knowing."""

    ok: bool | None
    detail: str


@runtime_checkable
class Examinable(Protocol):
    """A provider that can say before the first send whether it is set up as we need it."""

    async def examine(self, inbound_url: str) -> dict[str, Examined]:
        """By name: `sender` (whether we may send as ourselves), `inbound` (whether answers come to that address)."""
        ...

    def ahead(self) -> timedelta | None:
        """The provider's clock minus this process's, as of its last answer; None where it tells no time."""
        ...


@dataclass(frozen=True)
class Fetched:
    """A medium itself."""

    content: bytes


class NoMedium(Exception):
    """There is no such medium, or none that may be fetched; the message says why."""


@runtime_checkable
class MediaStore(Protocol):
    """A provider that keeps what came with a text."""

    async def medium(self, url: str) -> Fetched:
        """What is at this address of theirs. Raises NoMedium, and ProviderDown when it may come another time."""
        ...


class ProviderDown(Exception):
    """The provider's records cannot be read right now."""


@dataclass(frozen=True)
class Providers:
    """Every provider that is set up here, by channel."""

    by_channel: dict[str, Provider] = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(sorted(self.by_channel))

    @property
    def without_records(self) -> tuple[str, ...]:
        """Channels whose providers keep no records: there, what has not begun when a lease ends has sent nothing."""
        return tuple(name for name in self.channels if not self.by_channel[name].capabilities.lists_messages)

    async def close(self) -> None:
        for provider in self.by_channel.values():
            await provider.close()


@dataclass(frozen=True)
class TwilioConfig:
    """A Twilio account, and who its texts come from: an E.164 number or a Messaging Service (`MG...`).

    `voice_sender` is the number that calls come from; None: there are no calls.
    """

    account_sid: str
    auth_token: str
    sender: str
    api_base_url: str
    voice_sender: str | None = None


@dataclass(frozen=True)
class SmtpConfig:
    """A mail server. `tls` is true for smtps; otherwise STARTTLS is used when offered.

    `plus_address`: each mail asks for its answer at an address of its own, `name+TOKEN@example.com`.
    """

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None
    sender: str
    reply_to: str | None
    plus_address: bool = False


@dataclass(frozen=True)
class ImapConfig:
    """The mailbox in which answers to mail and returned mail arrive. `tls` is true for imaps."""

    host: str
    port: int
    tls: bool
    username: str
    password: str
    folder: str = "INBOX"


@dataclass(frozen=True)
class Place:
    """How far a mailbox was read: every mail up to `uid`, as long as its `validity` (UIDVALIDITY) is this one."""

    validity: int
    uid: int


@dataclass(frozen=True)
class Letter:
    """One mail as the mailbox has it: `size` bytes long, of which `raw` are the first, at most what was asked for.

    `at` is when the mail server had it.
    """

    uid: int
    size: int
    at: datetime
    raw: bytes


@dataclass(frozen=True)
class Post:
    """What is new in a mailbox, the oldest first. `more`: there is more than was asked for."""

    validity: int
    letters: tuple[Letter, ...]
    more: bool = False


class Mailbox(Protocol):
    """A mailbox that is read and never changed."""

    @property
    def name(self) -> str:
        """Stands for server, user and folder, and tells none of them."""
        ...

    async def new(self, after: Place | None, *, since: datetime, limit: int, most_bytes: int) -> Post:
        """Mails behind this place (all of them when the mailbox is another one by now) that are no older than the day
        of `since`. Raises MailboxDown."""
        ...

    async def check(self) -> Health: ...

    async def close(self) -> None: ...


class MailboxDown(Exception):
    """The mailbox cannot be read right now: what is wrong, in words for the operator, without any secret.

    `misconfigured`: the server is there, and refuses what was set up here.
    """

    def __init__(self, detail: str, *, misconfigured: bool = False) -> None:
        super().__init__(detail)
        self.misconfigured = misconfigured
