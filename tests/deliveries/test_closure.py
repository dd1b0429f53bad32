"""That it is over, or was wrong, is told to exactly those who were told before."""

from __future__ import annotations

from typing import Any

from app.deliveries.states import NOT_DELIVERED, State
from tests.journeys.crew import Crew, Desk, Person, a_person


def test_the_states_in_which_nobody_can_have_the_message() -> None:
    from app.bulletins.repository import NOTHING_CAME

    assert set(NOTHING_CAME) == {State.QUEUED, State.ABSENT} | set(NOT_DELIVERED) | {
        State.CANCELLED, State.EXPIRED, State.SUPPRESSED,
    }  # fmt: skip


async def names(desk: Desk, key: str, number: int) -> set[str]:
    return {entry["person_id"] for entry in await desk.recipients(key, number)}


async def test_resolved_reaches_those_who_were_told_whatever_the_directory_says_now(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    moved, stays, left, failed, held = (a_person(), a_person(), a_person(), a_person("0001", email=""), a_person())
    key = await at_the_desk.told(moved, stays, left, failed)
    await the_desk.hand_over()
    new = a_person()
    await at_the_desk.hire(new, held, Person(**{**vars(moved), "department": "Elsewhere", "name": "Moved Away"}),
                           Person(**{**vars(left), "active": False}))  # fmt: skip
    drafted = await the_desk.call(
        "POST", f"/incidents/{key}/bulletins", {"stage": "resolved", "facts": {}, "audiences": ["others"]}, status=201
    )
    assert drafted["recipients"]["total"] == 2
    assert drafted["errors"] == []
    await the_desk.call("POST", f"/incidents/{key}/bulletins/2/approve", {"accept_warnings": True})
    await the_desk.call("POST", f"/incidents/{key}/bulletins/2/send", {}, status=202)
    assert await names(the_desk, key, 2) == {moved.id, stays.id}
    await the_desk.hand_over()
    assert len(await the_desk.texts(new.mobile)) == 0
    assert [str(text["body"]) for text in await the_desk.texts(moved.mobile)][-1].startswith("resolved for counters")


async def test_who_still_waited_in_the_queue_is_not_told_that_it_is_over(the_desk: Desk, at_the_desk: Crew) -> None:
    people = [a_person(email="") for _ in range(3)]
    key = await at_the_desk.told(*people)
    await the_desk.text(people[0].mobile, "1")  # answered from somebody else's screen: they know
    await the_desk.send(key, "resolved")
    await the_desk.hand_over()
    assert await names(the_desk, key, 2) <= {people[0].id}
    for person in people[1:]:
        assert await the_desk.texts(person.mobile) == []


async def test_when_nobody_was_told_there_is_nobody_to_tell(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(a_person())
    key = await at_the_desk.declare()
    drafted: dict[str, Any] = await the_desk.call(
        "POST", f"/incidents/{key}/bulletins", {"stage": "resolved", "facts": {}}, status=201
    )
    assert (drafted["errors"], drafted["warnings"]) == ([], [])
    await the_desk.call("POST", f"/incidents/{key}/bulletins/1/approve", {"accept_warnings": True})
    sent = await the_desk.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    assert sent["recipients"]["total"] == 0
    assert await the_desk.hand_over() == 0


async def test_a_correction_reaches_those_who_were_told_and_names_what_it_corrects(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    told, new = a_person(), a_person()
    key = await at_the_desk.told(told)
    await the_desk.hand_over()
    await at_the_desk.hire(new)
    wrong = await the_desk.api.post(
        f"/api/v1/incidents/{key}/bulletins", json={"stage": "investigating", "facts": {}, "corrects": 7}
    )
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "corrects"
    assert await the_desk.send(key, "investigating", corrects=1) == 2
    assert await names(the_desk, key, 2) == {told.id}
    shown = await the_desk.call("GET", f"/incidents/{key}/bulletins/2")
    assert shown["corrects"] == 1
    assert await the_desk.send(key, "identified") == 3
    assert await names(the_desk, key, 3) == {told.id, new.id}
