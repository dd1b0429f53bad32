"""Quiet hours: texts wait for the person's own morning, mails go, and what is waited for can still be stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.escalations.cast import a_manager, after, escalations, notices, told
from tests.journeys.crew import Crew, Desk, a_person, adds_up, tried

HONOLULU, TOKYO = "Pacific/Honolulu", "Asia/Tokyo"


def until(desk: Desk, hour: int, minute: int = 0, zone: str = "UTC") -> datetime:
    """Moves the clock to the next time that clocks of a zone say so."""
    there = desk.clock.now().astimezone(ZoneInfo(zone))
    wanted = there.replace(hour=hour, minute=minute, second=0, microsecond=0)
    wanted = wanted if wanted > there else wanted + timedelta(days=1)
    desk.clock.advance(seconds=(wanted - there).total_seconds())
    return desk.clock.now()


async def test_a_text_waits_for_the_persons_morning_and_the_mail_goes(the_desk: Desk, at_the_desk: Crew) -> None:
    sent = until(the_desk, 23)
    asleep, awake, mail = a_person(), a_person(time_zone=TOKYO), a_person(mobile="")
    nowhere = a_person(time_zone="Mars/Base")  # no such zone: by the installation's clock
    await at_the_desk.hire(asleep, awake, mail, nowhere)
    key = await at_the_desk.declare(playbook="silence", severity="SEV3")
    number = await the_desk.write(key)
    morning = (sent + timedelta(hours=8)).isoformat().replace("+00:00", "Z")
    shown = await the_desk.call("GET", f"/incidents/{key}/bulletins/{number}")
    assert [entry["people"] for entry in shown["recipients"]["quiet"]] == [2]
    assert datetime.fromisoformat(shown["recipients"]["quiet"][0]["until"]) == datetime.fromisoformat(morning)
    preview = await the_desk.api.get(f"/api/v1/incidents/{key}/bulletins/{number}")
    assert preview.status_code == 200

    await the_desk.call("POST", f"/incidents/{key}/bulletins/{number}/send", {}, status=202)
    await the_desk.hand_over()
    assert (len(await the_desk.texts(asleep.mobile)), len(await the_desk.texts(awake.mobile))) == (0, 1)
    assert len(await the_desk.texts(nowhere.mobile)) == 0
    assert len(await the_desk.emails(mail.email)) == 1
    entry = await at_the_desk.person(key, asleep)
    assert (entry["status"], entry["next_step"]) == ("pending", "email")
    board = await the_desk.board(key)
    assert [(step["step"], step["people"]) for step in board["next"]] == [("email", 3), ("sms", 2)]
    assert datetime.fromisoformat(board["next"][1]["at"]) == sent + timedelta(hours=8)

    await after(the_desk, minutes=61)
    entry = await at_the_desk.person(key, asleep)
    assert tried(entry) == [("sms", "queued"), ("email", "accepted")]
    assert (entry["status"], entry["next_step"]) == ("waiting", "sms")
    assert datetime.fromisoformat(entry["next_step_at"]) == sent + timedelta(hours=8)
    # Hours later it is as fresh as it was: it waited for the morning, not in a queue.
    until(the_desk, 6, 59)
    await after(the_desk)
    assert await the_desk.texts(asleep.mobile) == []
    until(the_desk, 7)
    await after(the_desk)
    assert len(await the_desk.texts(asleep.mobile)) == len(await the_desk.texts(nowhere.mobile)) == 1
    entry = await at_the_desk.person(key, asleep)
    assert tried(entry) == [("sms", "accepted"), ("email", "accepted")]
    adds_up(await the_desk.board(key))


async def test_a_severity_that_the_playbook_names_waits_for_nobody(the_desk: Desk, at_the_desk: Crew) -> None:
    until(the_desk, 23, 30)
    person = a_person()
    key = await told(the_desk, at_the_desk, person, severity="SEV2")
    assert len(await the_desk.texts(person.mobile)) == 1
    assert (await the_desk.call("GET", f"/incidents/{key}/bulletins/1"))["recipients"]["quiet"] == []


async def test_what_waits_is_stopped_by_an_answer_a_cancellation_a_newer_bulletin_and_leaving(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    until(the_desk, 23, 40)
    answers, leaves, newer, stays = (a_person() for _ in range(4))
    key = await told(the_desk, at_the_desk, answers, leaves, newer, stays, severity="SEV3")
    body = {"response": "ok", "via": "in_person", "note": "asked at the desk"}
    await the_desk.call("POST", f"/incidents/{key}/bulletins/1/recipients/{answers.id}/acknowledgment", body)
    await at_the_desk.hire(replace(leaves, active=False))
    other = Crew(the_desk)
    cancelled = a_person()
    second = await told(the_desk, other, cancelled, severity="SEV3")
    await the_desk.call("POST", f"/incidents/{second}/bulletins/1/cancel")
    assert (await other.person(second, cancelled))["status"] == "cancelled"
    assert (await at_the_desk.person(key, answers))["next_step"] is None
    until(the_desk, 7, 1)
    await after(the_desk)
    for person in (answers, leaves, cancelled):
        assert await the_desk.texts(person.mobile) == [], person
    assert len(await the_desk.texts(stays.mobile)) == 1
    assert (await at_the_desk.person(key, answers))["status"] == "acknowledged"
    adds_up(await the_desk.board(key))


async def test_a_newer_bulletin_takes_the_place_of_one_that_waits(the_desk: Desk, at_the_desk: Crew) -> None:
    until(the_desk, 23, 40)
    person = a_person(email="")
    key = await told(the_desk, at_the_desk, person, severity="SEV3")
    the_desk.clock.advance(seconds=600)
    await the_desk.send(key, "identified")
    until(the_desk, 7, 1)
    await after(the_desk)
    (text,) = await the_desk.texts(person.mobile)
    assert text["body"].startswith("identified")


async def test_a_step_that_falls_due_at_night_waits_with_what_waits_already(the_desk: Desk, at_the_desk: Crew) -> None:
    """SEV4: a mail at once, a text after two minutes. And a text that is too late by the time it would leave."""
    until(the_desk, 21, 59)
    late = a_person()
    key = await told(the_desk, at_the_desk, late, severity="SEV4")
    assert tried(await at_the_desk.person(key, late)) == [("email", "accepted")]
    await after(the_desk, minutes=3)
    entry = await at_the_desk.person(key, late)
    assert tried(entry) == [("email", "accepted"), ("sms", "queued")]
    assert entry["next_step"] == "sms"
    assert datetime.fromisoformat(entry["next_step_at"]).astimezone(UTC).hour == 7

    other = Crew(the_desk)
    until(the_desk, 21, 59)
    queued = a_person()
    await other.hire(queued)
    second = await other.declare(playbook="silence", severity="SEV3")
    await the_desk.send(second)
    the_desk.clock.advance(seconds=90)  # the workers were busy until after ten
    await the_desk.hand_over()
    assert await the_desk.texts(queued.mobile) == []
    entry = await other.person(second, queued)
    assert (tried(entry), entry["status"]) == ([("sms", "queued")], "pending")
    until(the_desk, 7, 0)
    await after(the_desk)
    assert len(await the_desk.texts(queued.mobile)) == 1
    assert len(await the_desk.texts(late.mobile)) == 1


async def test_whoever_is_told_of_others_sleeps_too(the_desk: Desk, at_the_desk: Crew) -> None:
    """A ladder that tells the manager, at a severity that keeps quiet hours: by the manager's own clock."""
    until(the_desk, 12)
    away = await a_manager(at_the_desk, time_zone=HONOLULU)  # 02:00 there
    here = await a_manager(at_the_desk)
    people = [a_person(manager=away.id), a_person(manager=here.id)]
    key = await told(the_desk, at_the_desk, *people, severity="SEV1")
    await the_desk.call("PATCH", f"/incidents/{key}", {"severity": "SEV3", "reason": "less than feared"})
    await after(the_desk, minutes=6)
    assert len(await escalations(the_desk, key)) == 2
    assert (len(await notices(the_desk, here)), len(await notices(the_desk, away))) == (1, 0)
    until(the_desk, 7, 1, HONOLULU)
    await after(the_desk)
    assert len(await notices(the_desk, away)) == 1
