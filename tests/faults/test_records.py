"""What a provider's records prove, and what they do not: each of these was found by a soak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from app.channels.port import Kind, Listed, Outgoing
from app.channels.twilio import TwilioSms
from app.deliveries import proof, service
from app.deliveries.handover import Result
from app.deliveries.reconciler import AT_A_TIME, DEADLINE_SECONDS
from app.directory import versions
from app.kernel import audit
from app.kernel.db import run
from app.replies import proof as replies
from tests.journeys.crew import Crew, Desk, a_person, desk, faults, tried


@pytest.fixture
async def muster(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(database_url, tmp_path) as running:
        yield running


async def an_unknown(muster: Desk, fate: str) -> str:
    """Somebody whose text has an unknown outcome, settled long enough, and somebody who was texted later."""
    key = await Crew(muster).told(a_person(fate, email=""))
    await muster.hand_over()
    muster.clock.advance(seconds=10)
    await Crew(muster).told(a_person(email=""))
    await muster.hand_over()
    [attempt] = await muster.attempts(key)
    assert attempt["state"] == "unknown"
    return key


@pytest.mark.parametrize("stale", [0, 1, 2])
async def test_a_list_that_is_stale_for_one_read_proves_nothing_absent(
    muster: Desk, monkeypatch: pytest.MonkeyPatch, stale: int
) -> None:
    """The list went stale between the read that proved it fresh and the read that counted."""
    key = await an_unknown(muster, "4002")
    sms = muster.providers.by_channel["sms"]
    assert isinstance(sms, TwilioSms)
    read, reads = sms.sent_to, 0

    async def sent_to(address: str, *, limit: int = 1000) -> Sequence[Listed]:
        nonlocal reads
        if reads == stale:
            await faults(muster, list="lagging", count=1)
        reads += 1
        return await read(address, limit=limit)

    monkeypatch.setattr(sms, "sent_to", sent_to)
    for _ in range(2):
        await muster.settle_unknown()
        muster.clock.advance(seconds=1)
    [attempt] = await muster.attempts(key)
    assert attempt["provider_message_id"], attempt
    assert len(await muster.texts(attempt["address"])) == 1


async def test_a_second_look_does_not_take_the_next_try_for_the_one_before(
    muster: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers reconciled at once, as the first was slow: one proved absence and the message was sent again, and the
    other found that in the list and took it for the first try's."""
    key = await an_unknown(muster, "4008")
    sms = muster.providers.by_channel["sms"]
    assert isinstance(sms, TwilioSms)
    read, reads = sms.sent_to, 0

    async def sent_to(address: str, *, limit: int = 1000) -> Sequence[Listed]:
        nonlocal reads
        reads += 1
        if reads == 1:
            await muster.settle_unknown()
            first, again = await muster.attempts(key)
            assert (first["state"], again["state"]) == ("absent", "queued")
            # The next try has just reached the carrier, and its answer is not recorded yet.
            text = f"tills are down {muster.house.link(again['delivery_id'])}"
            sent = await sms.send(Outgoing(again["id"], "token", address, text), lambda: True)
            assert sent.kind is Kind.ACCEPTED
        return await read(address, limit=limit)

    monkeypatch.setattr(sms, "sent_to", sent_to)
    await muster.settle_unknown()
    assert [attempt["state"] for attempt in await muster.attempts(key)] == ["absent", "queued"]


async def test_an_id_that_another_message_has_costs_nobody_else_and_is_not_tried_for_ever(muster: Desk) -> None:
    people = [a_person(email="") for _ in range(3)]
    crew = Crew(muster)
    key = await crew.told(*people)
    async with muster.house.db.begin() as session:
        await run(session, "UPDATE attempt SET state = 'handing_over', fence = 1, lease_until = now() + interval '1 h'")
    ids = [attempt["id"] for attempt in await muster.attempts(key)]
    given = ["SM" + "1" * 32, "SM" + "1" * 32, "SM" + "2" * 32]
    answers = [Result(attempt, 1, Kind.ACCEPTED.value, sid) for attempt, sid in zip(ids, given, strict=True)]
    await service.record_results(muster.house, answers)
    states = [tried(await crew.person(key, person)) for person in people]
    assert states == [[("sms", "accepted")], [("sms", "uncertain")], [("sms", "accepted")]]


async def test_a_list_that_cannot_be_read_holds_nobody_up_for_ever(muster: Desk) -> None:
    """The provider answers and its list does not: after the deadline unknown is uncertain, and the next channel goes.

    A mail whose outcome is unknown does not wait for it. While the provider as a whole is down, it is waited for.
    """
    person = a_person("4005")
    crew = Crew(muster)
    cut = a_person(mobile="", email=f"cut+{crew.site[-8:]}@example.org")
    key = await crew.told(person, cut, severity="SEV3")
    await muster.hand_over()
    await faults(muster, list="500", receipts="off")
    settle = muster.house.settle_seconds
    try:
        await faults(muster, http="down")
        for _ in range(6):
            muster.clock.advance(seconds=settle)
            await muster.settle_unknown()
        states = {entry["channel"]: entry["state"] for entry in await muster.attempts(key)}
        assert states == {"sms": "unknown", "email": "uncertain"}
        await faults(muster, http=None)
        await muster.until(lambda: _gone_by(muster, key))
    finally:
        await faults(muster, http=None, list=None, receipts=None)
    await muster.take_steps()
    await muster.hand_over()
    assert [mail["to"] for mail in await muster.emails(person.email)], "the next channel"


async def _gone_by(muster: Desk, key: str) -> bool:
    muster.clock.advance(seconds=muster.house.settle_seconds)
    await muster.settle_unknown()
    return "unknown" not in {entry["state"] for entry in await muster.attempts(key)}


async def test_however_many_are_unknown_none_is_after_the_deadline(muster: Desk) -> None:
    """More than a pass looks at: whoever's turn did not come in time is uncertain too, unless the carrier is away."""
    many = AT_A_TIME + 20
    key = await Crew(muster).told(*(a_person("4005", email="") for _ in range(many)))

    async def all_unknown() -> bool:
        # More than once: where none is answered the channel rests, and a slow machine then has some left to hand over.
        await muster.hand_over()
        return {entry["state"] for entry in await muster.attempts(key)} == {"unknown"}

    await muster.until(all_unknown)
    muster.clock.advance(seconds=DEADLINE_SECONDS + 1)
    await faults(muster, http="down")
    await muster.settle_unknown()
    assert {entry["state"] for entry in await muster.attempts(key)} == {"unknown"}
    await faults(muster, http=None, list="empty")
    await muster.settle_unknown()
    assert {entry["state"] for entry in await muster.attempts(key)} == {"uncertain"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE person_version SET site = 'Elsewhere'", "people were changed after it recorded them"),
        ("UPDATE person_version SET name = 'Nobody'", "people were changed after it recorded them"),
        (
            """UPDATE delivery d SET person_version_id = v.id FROM person_version v
               WHERE v.person_id = d.person_id AND v.id <> d.person_version_id""",
            "the people whom the bulletin went to were changed after it was sent",
        ),
        (
            "UPDATE field_report r SET person_version_id = p.latest_version_id FROM person p WHERE p.id = r.person_id",
            "the person of its field report was changed after it was written",
        ),
        (
            "UPDATE help_request r SET person_version_id = p.latest_version_id FROM person p WHERE p.id = r.person_id",
            "the person of its help request was changed after it was written",
        ),
    ],
)
async def test_people_of_an_incident_who_are_changed_behind_our_back_are_noticed(
    muster: Desk, database_url: str, change: str, said: str
) -> None:
    crew = Crew(muster)
    person = a_person(email="")
    key = await crew.told(person)
    await muster.hand_over()
    for words in ("The tills are dead", "2"):
        muster.clock.advance(seconds=60)
        await muster.text(person.mobile, words)
    muster.clock.advance(seconds=60)
    await crew.hire(replace(person, name="Another Name"))  # a second version, which the import may make
    assert (await crew.person(key, person))["name"] == f"Person {person.id}"
    assert await _bad(muster) is None
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")  # no trigger fires
        owner.execute(change.encode())
    bad = await _bad(muster)
    assert bad is not None
    assert said in bad


async def _bad(muster: Desk) -> str | None:
    async with muster.house.db.begin() as session:
        bad = await audit.verify(session) or await versions.verify(session)
        return bad or await proof.verify(session) or await replies.verify(session)
