"""Changing an incident: always with a reason, every change on the timeline, closed for good."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.company import check_problem
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def change(muster: Stack, key: str, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = await muster.call("PATCH", f"/incidents/{key}", body, status=200)
    return found


async def kinds(muster: Stack, key: str) -> list[str]:
    return [entry["kind"] for entry in (await muster.call("GET", f"/incidents/{key}/timeline"))["items"]]


async def test_an_incident_says_when_its_next_bulletin_is_due_and_whether_that_has_passed(muster: Stack) -> None:
    key = await muster.declare()
    declared = await muster.call("GET", f"/incidents/{key}")
    first = datetime.fromisoformat(declared["declared_at"]) + timedelta(minutes=5) / muster.house.time_scale
    assert datetime.fromisoformat(declared["next_due_at"]) == first
    promise = (datetime.fromisoformat(declared["declared_at"]) + timedelta(minutes=47)).isoformat(timespec="seconds")
    number = await muster.send(key, facts={"next_update": promise})
    told = await muster.call("GET", f"/incidents/{key}")
    assert datetime.fromisoformat(told["next_due_at"]) == datetime.fromisoformat(promise)
    assert told["overdue"] is False
    listed = (await muster.call("GET", "/incidents"))["items"]
    assert [(i["next_due_at"], i["overdue"]) for i in listed if i["key"] == key] == [(told["next_due_at"], False)]
    board = await muster.call("GET", f"/incidents/{key}/bulletins/{number}/board")
    assert (board["next_due_at"], board["overdue"]) == (told["next_due_at"], False)
    closed = await change(muster, key, status="closed", reason="over")
    assert (closed["next_due_at"], closed["overdue"]) == (None, False)


@pytest.mark.parametrize("reason", [None, "", "   "])
async def test_a_change_without_a_reason_is_refused(muster: Stack, reason: str | None) -> None:
    key = await muster.declare()
    body = {"status": "identified"} | ({} if reason is None else {"reason": reason})
    check_problem(await muster.api.patch(f"/api/v1/incidents/{key}", json=body), 422, "reason")
    assert (await muster.call("GET", f"/incidents/{key}"))["status"] == "declared"


async def test_any_move_among_the_open_statuses_is_allowed_and_told_with_its_reason(muster: Stack) -> None:
    key = await muster.declare()
    moves = ["monitoring", "investigating", "resolved", "identified", "declared", "closed"]
    for status in moves:
        assert (await change(muster, key, status=status, reason=f"now {status}"))["status"] == status
    entries = (await muster.call("GET", f"/incidents/{key}/timeline"))["items"]
    told = [entry for entry in entries if entry["kind"] == "status_changed"]
    assert [entry["data"]["to"] for entry in told] == moves
    assert [entry["data"]["from"] for entry in told] == ["declared", *moves[:-1]]
    assert [entry["data"]["text"] for entry in told] == [f"now {status}" for status in moves]
    for entry in entries:
        assert set(entry) >= {"at", "actor", "kind", "data"}
        assert entry["actor"] == "an admin"
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))


async def test_severity_and_commander_change_with_a_reason(muster: Stack) -> None:
    key = await muster.declare()
    changed = await change(muster, key, severity="SEV3", commander="O1", reason="smaller than feared")
    assert changed["severity"] == "SEV3"
    assert changed["commander"] == {"person_id": "O1", "name": "Kai Road"}
    assert await kinds(muster, key) == ["declared", "severity_changed", "commander_changed"]


async def test_several_wrong_fields_are_named_at_once(muster: Stack) -> None:
    key = await muster.declare()
    body = {"status": "finished", "severity": "SEV0", "commander": "L1"}
    answer = await muster.api.patch(f"/api/v1/incidents/{key}", json=body)
    check_problem(answer, 422, "status", "severity", "commander", "reason")
    check_problem(await muster.api.patch(f"/api/v1/incidents/{key}", json={"reason": "none"}), 422)


async def test_closed_is_final(muster: Stack) -> None:
    key = await muster.declare()
    closed = await change(muster, key, status="closed", reason="over")
    assert closed["closed_at"]
    for body in ({"status": "investigating"}, {"severity": "SEV4"}, {"commander": "O1"}, {"status": "closed"}):
        answer = await muster.api.patch(f"/api/v1/incidents/{key}", json={**body, "reason": "again"})
        check_problem(answer, 409)
    draft = await muster.api.post(f"/api/v1/incidents/{key}/bulletins", json={"stage": "resolved", "facts": {}})
    check_problem(draft, 409)


async def test_stages_never_move_the_status_by_themselves(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key, "resolved")
    assert (await muster.call("GET", f"/incidents/{key}"))["status"] == "declared"


async def test_closing_with_open_help_needs_to_be_said_explicitly(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.call(
        "POST", f"/incidents/{key}/bulletins/1/recipients/S1/acknowledgment",
        {"response": "need_help", "via": "phone", "note": "rang the desk"},
    )  # fmt: skip
    assert (await muster.call("GET", f"/incidents/{key}"))["open_help_requests"] == 1
    body = {"status": "closed", "reason": "over"}
    check_problem(await muster.api.patch(f"/api/v1/incidents/{key}", json=body), 409)
    refused = await muster.api.patch(f"/api/v1/incidents/{key}", json=body | {"accept_open_help": False})
    assert "accept_open_help" in check_problem(refused, 409)["detail"]
    # Any other move does not ask for it.
    await change(muster, key, status="monitoring", reason="getting better")
    assert (await change(muster, key, **body, accept_open_help=True))["status"] == "closed"


async def test_a_changed_severity_is_used_by_the_next_bulletin_not_the_last(muster: Stack) -> None:
    key = await muster.declare()
    first = await muster.call(
        "POST", f"/incidents/{key}/bulletins", {"stage": "investigating", "facts": {}}, status=201
    )
    await change(muster, key, severity="SEV3", reason="smaller")
    again = await muster.call("GET", f"/incidents/{key}/bulletins/1")
    assert again["messages"] == first["messages"]
    second = await muster.call(
        "POST", f"/incidents/{key}/bulletins", {"stage": "investigating", "facts": {}}, status=201
    )
    subjects = [message["subject"] for message in second["messages"] if message["channel"] == "email"]
    assert any("SEV3" in subject for subject in subjects)
    assert not any("SEV1" in subject for subject in subjects)


async def test_an_unknown_incident_is_a_404_everywhere(muster: Stack) -> None:
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"status": "closed", "reason": "x"}), ("GET", "/timeline", None),
        ("GET", "/review", None), ("GET", "/field-reports", None), ("GET", "/help-requests", None),
        ("GET", "/events", None), ("POST", "/bulletins", {"stage": "resolved", "facts": {}}),
        ("GET", "/bulletins/1/board", None), ("GET", "/bulletins/1/recipients", None),
        ("POST", "/bulletins/1/approve", {}), ("POST", "/bulletins/1/send", {}), ("POST", "/bulletins/1/cancel", None),
        (
            "POST", "/bulletins/1/recipients/S1/acknowledgment",
            {"response": "ok", "via": "phone", "note": "rang"},
        ),
    ):  # fmt: skip
        answer = await muster.api.request(method, f"/api/v1/incidents/INC-1999-0001{path}", json=body)
        check_problem(answer, 404)
