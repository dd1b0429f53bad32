"""Muster's own trouble is told once for each cause, and once more when it is over, whatever happens in between."""

from __future__ import annotations

import dataclasses

from app.channels.port import Health, Providers
from app.kernel.db import rows, run
from app.readiness import rules, service
from app.readiness.alarms import Alarms, Ways
from app.readiness.tally import Tally
from app.readiness.watch import Watch
from tests.readiness.conftest import OPERATOR_MAIL, OPERATOR_PHONE, Shift


async def test_all_in_order_tells_nobody_anything(shift: Shift) -> None:
    await shift.look()
    await shift.look(after=3600)
    assert (await shift.texts(), await shift.mails(), await shift.open()) == ([], [], [])


async def test_a_silent_worker_is_told_once_by_every_way_and_its_end_too(shift: Shift) -> None:
    await shift.look(worker=False)
    assert await shift.texts() == []  # it may only be starting again
    for _ in range(6):
        await shift.look(after=31, worker=False)
    [text] = await shift.texts()
    assert "No worker is alive" in text
    assert "muster worker" in text
    assert await shift.mails() == ["Muster alarm: no worker is alive"]
    await shift.look(after=5)
    assert await shift.open() == ["worker"]  # it may go again at once
    await shift.look(after=61)
    await shift.look(after=61)
    assert await shift.open() == []
    assert len(await shift.texts()) == 2
    assert any("alarm over" in text and "no worker is alive" in text for text in await shift.texts())
    assert sorted(await shift.mails()) == ["Muster alarm over: no worker is alive", "Muster alarm: no worker is alive"]


async def test_a_worker_that_restarts_now_and_then_is_no_alarm(shift: Shift) -> None:
    for _ in range(5):
        await shift.look(after=10, worker=False)
        await shift.look(after=10)
    assert (await shift.texts(), await shift.open()) == ([], [])


async def test_another_process_and_a_restart_do_not_say_it_again(shift: Shift) -> None:
    await shift.look(worker=False)
    await shift.look(after=31, worker=False)
    again = dataclasses.replace(shift, alarms=Alarms(shift.house, shift.providers, shift.alarms.ways))
    await again.look(after=31, worker=False)
    await shift.look(after=31, worker=False)
    assert len(await shift.texts()) == len(await shift.mails()) == 1


async def test_two_processes_take_turns(shift: Shift) -> None:
    first = Watch(shift.house, shift.providers, shift.alarms.ways, "first")
    second = Watch(shift.house, shift.providers, shift.alarms.ways, "second")
    await first.look()
    assert await shift.open() == ["worker"]
    async with shift.house.db.begin() as session:
        await run(session, "DELETE FROM alarm")
    await second.look()
    assert await shift.open() == []
    await first.look()
    assert await shift.open() == ["worker"]


async def test_a_provider_that_is_down_is_told_by_the_other_way_and_later_by_its_own(shift: Shift) -> None:
    await shift.look()
    await shift.trouble(http="down")
    await shift.look()
    await shift.look(after=11)
    assert await shift.texts() == []
    assert await shift.mails() == ["Muster alarm: a provider refuses us or does not answer (sms)"]
    # It works again, but the cause still holds: whoever reads texts hears of it now.
    await shift.trouble(http=None)
    await shift.look(after=61, probe=False)
    assert len(await shift.texts()) == 1
    await shift.look(after=1)
    await shift.look(after=61)
    assert len(await shift.mails()) == 2
    assert len(await shift.texts()) == 2


async def test_a_mailbox_that_cannot_be_read_for_minutes_is_told_and_a_moment_is_not(shift: Shift) -> None:
    async def look(ok: bool, after: float) -> None:
        await service.note(shift.house, {rules.MAILBOX: Health(ok, "the mailbox refuses the password")})
        await shift.look(after=after)

    await look(ok=False, after=0)
    await look(ok=True, after=60)
    assert await shift.open() == []
    for _ in range(6):
        await look(ok=False, after=31)
    assert await shift.texts() == []
    await look(ok=False, after=31)
    [text] = await shift.texts()
    assert "Mail answers and returned mails are not heard: the mailbox refuses the password." in text
    await look(ok=True, after=61)
    assert await shift.open() == []


async def test_a_way_that_never_heard_of_it_is_not_told_that_it_is_over(shift: Shift) -> None:
    await shift.look()
    await shift.trouble(http="down")
    await shift.look()
    await shift.look(after=11)
    await shift.trouble(http=None)
    await shift.look(after=1)
    await shift.look(after=61)
    await shift.look(after=3600)
    assert await shift.texts() == []
    assert len(await shift.mails()) == 2


async def test_a_provider_that_nobody_asked_lately_neither_begins_nor_ends_an_alarm(shift: Shift) -> None:
    await shift.look()
    await shift.trouble(http="down")
    await shift.look()
    await shift.look(after=11)
    async with shift.house.db.begin() as session:
        await run(session, "UPDATE provider_health SET checked_at = checked_at - interval '1 hour'")
    await shift.look(after=300, probe=False)
    assert await shift.open() == ["provider:sms"]


async def test_a_cause_that_comes_and_goes_cannot_storm(shift: Shift) -> None:
    for _ in range(12):
        await shift.look(worker=False)
        await shift.look(after=31, worker=False)
        await shift.look(after=61)
    begins = [text for text in await shift.texts() if "alarm at" in text]
    assert len(begins) == 3
    assert len(await shift.texts()) == 6
    # When it may be told again and still holds, it is.
    await shift.look(worker=False)
    await shift.look(after=3600, worker=False)
    assert len([text for text in await shift.texts() if "alarm at" in text]) == 4


async def test_an_answer_that_never_came_is_tried_once_more_and_no_more(shift: Shift) -> None:
    await shift.trouble(http="cut")  # taken, and the answer is lost
    only_texts = Alarms(shift.house, shift.providers, Ways(sms=OPERATOR_PHONE))
    shift = dataclasses.replace(shift, alarms=only_texts)
    await shift.look(worker=False, probe=False)
    for _ in range(8):
        await shift.look(after=3700, worker=False, probe=False)
    assert len(await shift.texts()) == 2


async def test_refused_callbacks_of_our_account_are_told_and_strangers_are_not(shift: Shift) -> None:
    tally = Tally()
    for _ in range(50):
        tally.refused(ours=False)
    await tally.write(shift.house)
    await shift.look()
    assert await shift.open() == []
    for _ in range(3):
        tally.refused(ours=True)
    await tally.write(shift.house)
    await shift.look(after=1)
    assert await shift.open() == ["callbacks"]
    assert "MUSTER_BASE_URL" in (await shift.texts())[0]
    await shift.look(after=660)
    assert await shift.open() == []


def test_a_full_disk_is_told() -> None:
    assert rules.causes(rules.Facts(disk=(400_000_000, 10**12)))[0].key == "disk"
    assert rules.causes(rules.Facts(disk=(40_000_000_000, 10**12)))[0].key == "disk"
    assert rules.causes(rules.Facts(disk=(60_000_000_000, 10**12))) == []


async def test_without_a_way_it_is_still_recorded(shift: Shift) -> None:
    silent = dataclasses.replace(shift, alarms=Alarms(shift.house, Providers(), Ways()))
    await silent.look(worker=False, probe=False)
    await silent.look(after=31, worker=False, probe=False)
    assert "worker" in await shift.open()
    assert await shift.texts() == []


async def test_no_alarm_holds_a_number_or_an_address(shift: Shift) -> None:
    await shift.trouble(http="down", smtp="refuse")
    await shift.look(worker=False)
    await shift.look(after=31, worker=False)
    async with shift.house.db.begin() as session:
        for entry in await rows(session, "SELECT detail FROM alarm"):
            assert OPERATOR_PHONE not in entry["detail"]
            assert OPERATOR_MAIL not in entry["detail"]
            assert "@" not in entry["detail"]


def test_channels_that_fail_alike_are_one_cause() -> None:
    away, refused = (False, "Twilio cannot be reached"), (False, "the mail server refuses the login")
    facts = rules.Facts(
        channels=("email", "sms", "voice"), providers={"voice": away, "sms": away, "email": refused}, workers=1
    )
    found = {cause.key: cause.detail for cause in rules.causes(facts)}
    assert found == {
        "provider:sms": "Nothing goes out by SMS or phone call: Twilio cannot be reached.",
        "provider:email": "Nothing goes out by email: the mail server refuses the login.",
    }
