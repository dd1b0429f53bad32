"""What happens to a text or a mail, decided by the number or address alone, so that every run can be repeated.

One table for numbers, one for mail. A number in the North American area code 500 (where Twilio's own magic numbers
live) takes the fate whose four digits it ends with, whatever its exchange: +1 500 555 1004 and +1 500 812 1004 both
need help. Under `--auto` every other number draws one fate from its hash and the weights; otherwise its texts are
simply delivered and nobody answers. docs/simulator.md shows both tables; a test keeps them the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from struct import unpack
from typing import Literal, TypeVar

Handover = Literal[
    "normal", "hang_accepted", "error_accepted", "cut_accepted", "cut", "unavailable", "busy", "receipt_first"
]
Receipts = Literal["normal", "slow", "shuffled", "twice", "none", "strange"]
Does = Literal["digit", "digit_with_code", "text", "report", "worry", "link"]

SOON = (5.0, 240.0)
LATE = (300.0, 1500.0)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person does after a text arrived, `after` seconds (low, high) later, before `speed`."""

    does: Does
    say: str = ""
    after: tuple[float, float] = SOON


@dataclass(frozen=True, slots=True)
class Fate:
    """One row of the table. `weight` counts thousandths of the ordinary numbers under `--auto`."""

    key: str
    digits: str
    shown: str
    weight: int = 0
    refuse: int = 0
    handover: Handover = "normal"
    first: int = 0  # how many first tries meet `handover`; 0 means every one
    end: str = "delivered"
    error: int = 0
    receipts: Receipts = "normal"
    acts: tuple[Act, ...] = ()


OK = (Act("digit", "1"),)

FATES: tuple[Fate, ...] = (
    # Twilio's own magic numbers, by the same digits.
    Fate("invalid", "0001", "refused at once, 21211: not a valid number", 10, refuse=21211),
    Fate("unroutable", "0002", "refused at once, 21612: no route to this number", refuse=21612),
    Fate("no_region", "0003", "refused at once, 21408: country not switched on for the account", refuse=21408),
    Fate("opted_out", "0004", "refused at once, 21610: has opted out; START from the phone opts in", 10, refuse=21610),
    Fate("fine", "0006", "accepted and delivered; nobody answers"),
    Fate("queue_full", "0008", "refused at once, 21611: the sender's queue is full", refuse=21611),
    Fate("landline_refused", "0009", "refused at once, 21614: a landline", 5, refuse=21614),
    # People.
    Fate("ok", "1001", "answers 1", 600, acts=OK),
    Fate("ok_code", "1002", "answers 1 with its code, asked or not", acts=(Act("digit_with_code", "1"),)),
    Fate("late", "1003", "answers 1 late (5 to 25 minutes)", 100, acts=(Act("digit", "1", LATE),)),
    Fate("need_help", "1004", "answers 2: needs help", 25, acts=(Act("digit", "2"),)),
    Fate(
        "need_help_words", "1005", "answers 2, then says why in a text of its own", 15,
        acts=(Act("digit", "2"), Act("worry", after=(250.0, 330.0))),
    ),
    Fate("cannot", "1006", "answers 3: cannot", 20, acts=(Act("digit", "3"),)),
    Fate("never", "1007", "reads it and never answers", 80),
    Fate("report", "1008", "writes a field report and nothing else", 15, acts=(Act("report"),)),
    Fate("says_help", "1009", "texts HELP", acts=(Act("text", "HELP"),)),
    Fate("says_stop", "1010", "texts STOP; everything later is refused with 21610", acts=(Act("text", "STOP"),)),
    Fate(
        "link", "1011", "opens the link in the text and presses the button on the page", 60,
        acts=(Act("link", "ok"),),
    ),
    Fate(
        "report_ok", "1012", "writes a field report, then answers 1", 15,
        acts=(Act("report"), Act("digit", "1", (250.0, 330.0))),
    ),
    Fate(
        "changes", "1013", "answers 1, later changes it to 2",
        acts=(Act("digit", "1"), Act("digit_with_code", "2", (250.0, 400.0))),
    ),
    Fate("says_yes_later", "1014", "texts: yes in 2 hours", acts=(Act("text", "yes in 2 hours"),)),
    # Accepted, and then it fails.
    Fate("queue_overflow", "2001", "accepted, then failed with 30001: queue overflow", end="failed", error=30001),
    Fate(
        "unreachable", "2003", "accepted, then undelivered with 30003: handset unreachable", 10,
        end="undelivered", error=30003,
    ),
    Fate(
        "unknown_number", "2005", "accepted, then undelivered with 30005: unknown number",
        end="undelivered", error=30005,
    ),
    Fate(
        "landline_later", "2006", "accepted, then undelivered with 30006: a landline", 5,
        end="undelivered", error=30006,
    ),
    Fate(
        "blocked", "2007", "accepted, then undelivered with 30007: filtered by the carrier",
        end="undelivered", error=30007,
    ),
    Fate(
        "unknown_error", "2008", "accepted, then undelivered with 30008: unknown error",
        end="undelivered", error=30008,
    ),
    Fate("expired", "2036", "accepted, then failed with 30036: validity expired", end="failed", error=30036),
    # Receipts (status callbacks). The person behind the phone answers 1.
    Fate("slow_receipts", "3001", "receipts come 20 to 90 seconds late; answers 1", 10, receipts="slow", acts=OK),
    Fate("shuffled_receipts", "3002", "receipts come in reverse order; answers 1", 10, receipts="shuffled", acts=OK),
    Fate("double_receipts", "3003", "every receipt comes twice; answers 1", 10, receipts="twice", acts=OK),
    Fate("no_receipts", "3004", "delivered, but no receipt ever comes; answers 1", receipts="none", acts=OK),
    Fate(
        "early_receipt", "3005", "the first receipt comes before the answer to the send; answers 1",
        handover="receipt_first", acts=OK,
    ),
    Fate(
        "strange_receipt", "3006", "one receipt bears a status nobody knows (rerouted); answers 1",
        receipts="strange", acts=OK,
    ),
    # The wire between Muster and the carrier. The person behind the phone answers 1.
    Fate("hangs", "4001", "accepted, but the answer to the send never comes (60 s)", handover="hang_accepted", acts=OK),
    Fate("error_accepted", "4002", "accepted, but the send is answered with 500", handover="error_accepted", acts=OK),
    Fate("unavailable", "4003", "not accepted: always 503", handover="unavailable"),
    Fate("busy_twice", "4004", "429 with 20429 twice, then accepted", handover="busy", first=2, acts=OK),
    Fate(
        "cut_accepted", "4005", "accepted, but the connection is cut before the answer",
        handover="cut_accepted", acts=OK,
    ),
    Fate("cut", "4006", "not accepted: the connection is always cut", handover="cut"),
    Fate(
        "unavailable_twice", "4007", "503 twice without accepting, then accepted",
        handover="unavailable", first=2, acts=OK,
    ),
    Fate(
        "cut_once", "4008", "the connection is cut once without accepting, then accepted",
        handover="cut", first=1, acts=OK,
    ),
    Fate("hangs_once", "4009", "as 4001, but only the first time", handover="hang_accepted", first=1, acts=OK),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallFate:
    """One row of the table of calls. `keys`: what a person presses, one at each question; only under `--auto`."""

    key: str
    digits: str
    shown: str
    weight: int = 0
    refuse: int = 0
    line: Literal["person", "machine", "fax", "busy", "fails"] = "person"
    picks_up: bool = True
    keys: tuple[str, ...] = ()
    hangs_up: bool = False
    answered_by: str = "human"


CALL_FATES: tuple[CallFate, ...] = (
    CallFate("call_ok", "5001", "picks up and presses 1", 450, keys=("1",)),
    CallFate("call_help", "5002", "picks up and presses 2: needs help", 40, keys=("2",)),
    CallFate("call_cannot", "5003", "picks up and presses 3: cannot", 30, keys=("3",)),
    CallFate("call_hangs_up", "5004", "picks up and hangs up at the first words", 60, hangs_up=True),
    CallFate("call_listens", "5005", "picks up, hears everything and presses nothing", 60),
    CallFate("call_busy", "5006", "the line is busy", 40, line="busy"),
    CallFate("call_no_answer", "5007", "rings, and nobody picks up", 150, picks_up=False),
    CallFate("call_machine", "5008", "an answering machine takes the call", 130, line="machine"),
    CallFate("call_repeats", "5009", "picks up, presses star to hear it again, then 1", 20, keys=("*", "1")),
    CallFate("call_wrong_key", "5010", "picks up, presses 7, then 1", 10, keys=("7", "1")),
    CallFate("call_fails", "5011", "accepted, then failed: no line there", line="fails"),
    CallFate(
        "call_unsure",
        "5012",
        "picks up without a word, so it is not known who did; presses 1",
        10,
        keys=("1",),
        answered_by="unknown",
    ),
    CallFate("call_no_region", "5013", "refused at once, 21215: country not switched on for calls", refuse=21215),
    CallFate("call_fax", "5014", "a fax machine takes the call", line="fax"),
    CallFate("call_changes", "5015", "picks up, presses 1, and then 2 in the same call", keys=("1", "2")),
)

CALL_BY_KEY = {fate.key: fate for fate in CALL_FATES}
CALL_BY_DIGITS = {fate.digits: fate for fate in CALL_FATES}
BY_KEY = {fate.key: fate for fate in FATES}
BY_DIGITS = {fate.digits: fate for fate in FATES}
MAGIC = re.compile(r"\+1500[2-9]\d{2}(\d{4})\Z")


@dataclass(frozen=True, slots=True)
class MailFate:
    """One row of the mail table: chosen by the local part (`bounce@`, `bounce+7@`), else drawn under `--auto`."""

    key: str
    shown: str
    weight: int = 0
    answer: str = ""


MAIL_FATES: tuple[MailFate, ...] = (
    MailFate("bounce", "550 at RCPT: no such mailbox"),
    MailFate("later", "451 the first time, accepted after that"),
    MailFate("hang", "stored, but DATA is never answered"),
    MailFate("cut", "stored, but the connection is cut before the answer"),
    MailFate("ok", "opens the page in the mail and presses OK", 550, "ok"),
    MailFate("help", "opens the page in the mail and asks for help", 40, "need_help"),
    MailFate("silent", "accepted; nobody opens it", 410),
)
MAIL_BY_KEY = {fate.key: fate for fate in MAIL_FATES}

REPORTS = (
    "tills 3 and 4 also down",
    "Self checkout is back, staffed tills still dead",
    "Queue is out of the door, taking cash only",
    "Gate 12 screens are blank, calling passengers by voice",
    "Card reader works if you restart it, then freezes again after two sales",
    "Bag drop belt stopped, bags are piling up at desk 9",
    "Customers ask if their card was charged twice. What do we say",
    "We have no paper slips left at this site",
    "Phones work, booking screen does not",
    "Everything looks normal here so far",
    "Back office PC shows a blue screen and restarts over and over",
    "Security doors on level 2 do not open with the badge",
)
WORRIES = (
    "Nobody here knows how the paper slips work",
    "I am alone with about 60 people waiting, please send somebody",
    "A customer is getting aggressive at the desk",
    "The safe does not open and I have no change left",
    "I cannot reach my manager",
)


Row = TypeVar("Row", Fate, MailFate, CallFate)


def chances(seed: int, *parts: object) -> tuple[float, ...]:
    """Eight numbers in [0, 1) that depend on nothing but the arguments: the same in every run and process."""
    digest = blake2b(":".join((str(seed), *map(str, parts))).encode(), digest_size=32).digest()
    return tuple(n / 4294967296 for n in unpack(">8I", digest))


def _drawn(rows: tuple[Row, ...], chance: float, otherwise: Row) -> Row:
    mark = chance * 1000
    for row in rows:
        mark -= row.weight
        if mark < 0:
            return row
    return otherwise


@lru_cache(maxsize=200_000)
def fate_of(number: str, *, auto: bool, seed: int) -> Fate:
    """The fate of an E.164 number; ordinary numbers outside `auto` are `fine`."""
    if magic := MAGIC.match(number):
        if magic[1] in CALL_BY_DIGITS:
            return BY_KEY["fine"]
        if fate := BY_DIGITS.get(magic[1]):
            return fate
    return _drawn(FATES, chances(seed, "fate", number)[0], BY_KEY["fine"]) if auto else BY_KEY["fine"]


@lru_cache(maxsize=200_000)
def call_fate_of(number: str, *, auto: bool, seed: int) -> CallFate:
    """What becomes of a call to a number. Those whose digits decide about texts let it ring, as ordinary ones do
    outside `auto`."""
    rings = CALL_BY_KEY["call_no_answer"]
    if magic := MAGIC.match(number):
        if fate := CALL_BY_DIGITS.get(magic[1]):
            return fate
        if magic[1] in BY_DIGITS:
            return rings
    return _drawn(CALL_FATES, chances(seed, "call", number)[0], rings) if auto else rings


@lru_cache(maxsize=200_000)
def mail_fate_of(address: str, *, auto: bool, seed: int) -> MailFate:
    """The fate of a mail address; ordinary addresses outside `auto` are `silent`."""
    local = address.lower().rpartition("@")[0].partition("+")[0]
    if fate := MAIL_BY_KEY.get(local):
        return fate
    silent = MAIL_BY_KEY["silent"]
    return _drawn(MAIL_FATES, chances(seed, "mail", address.lower())[0], silent) if auto else silent


def table() -> Iterator[tuple[str, str, str, str]]:
    """The rows as documentation shows them, texts then calls: digits, name, what happens, share of others in %."""
    rows: tuple[Fate | CallFate, ...] = (*FATES, *CALL_FATES)
    for fate in rows:
        yield fate.digits, fate.key, fate.shown, f"{fate.weight / 10:g}" if fate.weight else ""
