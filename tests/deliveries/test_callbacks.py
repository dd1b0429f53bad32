"""Status callbacks as they come over HTTP: signed, in any order, twice, strange, many at once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from typing import Any

import pytest

from app.kernel.db import rows
from tests.journeys.crew import Crew, Desk, Person, a_person, faults
from tests.stack import ACCOUNT


async def told(desk: Desk, crew: Crew, *people: Person) -> tuple[str, list[dict[str, Any]]]:
    """An incident whose texts the carrier has taken, and its attempts in the order of the people."""
    key = await crew.told(*people)
    await desk.hand_over()
    place = {person.id: number for number, person in enumerate(people)}
    return key, sorted(await desk.attempts(key), key=lambda attempt: place[attempt["employee_id"]])


async def kept(desk: Desk, attempt: dict[str, Any]) -> list[tuple[str, int | None]]:
    async with desk.house.db.begin() as session:
        found = await rows(
            session,
            "SELECT status, error_code FROM callback WHERE attempt_id = :id ORDER BY id",
            {"id": attempt["id"]},
        )
    return [(entry["status"], entry["error_code"]) for entry in found]


async def test_any_order_of_real_callbacks_ends_the_same(the_desk: Desk, at_the_desk: Crew) -> None:
    told_facts = [("sent", None), ("undelivered", 30003), ("delivered", None)]
    orders = list(itertools.permutations(told_facts))
    key, attempts = await told(the_desk, at_the_desk, *(a_person() for _ in orders))
    for attempt, order in zip(attempts, orders, strict=True):
        for status, code in (*order, *order):
            await the_desk.callback(attempt["id"], attempt["provider_message_id"], status, code)
    after = [a for a in await the_desk.attempts(key) if a["seq"] == 0 and a["channel"] == "sms"]
    assert {(a["state"], a["error_code"]) for a in after} == {("delivered", None)}
    for attempt in attempts:
        assert sorted(await kept(the_desk, attempt)) == sorted(told_facts)


async def test_hundreds_at_once_are_all_kept_before_they_are_answered(the_desk: Desk, at_the_desk: Crew) -> None:
    key, attempts = await told(the_desk, at_the_desk, *(a_person() for _ in range(40)))
    posts = [(attempt, status) for attempt in attempts for status in ("sending", "sent", "delivered")] * 2
    random.Random(3).shuffle(posts)
    answers = await asyncio.gather(
        *(the_desk.callback(attempt["id"], attempt["provider_message_id"], status) for attempt, status in posts)
    )
    assert {answer.status_code for answer in answers} == {204}
    assert {a["state"] for a in await the_desk.attempts(key)} == {"delivered"}
    async with the_desk.house.db.begin() as session:
        found = await rows(
            session, "SELECT count(*) AS n FROM callback WHERE attempt_id = ANY(:ids)",
            {"ids": [attempt["id"] for attempt in attempts]},
        )  # fmt: skip
    assert found[0]["n"] == 3 * 40


async def test_a_status_nobody_knows_is_kept_and_alarmed_and_moves_nothing(
    the_desk: Desk, at_the_desk: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    key, (attempt,) = await told(the_desk, at_the_desk, a_person())
    with caplog.at_level(logging.ERROR, "muster.callbacks"):
        answer = await the_desk.callback(attempt["id"], attempt["provider_message_id"], "rerouted")
    assert answer.status_code == 204
    assert await kept(the_desk, attempt) == [("rerouted", None)]
    assert (await the_desk.attempts(key))[0]["state"] == "accepted"
    assert "rerouted" in caplog.text


async def test_a_callback_about_another_message_changes_nothing(
    the_desk: Desk, at_the_desk: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    key, (mine, other) = await told(the_desk, at_the_desk, a_person(), a_person())
    with caplog.at_level(logging.ERROR, "muster.callbacks"):
        await the_desk.callback(mine["id"], other["provider_message_id"], "failed", 30008)
    assert {a["state"] for a in await the_desk.attempts(key)} == {"accepted"}
    assert await kept(the_desk, mine) == []
    assert "another message" in caplog.text


async def test_one_that_cannot_be_written_costs_no_other(the_desk: Desk, at_the_desk: Crew) -> None:
    """The bad one claims, for a text whose own id is not known yet, the id of another text."""
    key, attempts = await told(the_desk, at_the_desk, a_person("4005"), *(a_person() for _ in range(12)))
    unknown, *others = attempts
    assert unknown["provider_message_id"] is None
    answers = await asyncio.gather(
        the_desk.callback(unknown["id"], others[0]["provider_message_id"], "sent"),
        *(the_desk.callback(other["id"], other["provider_message_id"], "delivered") for other in others),
        return_exceptions=True,
    )
    assert [getattr(answer, "status_code", None) for answer in answers[1:]] == [204] * 12
    states = {a["id"]: a["state"] for a in await the_desk.attempts(key)}
    assert [states[other["id"]] for other in others] == ["delivered"] * 12
    assert states[unknown["id"]] == "unknown"


async def test_a_forged_or_broken_callback_is_refused(the_desk: Desk, at_the_desk: Crew) -> None:
    key, (attempt,) = await told(the_desk, at_the_desk, a_person())
    token = the_desk.house.signer.attempt_token(attempt["id"])
    path = f"/webhooks/twilio/status/{token}"
    form = {"MessageSid": attempt["provider_message_id"], "MessageStatus": "delivered"}
    unsigned = await the_desk.api.post(path, data=form)
    assert unsigned.status_code == 403
    wrong = await the_desk.api.post(path, data=form, headers={"X-Twilio-Signature": "AAAA"})
    assert wrong.status_code == 403
    assert (await the_desk.post(path, form | {"AccountSid": "AC" + "0" * 32})).status_code == 403
    assert (await the_desk.post("/webhooks/twilio/status/" + "a" * 20, form)).status_code == 404
    assert (await the_desk.post(path, {"AccountSid": ACCOUNT, "MessageStatus": "delivered"})).status_code == 400
    assert (await the_desk.attempts(key))[0]["state"] == "accepted"
    assert (await the_desk.post(path, form | {"ErrorCode": "", "RawDlrDoneDate": ""})).status_code == 204
    assert (await the_desk.attempts(key))[0]["state"] == "delivered"


async def test_a_late_receipt_shows_that_an_absent_text_went_out_after_all(
    the_desk: Desk, at_the_desk: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    """The list forgot it. The board tells the truth, and the operator hears that a second text may have gone out."""
    person = a_person("4006")
    key, _ = await told(the_desk, at_the_desk, person)
    the_desk.clock.advance(seconds=2)
    await told(the_desk, Crew(the_desk), a_person())
    the_desk.clock.advance(seconds=the_desk.house.settle_seconds)
    await the_desk.settle_unknown()
    first, second = await the_desk.attempts(key)
    assert (first["state"], second["state"]) == ("absent", "queued")
    with caplog.at_level(logging.ERROR, "muster.callbacks"):
        await the_desk.callback(first["id"], "SM" + "7" * 32, "delivered")
    assert (await the_desk.attempts(key))[0]["state"] == "delivered"
    assert "after all" in caplog.text
    assert (await at_the_desk.person(key, person))["status"] == "waiting"
    await faults(the_desk, http=None)
