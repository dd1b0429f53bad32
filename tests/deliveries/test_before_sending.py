"""What is said before a send: how many parts, how long it takes, whether so many are meant; and who goes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.access import service as access
from app.board.page_words import lasting
from app.bulletins import service as bulletins
from app.deliveries import sending
from app.incidents import service as incidents
from app.kernel.errors import Conflict
from tests.journeys.crew import Crew, Desk, a_person


async def drafted(desk: Desk, key: str) -> dict[str, object]:
    found: dict[str, object] = await desk.call(
        "POST", f"/incidents/{key}/bulletins", {"stage": "investigating", "facts": {}}, status=201
    )
    return found


async def test_the_preview_counts_texts_and_parts_and_how_long_they_take(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(*(a_person() for _ in range(3)), a_person(mobile=""))
    key = await at_the_desk.declare()
    bulletin = await drafted(the_desk, key)
    sms = [message for message in bulletin["messages"] if message["channel"] == "sms"]  # type: ignore[attr-defined]
    most = max(message["segments"] for message in sms if message["audience"] == "counters")
    assert bulletin["estimate"] == {
        "texts": 3, "parts": 3 * most, "seconds": None, "parts_a_second": None, "parts_left_today": None,
    }  # fmt: skip


async def test_the_preview_says_what_the_days_cap_leaves(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(*(a_person() for _ in range(10)))
    key = await at_the_desk.declare()
    await drafted(the_desk, key)
    async with the_desk.house.db.begin() as session:
        incident = await incidents.get(session, key)
        bulletin = await bulletins.get(session, incident["id"], 1)
        gone = await bulletins.parts_today(session, now=the_desk.clock.now())
        for cap, left in ((gone + 1, 0), ((gone + 4) * 10 // 9 + 1, 4), ((gone + 100) * 2, None)):
            shown = await bulletins.show(session, replace(the_desk.house, sms_a_day=cap), incident, bulletin)
            about = [entry["message"] for entry in shown["warnings"] if entry["where"] == "estimate"]
            if left is None:
                assert about == []
                assert shown["estimate"]["parts_left_today"] >= shown["estimate"]["parts"]
            else:
                assert shown["estimate"]["parts_left_today"] == left
                assert f"leaves {left} of the {shown['estimate']['parts']} parts" in about[0]
                assert "MUSTER_SMS_PER_DAY" in about[0]


async def test_attempts_carry_the_parts_that_they_cost(the_desk: Desk, at_the_desk: Crew) -> None:
    english, french = a_person(), a_person(language="fr")
    key = await at_the_desk.told(english, french)
    board = await the_desk.call("GET", f"/incidents/{key}/bulletins/1")
    said = {
        message.get("language", ""): message["segments"]
        for message in board["messages"]
        if message["channel"] == "sms" and message["audience"] == "counters"
    }
    parts = {attempt["employee_id"]: attempt["parts"] for attempt in await the_desk.attempts(key)}
    assert parts == {english.id: said[""], french.id: said["fr"]}


async def test_whoever_commands_goes_before_everybody_else(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person() for _ in range(4)]
    await at_the_desk.hire(*people)
    key = await at_the_desk.declare()
    await the_desk.call("PATCH", f"/incidents/{key}", {"commander": people[2].id, "reason": "She is on duty."})
    await the_desk.send(key)
    first = {attempt["employee_id"]: attempt["priority"] for attempt in await the_desk.attempts(key)}
    assert first == {person.id: 2 if person is people[2] else 5 for person in people}


async def test_a_send_to_very_many_must_be_confirmed(the_desk: Desk, at_the_desk: Crew) -> None:
    few = replace(the_desk.house, confirm_above=10)
    await at_the_desk.hire(*(a_person() for _ in range(11)))
    key = await at_the_desk.declare()
    await drafted(the_desk, key)
    at = f"/incidents/{key}/bulletins/1"
    await the_desk.call("POST", f"{at}/approve", {"accept_warnings": True})

    async def send(*, confirm: bool) -> dict[str, object]:
        async with few.db.begin() as session:
            actor = await access.operator(session, few.clock)
            return await sending.send(session, few, actor, key, 1, confirm=confirm)

    with pytest.raises(Conflict) as refused:
        await send(confirm=False)
    assert refused.value.extra == {"recipients": 11, "confirm_above": 10}
    assert '"confirm": true' in refused.value.detail
    assert await the_desk.attempts(key) == []
    assert (await send(confirm=True))["state"] == "sent"
    # A second send is the same answer, confirmed or not.
    assert (await send(confirm=False))["state"] == "sent"
    assert (await the_desk.call("POST", f"{at}/send", {"confirm": True}, status=202))["state"] == "sent"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "2 seconds"), (40, "40 seconds"), (90, "2 minutes"), (1142, "19 minutes"), (3600, "1 hour"),
     (7500, "2 hours and 5 minutes")],
)  # fmt: skip
def test_how_long_it_takes_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
