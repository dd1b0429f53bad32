"""Everything the carrier remembers. Each change is one journal event; replaying the events gives the same world."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from app.simulator.calls import CallBook
from app.simulator.config import SimulatorConfig, SimulatorError
from app.simulator.fates import BY_KEY, Fate, MailFate, fate_of, mail_fate_of
from app.simulator.journal import Event, Journal
from app.simulator.plan import Plan
from app.simulator.scheduler import Scheduler
from app.simulator.wire import segments

STAFF_LINK = re.compile(r"/a/([0-9A-Za-z_.~-]+)")
CODE = re.compile(r"\bCode ([A-Z][0-9A-Z]{1,3})\b")
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "UNSTOP"})
CHOICES = frozenset({"ok", "need_help", "cannot"})
HELP_WORDS = frozenset({"HELP", "INFO"})


@dataclass(slots=True, eq=False)
class Message:
    """One text, either way. `body` is what the API shows (empty once redacted), `text` what the phone shows."""

    sid: str
    direction: str
    to: str
    sender: str
    body: str
    text: str
    status: str
    created: float
    updated: float
    segments: int
    sent: float | None = None
    error: int = 0
    service: str | None = None
    callback: str | None = None
    fate: Fate = BY_KEY["fine"]
    ordinal: int = 0
    moved: int = 0
    receipts: dict[int, str] = field(default_factory=dict)
    plan: Plan | None = None
    outbox: list[int] = field(default_factory=list)
    posting: bool = False
    tries: int = 0
    answered: str = ""  # the digit, or "page"; empty = not yet
    about: str = ""
    step: int = -1
    opt: str = ""
    http: int | None = None
    replies: list[str] = field(default_factory=list)
    listed: bool = True
    media: tuple[str, ...] = ()  # content types of what came with it

    @property
    def code(self) -> str | None:
        """The reply code the text bears, such as K7."""
        found = CODE.findall(self.text)
        return found[-1] if found else None

    @property
    def asks(self) -> bool:
        """Whether the text asks its reader for an answer."""
        return self.direction == "outbound-api" and (self.code is not None or "Reply 1" in self.text)


@dataclass(slots=True, eq=False)
class Phone:
    """One person's phone: its texts in order, and what the carrier knows about it."""

    number: str
    fate: Fate
    texts: list[Message] = field(default_factory=list)
    refused: list[tuple[float, int]] = field(default_factory=list)
    opted_out: bool = False
    outbound: int = 0
    tries: int = 0
    unread: int = 0
    last_at: float = 0.0


@dataclass(slots=True, eq=False)
class Email:
    """One stored mail for one address."""

    id: str
    to: str
    sender: str
    subject: str
    from_header: str
    reply_to: str
    message_id: str
    text: str
    html: str
    at: float
    answer: str = ""
    opened: bool = False

    @property
    def asks(self) -> bool:
        """Whether its reader is to answer on its page. An all-clear only says where to read on."""
        return "Read it here:" not in self.text


class World:
    """The carrier's memory. `record` writes an event and applies it; reading is through the public attributes."""

    def __init__(self, config: SimulatorConfig, now: Callable[[], float]) -> None:
        self.config = config
        self.now = now
        self.address = f"http://{config.host}:{config.http_port}"
        """Where its API answers; right once the port is known."""
        self.journal = Journal(config.journal)
        self.scheduler = Scheduler(now)
        self._forget()
        try:
            for event in self.journal.replay():
                self._apply(event)
        except (KeyError, AttributeError, TypeError):
            self.journal.close()
            raise SimulatorError(
                f"The simulator's journal {config.journal} was written by another version. "
                "Move the file away to start anew."
            ) from None
        except BaseException:
            self.journal.close()
            raise

    def _forget(self) -> None:
        self.messages: dict[str, Message] = {}
        self.listing: list[Message] = []
        self.by_to: defaultdict[str, list[Message]] = defaultdict(list)
        self.phones: dict[str, Phone] = {}
        self.emails: dict[str, Email] = {}
        self.mailboxes: defaultdict[str, list[Email]] = defaultdict(list)
        self.mail_tries: Counter[str] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()
        self.mail_copies: Counter[tuple[str, str]] = Counter()
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self.acted: set[tuple[str, int]] = set()
        self.calls = CallBook()

    def record(self, event: Event) -> None:
        """Make one change: durable first, then visible. Raises OSError when it cannot be written."""
        self.journal.append(event)
        self._apply(event)

    def reset(self) -> None:
        """Forget every text, mail and opt-out, in memory and on disk."""
        self.journal.clear()
        self.scheduler.clear()
        self._forget()

    def phone(self, number: str) -> Phone:
        """The phone with that E.164 number; a new one when it was never heard of."""
        found = self.phones.get(number)
        if found is None:
            fate = fate_of(number, auto=self.config.auto, seed=self.config.seed)
            found = self.phones[number] = Phone(number, fate, opted_out=fate.key == "opted_out")
        return found

    def mail_fate(self, address: str) -> MailFate:
        """The fate of a mail address."""
        return mail_fate_of(address, auto=self.config.auto, seed=self.config.seed)

    def opt_word(self, phone: Phone, body: str) -> str:
        """`STOP`, `START` or `HELP` when the whole text is such a word, else empty.

        YES opts in only where it has something to undo, as on Twilio's toll-free senders.
        """
        word = body.strip().upper()
        if word in STOP_WORDS:
            return "STOP"
        if word in START_WORDS or (word == "YES" and phone.opted_out):
            return "START"
        return "HELP" if word in HELP_WORDS else ""

    # What each event means. The names are those in the journal's "e".

    def _apply(self, event: Event) -> None:
        if event["e"].startswith("call"):
            self.calls.apply(event)
            if event["e"] == "call":
                self.phone(event["to"]).last_at = event["at"]
        else:
            getattr(self, "_on_" + event["e"])(event)

    def _on_out(self, event: Event) -> None:
        body, to = event["body"], event["to"]
        message = Message(
            sid=event["sid"], direction="outbound-api", to=to, sender=event["from"], body=body, text=body,
            status="accepted" if event["mg"] else "queued", created=event["at"], updated=event["at"],
            segments=segments(body), service=event["mg"], callback=event["cb"], fate=BY_KEY[event["f"]],
            ordinal=event["n"],
        )  # fmt: skip
        phone = self.phone(to)
        phone.outbound += 1
        self._file(message, phone)
        self.counts["accepted"] += 1
        self.copies[to, self.copy_key(body)] += 1

    @staticmethod
    def copy_key(body: str) -> str:
        """What makes two texts or mails to one person the same: the staff link, or without one the words."""
        link = STAFF_LINK.search(body)
        return link[0] if link else body

    def _on_st(self, event: Event) -> None:
        message = self.messages[event["sid"]]
        message.moved = event["i"] + 1
        message.status, message.error, message.updated = event["s"], event["c"], event["at"]
        if message.status == "sent":
            message.sent = event["at"]
        elif message.status == "delivered":
            self.phone(message.to).unread += 1

    def _on_cx(self, event: Event) -> None:
        message = self.messages[event["sid"]]
        message.status, message.updated = "canceled", event["at"]

    def _on_rd(self, event: Event) -> None:
        message = self.messages[event["sid"]]
        message.body, message.updated = "", event["at"]

    def _on_rc(self, event: Event) -> None:
        self.messages[event["sid"]].receipts[event["i"]] = event["r"]
        self.counts["receipt_" + event["r"]] += 1

    def _on_in(self, event: Event) -> None:
        at = event["at"]
        message = Message(
            sid=event["sid"], direction="inbound", to=self.config.sender, sender=event["from"], body=event["body"],
            text=event["body"], status="received", created=at, updated=at, sent=at, segments=segments(event["body"]),
            about=event["for"], step=event["step"], opt=event["opt"], media=tuple(event.get("media", ())),
        )  # fmt: skip
        phone = self.phone(message.sender)
        self._file(message, phone)
        phone.unread = 0
        if event["opt"] in ("STOP", "START"):
            phone.opted_out = event["opt"] == "STOP"
        self.counts["inbound"] += 1
        self.acted.add((event["for"], event["step"]))
        if event["done"] and (asked := self.messages.get(event["done"])):
            for text in phone.texts:
                if text is asked or (asked.code and text.code == asked.code):
                    text.answered = event["body"].strip()[:1]

    def _on_ina(self, event: Event) -> None:
        incoming = self.messages[event["sid"]]
        incoming.http = event["http"]
        phone = self.phone(incoming.sender)
        for number, reply in enumerate(event["replies"]):
            incoming.replies.append(reply["body"])
            self._file(
                Message(
                    sid=reply["sid"], direction="outbound-reply", to=incoming.sender, sender=incoming.to,
                    body=reply["body"], text=reply["body"], status="delivered", created=event["at"],
                    updated=event["at"], sent=event["at"], segments=segments(reply["body"]),
                    listed=number >= event["canned"],
                ),
                phone,
            )  # fmt: skip
        self.counts["inbound_answered" if 200 <= event["http"] < 300 else "inbound_failed"] += 1

    def _on_no(self, event: Event) -> None:
        phone = self.phone(event["to"])
        phone.refused.append((event["at"], event["c"]))
        phone.last_at = event["at"]
        self.refusals[event["c"]] += 1

    def _on_try(self, event: Event) -> None:
        self.phone(event["to"]).tries += 1

    def _on_act(self, event: Event) -> None:
        self.acted.add((event["id"], event["step"]))
        if mail := self.emails.get(event["id"]):
            mail.opened, mail.answer = True, event["r"]
        elif (message := self.messages.get(event["id"])) and event["r"] in CHOICES:
            message.answered = "page"

    def _on_mail(self, event: Event) -> None:
        mail = Email(
            id=event["id"], to=event["to"], sender=event["from"], subject=event["subject"],
            from_header=event["from_header"], reply_to=event["reply_to"], message_id=event["message_id"],
            text=event["text"], html=event["html"], at=event["at"],
        )  # fmt: skip
        self.emails[mail.id] = mail
        self.mailboxes[mail.to.lower()].append(mail)
        self.counts["emails"] += 1
        self.mail_copies[mail.to.lower(), self.copy_key(mail.text or mail.html)] += 1

    def _on_mtry(self, event: Event) -> None:
        self.mail_tries[event["to"].lower()] += 1

    def _file(self, message: Message, phone: Phone) -> None:
        self.messages[message.sid] = message
        if message.listed:
            self.listing.append(message)
            self.by_to[message.to].append(message)
        phone.texts.append(message)
        phone.last_at = message.created
