"""The eight counts: each occurs, each person is in one, and they always add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tests.journeys.crew import COUNTS, Crew, Person, a_person, adds_up, faults


async def test_each_of_the_eight_occurs_and_they_add_up_all_the_while(crew: Crew) -> None:
    muster = crew.muster
    people = {
        "acknowledged": a_person(), "need_help": a_person(), "cannot": a_person(department="IT"),
        "cancelled": a_person("0008", email=""), "waiting": a_person(), "pending": a_person("0008", email=""),
        "uncertain": a_person(mobile="", email=f"cut+{crew.site[-8:]}@example.org"),
        "unreachable": a_person(mobile="", email="", department="IT"),
    }  # fmt: skip
    assert tuple(people) == COUNTS
    boards: list[dict[str, Any]] = []
    watching = True

    async def watch(key: str) -> None:
        while watching:
            boards.append(await muster.board(key))
            await asyncio.sleep(0.02)

    await crew.hire(*people.values())
    key = await crew.declare(severity="SEV3")
    number = await muster.write(key)
    watcher = asyncio.create_task(watch(key))
    await muster.call("POST", f"/incidents/{key}/bulletins/{number}/send", {}, status=202)
    for status in ("acknowledged", "need_help", "cannot"):
        await crew.until_attempts(key, people[status], ("sms", "delivered"))
    for status, digit in (("acknowledged", "1"), ("need_help", "2"), ("cannot", "3")):
        await muster.reply(people[status].mobile, digit)
    leaver = people["cancelled"]
    await crew.hire(Person(**{**vars(leaver), "active": False}))
    for status, person in people.items():
        await crew.until(key, person, status=status)
    watching = False
    await watcher
    for board in (*boards, await muster.board(key)):
        if board["sent_at"]:
            adds_up(board)
            assert board["total"] == 8
    board = await muster.board(key)
    assert board["counts"] == dict.fromkeys(COUNTS, 1)
    assert board["by_department"]["IT"] == {"total": 2, **dict.fromkeys(COUNTS, 0), "cannot": 1, "unreachable": 1}
    recipients = await muster.recipients(key)
    assert Counter(entry["status"] for entry in recipients) == board["counts"]
    # by_channel counts attempts: each that the people have, once. The one that is refused for now comes and goes.
    going = {"queued": "pending", "handing_over": "pending"}
    attempts = Counter(
        (a["channel"], going.get(a["state"], a["state"])) for entry in recipients for a in entry["attempts"]
    )
    shown = Counter[tuple[str, str]]()
    for channel, states in board["by_channel"].items():
        for state, many in states.items():
            shown[channel, going.get(state, state)] += many
    assert shown == attempts
    for status in COUNTS:
        only = await muster.recipients(key, status=status)
        assert [entry["person_id"] for entry in only] == [people[status].id]
        assert bool(only[0]["reason"]) == (status in ("cancelled", "unreachable"))


async def test_a_board_before_the_send_is_all_zeros(crew: Crew) -> None:
    await crew.hire(a_person())
    key = await crew.declare()
    await crew.muster.write(key)
    board = await crew.muster.board(key)
    adds_up(board)
    assert board["total"] == 0
    assert board["simulated"] is True


async def test_answers_of_every_way_count_the_same(crew: Crew) -> None:
    """By text, on the page, in person: each is one act, and the last one counts."""
    person = a_person()
    key = await crew.told(person, severity="SEV3")
    await crew.until_attempts(key, person, ("sms", "delivered"))
    said = {"response": "cannot", "via": "in_person", "note": "asked at the desk"}
    await crew.muster.call("POST", f"/incidents/{key}/bulletins/1/recipients/{person.id}/acknowledgment", said)
    entry = await crew.until(key, person, status="cannot", via="in_person")
    assert entry["next_step"] is None
    await crew.muster.reply(person.mobile, "1")
    await crew.until(key, person, status="acknowledged", via="sms")


async def test_why_somebody_cannot_be_reached_is_said_in_words(crew: Crew) -> None:
    people = {
        "the number is not valid": a_person("0001", email=""),
        "the number cannot receive texts": a_person("0009", email=""),
        "the number has opted out of texts": a_person("0004", email=""),
        "the provider has no route to this number": a_person("0002", email=""),
        "the number is not in service": a_person("2005", email=""),
        "the carrier filtered the message": a_person("2007", email=""),
        "no usable contact point": a_person(mobile="", email=""),
    }
    key = await crew.told(*people.values(), severity="SEV3")
    for reason, person in people.items():
        await crew.until(key, person, status="unreachable", reason=reason)
    board = await crew.muster.board(key)
    adds_up(board)
    assert board["counts"]["unreachable"] == len(people)
    # The next bulletin knows it beforehand, before anybody is asked to approve it.
    drafted = await crew.muster.call(
        "POST", f"/incidents/{key}/bulletins", {"stage": "identified", "facts": {}}, status=201
    )
    reasons = {entry["person_id"]: entry["reason"] for entry in drafted["recipients"]["unreachable"]}
    flagged = ("not valid", "cannot receive", "opted out", "not in service", "no usable")
    assert set(reasons) == {p.id for words, p in people.items() if any(part in words for part in flagged)}
    assert drafted["recipients"]["total"] == len(people)
    await faults(crew.muster, http=None)
