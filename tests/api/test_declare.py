"""Declaring an incident over HTTP: what is asked back, what is filled in, and once however often it is sent."""

from __future__ import annotations

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.company import check_problem, messages
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

SLUG = "global-vendor-outage"


async def body_of(muster: Stack, **more: Any) -> dict[str, Any]:
    return {"playbook": SLUG, "severity": "SEV2", "facts": await muster.examples(), **more}


async def refused(muster: Stack, body: Any) -> dict[str, str]:
    """The fields that a declaration is refused for, with what is said of each."""
    return messages(check_problem(await muster.api.post("/api/v1/incidents", json=body), 422))


async def test_a_declaration_answers_201_with_key_status_and_severity(muster: Stack) -> None:
    incident = await muster.call("POST", "/incidents", await body_of(muster), status=201)
    assert re.fullmatch(r"INC-20\d\d-\d{4,}", incident["key"])
    assert incident["status"] == "declared"
    assert incident["severity"] == "SEV2"
    assert incident["drill"] is False
    assert incident["simulated"] is True
    assert await muster.call("GET", f"/incidents/{incident['key']}") == incident


async def test_keys_count_up_without_gaps(muster: Stack) -> None:
    first = await muster.call("POST", "/incidents", await body_of(muster), status=201)
    check_problem(await muster.api.post("/api/v1/incidents", json=await body_of(muster, severity="SEV9")), 422)
    second = await muster.call("POST", "/incidents", await body_of(muster), status=201)
    assert int(second["key"][-4:]) == int(first["key"][-4:]) + 1


async def test_title_commander_and_severity_default_sensibly(muster: Stack) -> None:
    body = await body_of(muster)
    del body["severity"]
    incident = await muster.call("POST", "/incidents", body, status=201)
    playbook = await muster.call("GET", f"/playbooks/{SLUG}")
    assert incident["severity"] == playbook["default_severity"] == "SEV1"
    assert incident["title"].startswith(playbook["title"])
    assert incident["commander"] == {"person_id": None, "name": "an admin"}


async def test_a_commander_with_a_person_of_their_own_commands_in_that_name(muster: Stack) -> None:
    async with await muster.client("commander", person="I1") as client:
        answer = await client.post("/api/v1/incidents", json=await body_of(muster))
    assert answer.status_code == 201
    assert answer.json()["commander"] == {"person_id": "I1", "name": "Hal Wire"}


async def test_title_commander_and_drill_are_taken_as_given(muster: Stack) -> None:
    body = await body_of(muster, title="  Tills   are down ", commander="O1", drill=True)
    incident = await muster.call("POST", "/incidents", body, status=201)
    assert incident["title"] == "Tills are down"
    assert incident["commander"] == {"person_id": "O1", "name": "Kai Road"}
    assert incident["drill"] is True


async def test_every_missing_fact_is_named_with_what_would_be_right(muster: Stack) -> None:
    named = await refused(muster, {"playbook": SLUG, "severity": "SEV1", "facts": {}})
    assert set(named) == {"facts.vendor", "facts.what_is_down", "facts.what_works", "facts.next_update"}
    for message in named.values():
        assert "missing; give " in message
    # The time's example is one that would be taken right now.
    suggested = re.search(r"20\d\d-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z", named["facts.next_update"])
    assert suggested
    facts = await muster.examples() | {"next_update": suggested[0]}
    await muster.call("POST", "/incidents", await body_of(muster, facts=facts), status=201)


async def test_wrong_unknown_and_missing_facts_are_all_named_at_once(muster: Stack) -> None:
    facts = {
        "vendor": 7,
        "what_is_down": "x" * 61,
        "next_update": "at noon",
        "sites": ["Atlantis"],
        "vendr": "Northwind",
        "workaround": "two\nlines",
    }
    body = {"playbook": SLUG, "severity": "SEV7", "facts": facts, "title": " ", "commander": "L1"}
    named = await refused(muster, body)
    assert set(named) == {
        "severity", "title", "commander", "facts.vendor", "facts.what_is_down", "facts.next_update", "facts.sites",
        "facts.vendr", "facts.workaround", "facts.what_works",
    }  # fmt: skip
    assert "SEV1" in named["severity"]
    assert "has left" in named["commander"]
    assert "at most 60" in named["facts.what_is_down"]
    assert "vendor" in named["facts.vendr"]
    assert "Dallas" in named["facts.sites"]
    assert re.search(r"20\d\d-", named["facts.next_update"])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2030-01-01T10:00:00", id="without an offset"),
        pytest.param("10:30", id="only a time of day"),
        pytest.param(1893456000, id="a number"),
        pytest.param("2030-02-30T10:00:00Z", id="a day that does not exist"),
        pytest.param((datetime.now(UTC) - timedelta(hours=1)).isoformat(), id="in the past"),
    ],
)
async def test_a_time_is_rfc_3339_and_lies_ahead(muster: Stack, value: object) -> None:
    facts = await muster.examples() | {"next_update": value}
    assert set(await refused(muster, await body_of(muster, facts=facts))) == {"facts.next_update"}


async def test_a_time_with_any_offset_is_taken(muster: Stack) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    written = ahead.isoformat().replace("+00:00", "-00:00")
    facts = await muster.examples() | {"next_update": written.replace("-00:00", "+00:00")}
    await muster.call("POST", "/incidents", await body_of(muster, facts=facts), status=201)


async def test_a_number_is_a_json_number(muster: Stack) -> None:
    playbook = await muster.call("GET", "/playbooks/payment-outage")
    numbers = [fact for fact in playbook["facts"] if fact["type"] == "number"]
    assert numbers, "a shipped playbook has a number to fill in"
    name = numbers[0]["name"]
    facts = {fact["name"]: fact["example"] for fact in playbook["facts"]}
    assert isinstance(facts[name], int | float)
    body = {"playbook": "payment-outage", "severity": "SEV1"}
    for wrong in (str(facts[name]), True, [facts[name]]):
        assert set(await refused(muster, {**body, "facts": facts | {name: wrong}})) == {f"facts.{name}"}
    await muster.call("POST", "/incidents", {**body, "facts": facts}, status=201)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"playbook": "no-such-plan", "facts": {}}, "playbook"),
        ({"facts": {}}, "playbook"),
        ({"playbook": SLUG, "facts": []}, "facts"),
        ({"playbook": SLUG, "facts": {}, "severty": "SEV1"}, "severty"),
        ({"playbook": SLUG, "facts": {}, "drill": "perhaps"}, "drill"),
        ({"playbook": [SLUG], "facts": {}}, "playbook"),
        ({"playbook": SLUG, "facts": {}, "title": 3}, "title"),
    ],
)
async def test_each_wrong_field_of_the_body_is_named(muster: Stack, body: Any, field: str) -> None:
    assert field in await refused(muster, body)


async def test_a_title_may_have_120_characters(muster: Stack) -> None:
    await muster.call("POST", "/incidents", await body_of(muster, title="t" * 120), status=201)
    assert "120" in (await refused(muster, await body_of(muster, title="t" * 121)))["title"]


async def test_the_same_key_and_body_are_the_same_incident(muster: Stack) -> None:
    key, body = {"Idempotency-Key": f"retry-{uuid.uuid4()}"}, await body_of(muster)
    first = await muster.call("POST", "/incidents", body, status=201, headers=key)
    again = await muster.call("POST", "/incidents", body, status=201, headers=key)
    assert again == first
    told = (await muster.call("GET", f"/incidents/{first['key']}/timeline"))["items"]
    assert [entry["kind"] for entry in told] == ["declared"]


async def test_the_same_key_with_another_body_is_refused(muster: Stack) -> None:
    key, body = {"Idempotency-Key": f"other-{uuid.uuid4()}"}, await body_of(muster)
    await muster.call("POST", "/incidents", body, status=201, headers=key)
    other = await muster.api.post("/api/v1/incidents", json={**body, "severity": "SEV3"}, headers=key)
    check_problem(other, 422, "Idempotency-Key")


async def test_a_refused_declaration_leaves_its_key_free(muster: Stack) -> None:
    key, body = {"Idempotency-Key": f"mended-{uuid.uuid4()}"}, await body_of(muster)
    wrong = await muster.api.post("/api/v1/incidents", json={**body, "facts": {}}, headers=key)
    check_problem(wrong, 422)
    await muster.call("POST", "/incidents", body, status=201, headers=key)


async def test_each_account_has_keys_of_its_own(muster: Stack) -> None:
    key, body = {"Idempotency-Key": f"mine-{uuid.uuid4()}"}, await body_of(muster)
    mine = await muster.call("POST", "/incidents", body, status=201, headers=key)
    async with await muster.client("commander") as other:
        theirs = await other.post("/api/v1/incidents", json=body, headers=key)
    assert theirs.status_code == 201
    assert theirs.json()["key"] != mine["key"]


async def test_two_at_the_same_moment_are_one_incident(muster: Stack) -> None:
    key, body = {"Idempotency-Key": f"twice-{uuid.uuid4()}"}, await body_of(muster)
    answers = await asyncio.gather(*(muster.api.post("/api/v1/incidents", json=body, headers=key) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert all(answer.json() == answers[0].json() for answer in answers)


@pytest.mark.parametrize("key", ["", "k" * 256, "a\ttab"])
async def test_a_key_that_cannot_be_kept_is_refused(muster: Stack, key: str) -> None:
    answer = await muster.api.post("/api/v1/incidents", json=await body_of(muster), headers={"Idempotency-Key": key})
    check_problem(answer, 422, "Idempotency-Key")


async def test_incidents_are_paged_newest_first_and_filtered_by_status(muster: Stack) -> None:
    made = [await muster.declare() for _ in range(3)]
    await muster.call("PATCH", f"/incidents/{made[1]}", {"status": "closed", "reason": "it was nothing"})
    seen: list[str] = []
    cursor = None
    while True:
        page = await muster.call("GET", "/incidents", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert set(page) == {"items", "next_cursor"}
        seen += [item["key"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
        assert len(page["items"]) == 2
    assert seen[:3] == made[::-1]
    assert len(seen) == len(set(seen))
    everything = await muster.call("GET", "/incidents", params={"limit": 200})
    assert [item["key"] for item in everything["items"]] == seen
    is_open = await muster.call("GET", "/incidents", params={"status": "open", "limit": 200})
    assert made[1] not in [item["key"] for item in is_open["items"]]
    closed = await muster.call("GET", "/incidents", params={"status": "closed", "limit": 200})
    assert made[1] in [item["key"] for item in closed["items"]]
    assert {item["status"] for item in closed["items"]} == {"closed"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "not one of ours"}, "cursor"),
        ({"cursor": "YWJj"}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "half-open"}, "status"),
    ],
)
async def test_a_list_cannot_be_asked_for_nonsense(muster: Stack, query: dict[str, str], field: str) -> None:
    check_problem(await muster.api.get("/api/v1/incidents", params=query), 422, field)


async def test_a_declaration_names_the_open_incidents_that_it_looks_like(muster: Stack) -> None:
    first = await muster.declare("ransomware")
    drill = await muster.declare("ransomware", drill=True)
    made = await muster.api.post(
        "/api/v1/incidents", json={"playbook": "ransomware", "facts": await muster.examples("ransomware")}
    )
    assert f'</api/v1/incidents/{first}>; rel="related"' in made.headers["Link"]
    assert drill not in made.headers["Link"]
    assert made.json()["key"] not in made.headers["Link"]
