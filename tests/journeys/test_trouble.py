"""The carrier in trouble: everybody still gets the message, nobody twice, and the board tells the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from app.channels.twilio import TwilioSms
from app.deliveries import reconciler
from tests.journeys.crew import Crew, Person, a_person, adds_up, faults, playbook_folder, tried
from tests.stack import Stack, stack


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def muster(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """As elsewhere, but it does not wait a quarter of a minute for an answer that never comes."""
    folder = tmp_path_factory.mktemp("muster")
    async with stack(
        module_database, folder, time_scale=60, settle_seconds=2, playbooks_dir=playbook_folder(folder)
    ) as running:
        assert running.worker
        sms = running.worker.providers.by_channel["sms"]
        assert isinstance(sms, TwilioSms)
        sms.transport.be_patient(httpx2.Timeout(5.0, read=1.5))
        yield running


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proof may take as long as it does on a busy machine: what is not proven in time has a test of its own."""
    monkeypatch.setattr(reconciler, "DEADLINE_TIMES_SETTLE", 100)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _mended(muster: Stack) -> AsyncIterator[None]:
    yield
    await faults(muster, http=None, receipts=None, list=None, smtp=None, latency_ms=None)


async def texts_of(crew: Crew, *people: Person) -> Counter[str]:
    numbers = {person.mobile for person in people}
    return Counter(text["to"] for text in await crew.muster.texts() if text["to"] in numbers)


async def all_have(crew: Crew, key: str, *people: Person, seconds: float = 60) -> None:
    """Waits until the carrier delivered to each."""

    async def so() -> bool:
        states = (await crew.muster.board(key))["by_channel"].get("sms", {})
        return bool(states.get("delivered", 0) >= len(people))

    await crew.muster.until(so, seconds=seconds)


async def test_a_carrier_that_is_down_and_comes_back(crew: Crew) -> None:
    people = [a_person(email="") for _ in range(40)]
    await faults(crew.muster, http="down")
    key = await crew.told(*people)

    async def all_wait() -> bool:
        counts = (await crew.muster.board(key))["counts"]
        return bool(counts["pending"] == len(people))

    await crew.muster.until(all_wait)
    assert await texts_of(crew, *people) == {}
    await faults(crew.muster, http=None)
    await all_have(crew, key, *people)
    assert await texts_of(crew, *people) == {person.mobile: 1 for person in people}
    adds_up(await crew.muster.board(key))


async def test_a_storm_of_too_many_requests(crew: Crew) -> None:
    people = [a_person(email="") for _ in range(60)]
    await faults(crew.muster, http="429", count=80)
    key = await crew.told(*people)
    await all_have(crew, key, *people)
    assert await texts_of(crew, *people) == {person.mobile: 1 for person in people}
    for entry in await crew.muster.recipients(key):
        assert tried(entry) == [("sms", "delivered")]


@pytest.mark.parametrize("receipts", [None, "off"])
async def test_what_was_taken_without_an_answer_is_found_again_and_not_sent_twice(
    crew: Crew, receipts: str | None
) -> None:
    """By its receipt when there are receipts, else in the carrier's own list."""
    await faults(crew.muster, receipts=receipts)
    people = [a_person(fate, email="") for fate in ("4001", "4002", "4005", "4009", "0006")]
    key = await crew.told(*people)
    for person in people:
        entry = await crew.until(key, person, status="waiting")
        assert len(entry["attempts"]) == 1
        (text,) = await crew.muster.texts(person.mobile)
        assert entry["attempts"][0]["provider_message_id"] == text["sid"]


async def test_what_was_not_taken_is_sent_again_once_that_is_proven(crew: Crew) -> None:
    """The proof needs a message that was taken later and is in the list: those to everybody else, as they come."""
    tries = {"4007": 3, "4008": 2, "4004": 1}
    people = {fate: a_person(fate, email="") for fate in tries}
    key = await crew.told(*people.values())
    others = Crew(crew.muster)

    async def all_wait() -> bool:
        await others.told(a_person(email=""))
        return bool((await crew.muster.board(key))["counts"]["waiting"] == len(people))

    await crew.muster.until(all_wait, seconds=40)
    for fate, person in people.items():
        entry = await crew.until(key, person, status="waiting")
        assert len(await crew.muster.texts(person.mobile)) == 1
        states = [state for _, state in tried(entry)]
        assert set(states[:-1]) <= {"absent"}
        assert len(states) == tries[fate]


async def test_what_stays_unknown_is_shown_as_uncertain_and_the_next_channel_is_used(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "DEADLINE_TIMES_SETTLE", 4)
    await faults(crew.muster, receipts="off", list="empty")
    mailed, only = a_person("4005"), a_person("4005", email="")
    key = await crew.told(mailed, only, severity="SEV3")
    await crew.until(key, only, status="uncertain")
    await crew.until_attempts(key, mailed, ("sms", "uncertain"), ("email", "accepted"))
    assert (await crew.person(key, mailed))["status"] == "waiting"
    board = await crew.muster.board(key)
    adds_up(board)
    assert board["counts"]["uncertain"] == 1
    assert await texts_of(crew, mailed, only) == {mailed.mobile: 1, only.mobile: 1}
    # An answer settles it, whatever the carrier says.
    await crew.muster.reply(only.mobile, "1")
    await crew.until(key, only, status="acknowledged")


async def test_receipts_late_shuffled_twice_missing_early_or_strange(crew: Crew) -> None:
    people = {fate: a_person(fate, email="") for fate in ("3001", "3002", "3003", "3004", "3005", "3006")}
    key = await crew.told(*people.values())
    for person in people.values():
        entry = await crew.until_attempts(key, person, ("sms", "delivered"))
        assert entry["status"] == "waiting"
        assert len(await crew.muster.texts(person.mobile)) == 1


@pytest.mark.parametrize("receipts", ["shuffle", "twice", "off"])
async def test_receipts_of_everybody_shuffled_twice_or_lost(crew: Crew, receipts: str) -> None:
    people = [a_person(email="") for _ in range(25)]
    await faults(crew.muster, receipts=receipts)
    key = await crew.told(*people)
    await all_have(crew, key, *people)  # without receipts, because the carrier is asked
    assert await texts_of(crew, *people) == {person.mobile: 1 for person in people}
    assert (await crew.muster.board(key))["counts"]["waiting"] == len(people)


async def test_a_mail_server_that_is_down_and_comes_back(crew: Crew) -> None:
    people = [a_person(mobile="") for _ in range(12)]
    await faults(crew.muster, smtp="refuse")
    key = await crew.told(*people)

    async def all_wait() -> bool:
        return bool((await crew.muster.board(key))["counts"]["pending"] == len(people))

    await crew.muster.until(all_wait)
    await faults(crew.muster, smtp=None)
    board = await crew.muster.settled(key, seconds=60)
    assert board["counts"]["waiting"] == len(people)
    for person in people:
        assert len(await crew.muster.emails(person.email)) == 1


async def test_mail_refused_for_now_is_sent_later_and_cut_mail_is_not_sent_twice(crew: Crew) -> None:
    now, cut = a_person(mobile=""), a_person(mobile="", email=f"cut+{crew.site[-7:]}@example.org")
    await faults(crew.muster, smtp="tempfail", count=1)
    key = await crew.told(now, cut)
    await crew.until(key, now, status="waiting")
    await crew.until(key, cut, status="uncertain")
    assert [len(await crew.muster.emails(person.email)) for person in (now, cut)] == [1, 1]


async def test_a_text_that_never_reached_us_is_found_in_the_carriers_list(crew: Crew) -> None:
    """The carrier posts an incoming text once; while we are down it only stays in its list."""
    person = a_person(email="")
    key = await crew.told(person)
    await all_have(crew, key, person)
    crew.muster.simulator.simulator.outside.receive(person.mobile, "1")  # taken by the carrier, posted to nobody
    await crew.until(key, person, status="acknowledged", via="sms", seconds=60)
