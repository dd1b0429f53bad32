"""The board over HTTP: counts that add up, everybody by name, answers for others, and a stream that misses nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.api.company import ACTIVE, CSV, MOBILES, STATUSES, Events, check_problem, code_of
from tests.spare import Spare
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

CHANNEL_STATES = {
    "queued", "handing_over", "accepted", "queued_there", "sending", "sent", "cancelled_there", "undelivered", "failed",
    "delivered", "read", "rejected", "suppressed", "unknown", "absent", "uncertain", "cancelled", "expired",
}  # fmt: skip


def adds_up(board: dict[str, Any]) -> None:
    """The eight counts make the total, and the departments make the counts."""
    assert set(board["counts"]) == STATUSES
    assert sum(board["counts"].values()) == board["total"]
    for status in STATUSES:
        assert sum(department[status] for department in board["by_department"].values()) == board["counts"][status]
    for states in board["by_channel"].values():
        assert set(states) <= CHANNEL_STATES


async def on_behalf(muster: Stack, key: str, person: str, response: str = "ok", **more: Any) -> dict[str, Any]:
    body = {"response": response, "via": "phone", "note": "rang the desk", **more}
    path = f"/incidents/{key}/bulletins/1/recipients/{person}/acknowledgment"
    found: dict[str, Any] = await muster.call("POST", path, body)
    return found


async def test_the_eight_counts_add_up_from_before_the_send_to_the_answers(muster: Stack) -> None:
    key = await muster.declare()
    number = await muster.write(key)
    before = await muster.board(key, number)
    assert before["total"] == 0
    adds_up(before)
    await muster.call("POST", f"/incidents/{key}/bulletins/{number}/send", {}, status=202)
    adds_up(await muster.board(key, number))
    board = await muster.settled(key, number)
    assert board["total"] == len(ACTIVE)
    assert board["counts"]["waiting"] == len(ACTIVE) - 1
    assert board["counts"]["unreachable"] == 1
    assert board["simulated"] is True
    assert abs(datetime.fromisoformat(board["as_of"]) - datetime.now(UTC)) < timedelta(minutes=5)
    await on_behalf(muster, key, "S1")
    await on_behalf(muster, key, "S2", "need_help")
    await on_behalf(muster, key, "S3", "cannot")
    board = await muster.board(key, number)
    adds_up(board)
    assert {name: many for name, many in board["counts"].items() if many} == {
        "acknowledged": 1, "need_help": 1, "cannot": 1, "unreachable": 1, "waiting": len(ACTIVE) - 4,
    }  # fmt: skip
    assert board["by_department"]["Store Operations"]["total"] == 6
    assert sum(board["by_channel"]["sms"].values()) == 10
    assert sum(board["by_channel"]["email"].values()) == 1


async def test_whoever_leaves_before_the_hand_over_counts_as_cancelled(quiet: Stack) -> None:
    key = await quiet.declare()
    await quiet.send(key)
    row = "O1,Kai Road,Operations,Planner,Dallas,,+12065550191,o1@example.com,,en,{}\n"
    header = "id,name,department,title,site,manager_id,mobile,email,phone,language,active\n"
    await quiet.import_people((header + row.format("false")).encode())
    try:
        board = await quiet.board(key)
        adds_up(board)
        assert board["counts"]["cancelled"] == 1
        assert board["counts"]["pending"] == len(ACTIVE) - 2
        person = await quiet.person(key, "O1")
        assert person["status"] == "cancelled"
        assert "left" in person["reason"]
    finally:
        await quiet.import_people((header + row.format("true")).encode())


async def test_before_a_worker_comes_everybody_is_pending(quiet: Stack) -> None:
    key = await quiet.declare()
    await quiet.send(key)
    board = await quiet.board(key)
    adds_up(board)
    assert board["counts"]["pending"] == len(ACTIVE) - 1
    assert board["by_channel"] == {"sms": {"queued": 10}, "email": {"queued": 1}}


async def test_cancelling_before_a_worker_comes_stops_everybody(quiet: Stack) -> None:
    key = await quiet.declare()
    await quiet.send(key)
    await quiet.call("POST", f"/incidents/{key}/bulletins/1/cancel")
    board = await quiet.board(key)
    adds_up(board)
    assert board["counts"]["cancelled"] >= len(ACTIVE) - 1
    assert board["counts"]["pending"] == 0


async def test_recipients_show_person_answer_next_step_and_attempts(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    people = {entry["person_id"]: entry for entry in await muster.recipients(key)}
    assert set(people) == set(ACTIVE)
    told = people["S1"]
    assert told["name"] == "Ana Till"
    assert told["status"] == "waiting"
    assert told["response"] is told["via"] is told["acknowledged_at"] is None
    assert told["next_step"] == "email"
    assert datetime.fromisoformat(told["next_step_at"]) > datetime.now(UTC)
    [attempt] = told["attempts"]
    assert attempt["channel"] == "sms"
    assert attempt["state"] in CHANNEL_STATES
    assert attempt["error_code"] is None
    assert attempt["provider_message_id"].startswith("SM")
    for name in ("created_at", "handed_over_at", "accepted_at", "updated_at"):
        assert datetime.fromisoformat(attempt[name]).tzinfo
    nobody = people["S4"]
    assert nobody["status"] == "unreachable"
    assert nobody["reason"]
    assert nobody["attempts"] == []
    await on_behalf(muster, key, "S1", "need_help")
    answered = await muster.person(key, "S1")
    assert (answered["status"], answered["response"], answered["via"]) == ("need_help", "need_help", "phone")
    assert answered["acknowledged_at"]
    assert answered["next_step"] is None


async def test_recipients_are_filtered_and_paged(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    await on_behalf(muster, key, "S1")
    await on_behalf(muster, key, "C1", "cannot")

    async def ids(**query: Any) -> set[str]:
        return {entry["person_id"] for entry in await muster.recipients(key, **query)}

    assert await ids(status="acknowledged") == {"S1"}
    assert await ids(status="acknowledged,cannot") == {"S1", "C1"}
    assert await ids(department="customer service") == {"C1"}
    assert await ids(department="Store Operations", status="waiting") == {"S2", "S3", "S5", "S6"}
    assert await ids(department="Nowhere") == set()
    assert await ids(q="lock") == {"X1"}
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 5}
    while True:
        page = await muster.call("GET", f"/incidents/{key}/bulletins/1/recipients", params=query)
        seen += [entry["person_id"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(seen) == sorted(ACTIVE)
    path = f"/api/v1/incidents/{key}/bulletins/1/recipients"
    check_problem(await muster.api.get(path, params={"status": "asleep"}), 422, "status")
    check_problem(await muster.api.get(path, params={"cursor": "zzz!"}), 422, "cursor")
    check_problem(await muster.api.get(path, params={"limit": 1001}), 422, "limit")
    check_problem(await muster.api.get(path.replace("/1/", "/9/")), 404)
    check_problem(await muster.api.get(path.replace("recipients", "board").replace("/1/", "/9/")), 404)


async def test_an_answer_on_somebodys_behalf_says_who_how_and_when(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    sent = datetime.fromisoformat((await muster.call("GET", f"/incidents/{key}/bulletins/1"))["sent_at"])
    at = (sent + timedelta(milliseconds=500)).isoformat()
    answer = await on_behalf(muster, key, "S4", via="in_person", at=at)
    assert answer["response"] == "ok"
    assert answer["via"] == "in_person"
    person = await muster.person(key, "S4")
    assert person["status"] == "acknowledged"
    assert datetime.fromisoformat(person["acknowledged_at"]) == sent + timedelta(milliseconds=500)
    told = (await muster.call("GET", f"/incidents/{key}/timeline"))["items"][-1]
    assert told["kind"] == "acknowledged"
    assert told["actor"] == "an admin"
    assert told["data"]["person"] == {"person_id": "S4", "name": "Dee Nowhere"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"response": "yes"}, "response"),
        ({"response": None}, "response"),
        ({"via": "sms"}, "via"),
        ({"via": "page"}, "via"),
        ({"note": ""}, "note"),
        ({"note": "   "}, "note"),
        ({"note": "x" * 2001}, "note"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-03-02T03:05:00"}, "at"),
        ({"at": (datetime.now(UTC) + timedelta(hours=5)).isoformat()}, "at"),
        ({"at": "2001-01-01T00:00:00Z"}, "at"),
        ({"person": "S1"}, "person"),
    ],
)
async def test_an_answer_on_somebodys_behalf_names_what_is_wrong(
    muster: Stack, answered: str, change: dict[str, Any], field: str
) -> None:
    body = {"response": "ok", "via": "phone", "note": "rang", **change}
    path = f"/api/v1/incidents/{answered}/bulletins/1/recipients/S1/acknowledgment"
    check_problem(await muster.api.post(path, json=body), 422, field)


@pytest.mark.parametrize("missing", ["response", "via", "note"])
async def test_an_answer_on_somebodys_behalf_needs_every_part(muster: Stack, answered: str, missing: str) -> None:
    body = {"response": "ok", "via": "phone", "note": "rang"}
    del body[missing]
    path = f"/api/v1/incidents/{answered}/bulletins/1/recipients/S1/acknowledgment"
    check_problem(await muster.api.post(path, json=body), 422, missing)


async def test_nobody_answers_for_somebody_who_was_not_told(muster: Stack, answered: str) -> None:
    body = {"response": "ok", "via": "phone", "note": "rang"}
    for person in ("L1", "NOBODY", "%00", "S1%2F"):
        path = f"/api/v1/incidents/{answered}/bulletins/1/recipients/{person}/acknowledgment"
        check_problem(await muster.api.post(path, json=body))
    draft = await muster.write(answered, "resolved")
    path = f"/api/v1/incidents/{answered}/bulletins/{draft}/recipients/S1/acknowledgment"
    check_problem(await muster.api.post(path, json=body), 409)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def answered(muster: Stack) -> str:
    """An incident with one sent bulletin."""
    key = await muster.declare()
    await muster.send(key)
    return key


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def quiet(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """An installation without a worker: whatever is sent stays queued."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("quiet"), worker=False) as running:
        await running.import_people(CSV.encode())
        yield running


async def test_field_reports_and_help_requests_name_who_what_and_where(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    await muster.reply(MOBILES["M1"], f"2 {await code_of(muster, key, 'M1')}")
    await muster.reply(MOBILES["M1"], "The press is at the door, what do we say?")
    await muster.reply(MOBILES["S5"], "Queue to the street")
    reports = (await muster.call("GET", f"/incidents/{key}/field-reports"))["items"]
    assert [entry["text"] for entry in reports] == ["Queue to the street", "The press is at the door, what do we say?"]
    from_shared, from_one = reports
    assert from_one["person_id"] == "M1"
    assert (from_one["name"], from_one["department"], from_one["site"]) == ("Jan Word", "Marketing", "Dallas")
    assert from_one["at"]
    assert from_shared["person_id"] is None
    assert MOBILES["S5"] not in str([report | {"call": None} for report in reports])
    assert from_shared["call"] == MOBILES["S5"], "an admin may call"
    help_requests = await muster.call("GET", f"/incidents/{key}/help-requests")
    assert set(help_requests) == {"items", "next_cursor"}
    [request] = help_requests["items"]
    assert request["person_id"] == "M1"
    assert request["site"] == "Dallas"
    assert request["owner"] is None
    taken = await muster.call("POST", f"/incidents/{key}/help-requests/{request['id']}/take")
    assert taken["owner"] == "an admin"
    check_problem(
        await muster.api.post(f"/api/v1/incidents/{key}/help-requests/{request['id']}/close", json={"outcome": " "}),
        422,
    )
    closed = await muster.call(
        "POST", f"/incidents/{key}/help-requests/{request['id']}/close", {"outcome": "sent a text"}
    )
    assert closed["state"] == "closed"
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/help-requests/{request['id']}/take"), 409)
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/help-requests/999999/take"), 404)
    pages = await muster.call("GET", f"/incidents/{key}/field-reports", params={"limit": 1})
    assert len(pages["items"]) == 1
    rest = await muster.call("GET", f"/incidents/{key}/field-reports", params={"cursor": pages["next_cursor"]})
    assert rest == {"items": [from_one], "next_cursor": None}


async def test_events_bring_the_timeline_from_the_start_and_every_change_of_the_board(muster: Stack) -> None:
    key = await muster.declare()
    number = await muster.write(key)
    async with muster.api.stream("GET", f"/api/v1/incidents/{key}/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Events(response)
        for expected in ("declared", "bulletin_drafted", "bulletin_approved"):
            name, event_id, entry = await stream.next()
            assert (name, entry["kind"]) == ("timeline", expected)
            assert event_id == str(entry["seq"])
        await muster.call("POST", f"/incidents/{key}/bulletins/{number}/send", {}, status=202)
        await on_behalf(muster, key, "S4")
        seen: list[str] = []
        boards: list[dict[str, Any]] = []
        while not (boards and boards[-1]["counts"]["acknowledged"] == 1):
            name, event_id, data = await stream.next()
            if name == "board":
                boards.append(data)
                assert event_id is None
            else:
                assert name == "timeline"
                seen.append(data["kind"])
        assert "bulletin_sent" in seen
        assert seen.count("acknowledged") == 1
        for board in boards:
            adds_up(board)


@pytest.mark.parametrize("page", [1, 2, 3, 4])
async def test_events_of_a_long_incident_come_page_by_page_and_then_the_board(
    muster: Stack, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("app.board.api.ENTRIES_AT_A_TIME", page)
    key = await muster.declare()
    number = await muster.write(key)
    await muster.call("POST", f"/incidents/{key}/bulletins/{number}/send", {}, status=202)
    entries = (await muster.call("GET", f"/incidents/{key}/timeline"))["items"]
    async with muster.api.stream("GET", f"/api/v1/incidents/{key}/events") as response:
        stream, names = Events(response), list[str]()
        while "board" not in names:
            names.append((await stream.next())[0])
    assert len(entries) >= 4
    assert names == [*["timeline"] * (len(names) - 1), "board"]
    assert len(names) > len(entries)


async def test_events_go_on_after_the_last_one_seen(muster: Stack) -> None:
    key = await muster.declare()
    for status in ("investigating", "identified", "monitoring"):
        await muster.call("PATCH", f"/incidents/{key}", {"status": status, "reason": "on it"})
    path, header = f"/api/v1/incidents/{key}/events", {"Last-Event-ID": "2"}
    async with muster.api.stream("GET", path, headers=header) as response:
        stream = Events(response)
        assert [(await stream.next())[1] for _ in range(2)] == ["3", "4"]
        await muster.call("PATCH", f"/incidents/{key}", {"status": "resolved", "reason": "done"})
        name, event_id, entry = await stream.next()
        assert (name, event_id, entry["data"]["to"]) == ("timeline", "5", "resolved")
    # A number that cannot be read starts from the beginning rather than losing anything.
    async with muster.api.stream("GET", path, headers={"Last-Event-ID": "garbage"}) as response:
        assert (await Events(response).next())[1] == "1"


async def test_a_change_on_the_board_is_shown_within_two_seconds(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    async with muster.api.stream("GET", f"/api/v1/incidents/{key}/events") as response:
        stream = Events(response)
        while (await stream.next())[0] != "board":
            pass
        await on_behalf(muster, key, "S2")
        shown = False
        while not shown:
            name, _, data = await stream.next(seconds=6)  # two seconds, on a machine that is busy with other tests
            shown = name == "board" and data["counts"]["acknowledged"] == 1
