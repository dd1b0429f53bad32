"""The calls that the carrier remembers: each one's course, and what was said and pressed in it."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from app.simulator.fates import CALL_BY_KEY, CallFate
from app.simulator.journal import Event

FINAL = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
EVENT_OF = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
"""Which event, as a customer asks for it, a status is reported under; every final one under `completed`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing in a call: `says` our customer's words, `key` what was pressed, `end` why it ended."""

    kind: str
    text: str
    at: float
    language: str = ""


@dataclass(slots=True, eq=False)
class Call:
    """One call of ours. `status` is what the API shows; `course` every status with its time, in order."""

    sid: str
    to: str
    sender: str
    url: str
    callback: str | None
    events: tuple[str, ...]
    timeout: float
    detect: str
    created: float
    updated: float
    fate: CallFate
    ordinal: int = 0
    status: str = "queued"
    answered_by: str = ""
    picked_up: float | None = None
    ended: float | None = None
    by_hand: bool = False
    course: list[tuple[str, float]] = field(default_factory=list)
    receipts: dict[int, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    @property
    def pressed(self) -> list[str]:
        """The keys that were pressed, in order."""
        return [entry.text for entry in self.heard if entry.kind == "key"]

    @property
    def is_open(self) -> bool:
        return self.status not in FINAL

    def reported(self, status: str) -> bool:
        """Whether the customer asked to be told of this status."""
        return bool(self.callback) and EVENT_OF.get(status, "completed") in self.events


class CallBook:
    """Every call, by its SID and by its number; changed by the journal's events alone."""

    def __init__(self) -> None:
        self.by_sid: dict[str, Call] = {}
        self.listing: list[Call] = []
        self.by_to: defaultdict[str, list[Call]] = defaultdict(list)
        self.copies: Counter[tuple[str, str]] = Counter()
        self.receipts: Counter[str] = Counter()

    def apply(self, event: Event) -> None:
        """One event whose name begins with `call`."""
        getattr(self, "_on_" + event["e"])(event)

    def _on_call(self, event: Event) -> None:
        call = Call(
            sid=event["sid"], to=event["to"], sender=event["from"], url=event["url"], callback=event["cb"],
            events=tuple(event["ev"]), timeout=event["t"], detect=event["md"], created=event["at"],
            updated=event["at"], fate=CALL_BY_KEY[event["f"]], ordinal=event["n"],
        )  # fmt: skip
        self.by_sid[call.sid] = call
        self.listing.append(call)
        self.by_to[call.to].append(call)
        self.copies[call.to, call.url] += 1

    def _on_call_st(self, event: Event) -> None:
        call = self.by_sid[event["sid"]]
        status, at = event["s"], event["at"]
        call.course.append((status, at))
        call.updated = at
        if status != "initiated":  # a word of the reports alone; the resource says queued
            call.status = status
        if status == "in-progress":
            call.picked_up, call.answered_by, call.by_hand = at, event["by"], event["hand"]
        if status in FINAL:
            call.ended = at
            if event.get("why"):
                call.heard.append(Heard("end", event["why"], at))

    def _on_call_rc(self, event: Event) -> None:
        self.by_sid[event["sid"]].receipts[event["i"]] = event["r"]
        self.receipts[event["r"]] += 1

    def _on_call_said(self, event: Event) -> None:
        self.by_sid[event["sid"]].heard.append(Heard("says", event["text"], event["at"], event["lang"]))

    def _on_call_key(self, event: Event) -> None:
        self.by_sid[event["sid"]].heard.append(Heard("key", event["key"], event["at"]))
