"""One small incident, told through the real services with a clock that moves only when told, so every figure is known.

Seven people. Bulletin 1 leaves at 03:03:00, bulletin 2 at 03:25:00, the all-clear (3) at 03:41:00; a fourth stays a
draft. Times are 2 March 2026, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from app.access import service as access
from app.access.matrix import Actor
from app.bulletins import service as bulletins
from app.channels.port import Capabilities, Health, Kind, Outcome, Outgoing, Providers, StillOurs
from app.deliveries import sending
from app.deliveries.callbacks import Received, record_all
from app.deliveries.dispatcher import Dispatcher
from app.deliveries.responses import Act
from app.directory import service as directory
from app.escalations.timer import Timer
from app.incidents import service as incidents
from app.kernel.clock import ManualClock
from app.kernel.db import rows
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.replies import behalf, help_requests
from app.replies import service as replies
from app.replies.models import Inbound
from tests.playbooks.sample import SAMPLE

EVIL = '=HYPERLINK("http://evil.test","x|y") `tick` <script>alert(1)</script>'
SHARED = "+14155550199"
TITLE = "A sample outage: North|wind `x` <b>"
FACTS = {"vendor": "North|wind `x` <b>", "kind": "power", "hit": 12, "next_update": "2026-03-02T03:23:00Z"}
PEOPLE = """\
id,name,department,site,mobile,phone,email
p1,Ana Ruiz,Store Operations,Store 1,+14155550101,,ana@example.com
p2,Ben Ode,Store Operations,Store 1,+14155550102,,ben@example.com
p3,Cleo Marsh,Store Operations,Store 2,+14155550103,+14155550199,cleo@example.com
p4,{evil},Store Operations,Store 2,,,
p5,Eve Stone,IT,Office,+14155550105,,
p6,Finn Adair,IT,Office,+14155550106,,finn@example.com
p7,Gus Lind,IT,Office,+14155550107,+14155550199,gus@example.com
"""


def at(clock: str) -> datetime:
    """`03:05:10` on the day of the story."""
    return datetime.fromisoformat(f"2026-03-02T{clock}+00:00").astimezone(UTC)


@dataclass
class Carrier:
    """A provider that takes everything, but for the numbers in `refusals`."""

    channel: str
    name: str = "story"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(reports_status=True, lists_messages=False))
    refusals: dict[str, Outcome] = field(default_factory=dict)
    taken: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Address -> (attempt, message id) of the last message taken for it."""

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome:
        if not still_ours():
            return Outcome(Kind.FENCED)
        if refusal := self.refusals.get(message.to):
            return refusal
        sid = f"{self.channel}-{message.attempt_id}"
        self.taken[message.to] = (message.attempt_id, sid)
        return Outcome(Kind.ACCEPTED, provider_message_id=sid)

    async def check(self) -> Health:
        return Health(True, "here")

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Teller:
    """Does one thing after another, each at its time."""

    house: House
    clock: ManualClock
    actor: Actor = field(default_factory=lambda: Actor(0, "", ""))
    key: str = ""
    carrier: Carrier = field(default_factory=lambda: Carrier("sms"))
    mail: Carrier = field(default_factory=lambda: Carrier("email"))
    texts_in: int = 0

    def now(self, clock: str) -> None:
        ahead = (at(clock) - self.clock.now()).total_seconds()
        assert ahead >= 0, f"{clock} is in the past of the story"
        self.clock.advance(seconds=ahead)

    async def begin(self, people: str, *, severity: str = "SEV2", drill: bool = False) -> None:
        playbooks.forget_folder(self.house.playbooks_dir)
        await playbooks.sync(self.house)
        await directory.import_people(self.house.db, self.clock, people.encode(), country="US", actor="operator")
        async with self.house.db.begin() as session:
            account = await access.create_account(session, self.clock, name="Kim Commander", role="commander")
            self.actor = Actor(account, "Kim Commander", "commander")
            shown = await incidents.declare(
                session,
                self.house,
                self.actor,
                slug="sample",
                severity=severity,
                title=TITLE,
                facts=FACTS,
                drill=drill,
            )
            self.key = shown["key"]

    async def change(self, **given: Any) -> None:
        wanted = {"status": None, "severity": None, "commander": None, "accept_open_help": False} | given
        async with self.house.db.begin() as session:
            await incidents.change(session, self.house, self.actor, self.key, **wanted)

    async def draft(self, stage: str, **facts: Any) -> int:
        async with self.house.db.begin() as session:
            shown = await bulletins.draft(
                session, self.house, self.actor, self.key, stage=stage, facts=facts, audiences=None
            )
            return int(shown["number"])

    async def approve(self, number: int) -> None:
        async with self.house.db.begin() as session:
            await bulletins.approve(session, self.house, self.actor, self.key, number, accept_warnings=True)

    async def send(self, number: int) -> None:
        async with self.house.db.begin() as session:
            await sending.send(session, self.house, self.actor, self.key, number, confirm=True)

    async def hand_over(self) -> None:
        """Everything that is due goes to the providers."""
        providers = Providers({"sms": self.carrier, "email": self.mail})
        await Dispatcher(self.house, providers, "story").drain()

    async def receipt(self, number: str, status: str, code: int | None = None) -> None:
        """A status for the last text to this number."""
        attempt, sid = self.carrier.taken[number]
        async with self.house.db.begin() as session:
            await record_all(session, self.house, [Received(attempt, sid, status, code)])

    async def step(self) -> None:
        await Timer(self.house).step()

    async def answer(self, person: str, number: int, response: str, via: str) -> None:
        async with self.house.db.begin() as session:
            found = await rows(
                session,
                """SELECT d.id, p.id AS person FROM delivery d JOIN person p ON p.id = d.person_id
                   JOIN bulletin b ON b.id = d.bulletin_id WHERE p.employee_id = :person AND b.number = :number""",
                {"person": person, "number": number},
            )
            act = Act(response, via, self.clock.now())
            await replies.take_answer(session, self.house, found[0]["id"], act, actor=f"person:{found[0]['person']}")

    async def text(self, number: str, body: str) -> None:
        self.texts_in += 1
        sid = f"IN{self.texts_in:06d}"
        async with self.house.db.begin() as session:
            await replies.receive(session, self.house, Inbound(sid, number, body))


def telling(house: House, clock: ManualClock, folder: Path, *, zone: str = "Europe/Berlin") -> Teller:
    """A teller on this house, with the sample playbook."""
    (folder / "sample.yaml").write_text(SAMPLE)
    return Teller(replace(house, playbooks_dir=folder, zone=ZoneInfo(zone)), clock)


async def begun(house: House, clock: ManualClock, folder: Path) -> Teller:
    """The story up to 03:10:00: bulletin 1, what came of it, and its answers."""
    story = telling(house, clock, folder)
    await story.begin(PEOPLE.format(evil='"' + EVIL.replace('"', '""') + '"'))
    await _first_bulletin(story)
    await _answers(story)
    return story


async def whole(house: House, clock: ManualClock, folder: Path) -> Teller:
    """The story from the declaration at 03:00:00 to five minutes after the incident was closed."""
    story = await begun(house, clock, folder)
    await go_on(story)
    await finish(story)
    return story


async def _first_bulletin(story: Teller) -> None:
    story.now("03:01:00")
    assert await story.draft("investigating") == 1
    story.now("03:02:00")
    await story.approve(1)
    story.now("03:03:00")
    await story.send(1)
    story.now("03:03:02")
    said = "The 'To' number +14155550105 is not a valid phone number."
    story.carrier.refusals = {"+14155550105": Outcome(Kind.REJECTED, error_code=21211, reason=said)}
    await story.hand_over()
    assert set(story.carrier.taken) == {f"+1415555010{place}" for place in (1, 2, 3, 6, 7)}
    story.now("03:03:10")
    await story.receipt("+14155550101", "delivered")
    story.now("03:03:12")
    await story.receipt("+14155550103", "sent")
    story.now("03:03:15")
    await story.receipt("+14155550107", "delivered")
    story.now("03:03:20")
    await story.receipt("+14155550102", "delivered")
    story.now("03:03:30")
    await story.receipt("+14155550106", "undelivered", 30007)
    story.now("03:03:31")
    await story.step()
    story.now("03:03:40")
    await story.hand_over()
    assert set(story.mail.taken) == {"finn@example.com"}


async def _answers(story: Teller) -> None:
    story.now("03:03:50")
    await story.answer("p1", 1, "ok", "sms")
    story.now("03:04:00")
    await story.answer("p2", 1, "need_help", "page")
    story.now("03:05:00")
    await story.answer("p6", 1, "ok", "page")
    await _help(story, "take")
    story.now("03:06:00")
    await story.text("+14155550101", "Queue out of the door | `tills` <script>x</script>\n# and no change")
    story.now("03:06:30")
    await story.text(SHARED, "Ring me on +1 415 555 0103 please")
    story.now("03:06:40")
    await story.text("+14155550102", "HELP")
    story.now("03:07:00")
    await story.step()
    story.now("03:07:05")
    await story.hand_over()
    story.now("03:08:00")
    async with story.house.db.begin() as session:
        await behalf.acknowledge(
            session, story.house, story.actor, story.key, 1, "p3", response="cannot", via="in_person",
            at=at("03:07:30"), note="asked at the desk, will ring +14155550103",
        )  # fmt: skip
    story.now("03:09:00")
    await _help(story, "close")
    story.now("03:10:00")
    await story.answer("p2", 1, "ok", "page")


async def _help(story: Teller, what: str) -> None:
    async with story.house.db.begin() as session:
        found = await help_requests.of_incident(session, story.key)
        given = (session, story.house, story.actor, story.key, found[0]["id"])
        if what == "take":
            await help_requests.take(*given)
        else:
            await help_requests.close(*given, outcome="Sent Lou to Store 1")


async def go_on(story: Teller) -> None:
    """To 03:26:00: a higher severity, bulletin 2, and one late answer to bulletin 1."""
    story.now("03:20:00")
    await story.change(severity="SEV1", reason="Every store is down")
    story.now("03:24:00")
    assert await story.draft("identified", next_update="2026-03-02T03:45:00Z") == 2
    await story.approve(2)
    story.now("03:25:00")
    await story.send(2)
    story.now("03:25:02")
    story.carrier.refusals = {"+14155550106": Outcome(Kind.LATER, reason="later", retry_after=36_000)}
    await story.hand_over()
    story.now("03:25:06")
    await story.receipt("+14155550101", "delivered")
    story.now("03:25:30")
    await story.answer("p1", 2, "cannot", "sms")
    story.now("03:25:40")
    await story.answer("p1", 2, "ok", "sms")
    story.now("03:26:00")
    await story.answer("p7", 1, "ok", "page")


async def finish(story: Teller) -> None:
    """To 03:55:00: resolved at 03:40:00, the all-clear a minute later, closed at 03:50:00."""
    story.now("03:40:00")
    await story.change(status="resolved", reason="Tills are back")
    assert await story.draft("resolved") == 3
    await story.approve(3)
    story.now("03:41:00")
    await story.send(3)
    story.now("03:45:00")
    assert await story.draft("resolved") == 4
    story.now("03:50:00")
    await story.change(status="closed", reason="Nothing is left to do")
    story.now("03:55:00")
