"""Two callers, one incident: an answer's ETag, If-Match, and what is said to who comes second."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from app.web import etags
from tests.api.company import check_problem
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def tag(muster: Stack, path: str) -> str:
    answer = await muster.api.get(f"/api/v1{path}")
    assert answer.status_code == 200
    return str(answer.headers["ETag"])


async def patch(muster: Stack, key: str, if_match: str | None = None, **body: Any) -> Any:
    headers = {"If-Match": if_match} if if_match is not None else {}
    return await muster.api.patch(f"/api/v1/incidents/{key}", json={"reason": "as agreed"} | body, headers=headers)


async def test_a_change_from_an_older_state_is_refused_with_what_changed_and_by_whom(muster: Stack) -> None:
    key = await muster.declare()
    seen = await tag(muster, f"/incidents/{key}")
    async with await muster.client("commander") as other:
        moved = await other.patch(
            f"/api/v1/incidents/{key}", json={"status": "monitoring", "reason": "fixed"}, headers={"If-Match": seen}
        )
    assert moved.status_code == 200
    problem = check_problem(await patch(muster, key, seen, severity="SEV2"), 412)
    (change,) = problem["changed"]
    assert (change["what"], change["by"]) == ("status changed from declared to monitoring", "a commander")
    assert (change["reason"], change["at"][-1]) == ("fixed", "Z")
    assert "status changed from declared to monitoring by a commander" in problem["detail"]
    incident = await muster.call("GET", f"/incidents/{key}")
    assert (incident["status"], incident["severity"]) == ("monitoring", "SEV1")
    again = await patch(muster, key, moved.headers["ETag"], severity="SEV2")
    assert (again.status_code, again.headers["ETag"]) == (200, await tag(muster, f"/incidents/{key}"))


async def test_of_two_changes_at_once_from_the_same_state_one_wins(muster: Stack) -> None:
    key = await muster.declare()
    seen = await tag(muster, f"/incidents/{key}")
    answers = await asyncio.gather(*(patch(muster, key, seen, status=s) for s in ("identified", "monitoring") * 2))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    won = next(answer for answer in answers if answer.status_code == 200)
    assert (await muster.call("GET", f"/incidents/{key}"))["status"] == won.json()["status"]


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ("*", 200),
        ('"nobody-knows", {tag}', 200),
        ("{tag},,", 200),
        ("W/{tag}", 412),
        ('"nobody-knows"', 412),
        ('""', 412),
        ("nobody-knows", 400),
        ("3", 400),
        ("", 400),
        ('"open', 400),
        ("*, {tag}", 400),
        ("{tag} {tag}", 400),
    ],
)
async def test_if_match_is_read_as_the_standard_says(muster: Stack, if_match: str, status: int) -> None:
    key = await muster.declare()
    header = if_match.replace("{tag}", await tag(muster, f"/incidents/{key}"))
    answer = await patch(muster, key, header, status="identified")
    assert answer.status_code == status, answer.text
    if status != 200:
        problem = check_problem(answer, status)
        assert "entity tag" in problem["detail"] or problem["changed"]
        assert (await muster.call("GET", f"/incidents/{key}"))["status"] == "declared"


@pytest.mark.parametrize("of", ["", "/bulletins/1"])
async def test_what_has_not_changed_is_not_sent_again(muster: Stack, of: str) -> None:
    key = await muster.declare()
    await muster.call("POST", f"/incidents/{key}/bulletins", {"stage": "investigating"}, status=201)
    path = f"/api/v1/incidents/{key}{of}"
    first = await muster.api.get(path)
    for known in (first.headers["ETag"], "*", f'"other", W/{first.headers["ETag"]}'):
        again = await muster.api.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await patch(muster, key, severity="SEV2")
    changed = await muster.api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


async def test_every_answer_with_an_incident_or_a_bulletin_carries_its_tag(muster: Stack) -> None:
    made = await muster.api.post(
        "/api/v1/incidents", json={"playbook": "global-vendor-outage", "facts": await muster.examples()}
    )
    key = made.json()["key"]
    assert made.headers["ETag"] == await tag(muster, f"/incidents/{key}")
    path = f"/incidents/{key}/bulletins"
    answers = [await muster.api.post(f"/api/v1{path}", json={"stage": "investigating"})]
    tags = [answers[0].headers["ETag"]]
    for step, body in (("approve", {"accept_warnings": True}), ("send", {"confirm": True}), ("cancel", None)):
        answer = await muster.api.post(f"/api/v1{path}/1/{step}", json=body, headers={"If-Match": tags[-1]})
        assert answer.is_success, answer.text
        assert answer.headers["ETag"] == await tag(muster, f"{path}/1")
        tags.append(answer.headers["ETag"])
    assert len(set(tags)) == 4


async def test_a_bulletin_that_changed_meanwhile_is_neither_approved_nor_sent_nor_cancelled(muster: Stack) -> None:
    key = await muster.declare()
    await muster.call("POST", f"/incidents/{key}/bulletins", {"stage": "investigating"}, status=201)
    path = f"/api/v1/incidents/{key}/bulletins/1"
    seen = await tag(muster, f"/incidents/{key}/bulletins/1")
    async with await muster.client("communications_lead") as other:
        await other.post(f"{path}/approve", json={"accept_warnings": True})
    for step in ("send", "cancel", "approve"):
        problem = check_problem(await muster.api.post(f"{path}/{step}", json={}, headers={"If-Match": seen}), 412)
        assert [(c["what"], c["by"]) for c in problem["changed"]] == [("bulletin 1 approved", "a communications_lead")]
    assert (await muster.call("GET", f"/incidents/{key}/bulletins/1"))["state"] == "approved"


async def test_a_send_repeated_because_its_answer_was_lost_is_the_same_answer(muster: Stack) -> None:
    key = await muster.declare()
    await muster.write(key)
    path = f"/incidents/{key}/bulletins/1"
    seen = await tag(muster, path)
    first, again = [
        await muster.api.post(f"/api/v1{path}/send", json={"confirm": True}, headers={"If-Match": seen})
        for _ in range(2)
    ]
    assert (again.status_code, again.json(), again.headers["ETag"]) == (202, first.json(), first.headers["ETag"])
    async with await muster.client("commander") as other:
        late = await other.post(f"/api/v1{path}/send", json={"confirm": True}, headers={"If-Match": seen})
    assert [(c["what"], c["by"]) for c in check_problem(late, 412)["changed"]] == [("bulletin 1 sent", "an admin")]


async def test_with_an_idempotency_key_a_repeated_change_gets_the_first_answer(muster: Stack) -> None:
    key = await muster.declare()
    seen = await tag(muster, f"/incidents/{key}")
    headers = {"If-Match": seen, "Idempotency-Key": f"change-{uuid.uuid4()}"}
    body = {"status": "identified", "reason": "as agreed"}
    first = await muster.api.patch(f"/api/v1/incidents/{key}", json=body, headers=headers)
    await patch(muster, key, severity="SEV3")
    again = await muster.api.patch(f"/api/v1/incidents/{key}", json=body, headers=headers)
    assert (again.status_code, again.json(), again.headers["ETag"]) == (200, first.json(), first.headers["ETag"])


async def test_answers_that_come_in_refuse_nobodys_change(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    seen = await tag(muster, f"/incidents/{key}")
    for person, response in (("S1", "ok"), ("S2", "need_help")):
        path = f"/incidents/{key}/bulletins/1/recipients/{person}/acknowledgment"
        await muster.call("POST", path, {"response": response, "via": "phone", "note": "rang"})
    assert await tag(muster, f"/incidents/{key}") != seen, "one more open request for help is another answer"
    assert (await patch(muster, key, seen, status="identified")).status_code == 200


async def test_a_tag_stands_for_one_answer() -> None:
    assert etags.of({"version": 7, "a": 1}) == etags.of({"a": 1, "version": 7}) != etags.of({"version": 7, "a": 2})
