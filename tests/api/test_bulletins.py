"""A bulletin from draft to sent: what is previewed is what goes out, once, and it never changes after that."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from app.kernel.db import row, run
from tests.api.company import ACTIVE, MOBILES, STATUSES, check_problem, code_of
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

LINK = re.compile(r"http://127\.0\.0\.1:\d+/a/[a-z2-7]{20}")
CODE = re.compile(r"\b[Cc]ode(?: is)? [A-Z][2-9]{1,3}\b")


async def draft(muster: Stack, key: str, stage: str = "investigating", **more: Any) -> dict[str, Any]:
    body = {"stage": stage, "facts": {}, **more}
    found: dict[str, Any] = await muster.call("POST", f"/incidents/{key}/bulletins", body, status=201)
    return found


def sample(text: str) -> str:
    """A text with what differs from person to person taken out: link and code."""
    return CODE.sub("CODE", LINK.sub("LINK", text))


async def test_a_draft_shows_everything_that_will_be_seen(muster: Stack) -> None:
    key = await muster.declare()
    bulletin = await draft(muster, key)
    assert bulletin["number"] == 1
    assert bulletin["state"] == "draft"
    assert bulletin["stage"] == "investigating"
    assert {name: bulletin["facts"][name] for name in await muster.examples()} == (
        await muster.call("GET", f"/incidents/{key}")
    )["facts"]
    assert {name: bulletin["approvals"][name] for name in ("needed", "given")} == {"needed": 1, "given": 0}
    assert bulletin["errors"] == []
    assert bulletin["warnings"] == []
    recipients = bulletin["recipients"]
    assert recipients["total"] == len(ACTIVE)
    # First channels: texts for whoever has a number, email for S3 who has only that; S4 has nothing.
    assert recipients["by_channel"] == {"sms": 10, "email": 1}
    assert recipients["by_department"]["Store Operations"] == 6
    assert sum(recipients["by_department"].values()) == recipients["total"]
    assert [{name: entry[name] for name in ("person_id", "name")} for entry in recipients["unreachable"]] == [
        {"person_id": "S4", "name": "Dee Nowhere"}
    ]
    assert recipients["unreachable"][0]["reason"]
    playbook = await muster.call("GET", "/playbooks/global-vendor-outage")
    shown = [(m["audience"], m["channel"]) for m in bulletin["messages"] if not m.get("language")]
    assert set(shown) == {(a, c) for a in playbook["audiences"] for c in ("sms", "email", "voice")}
    assert len(shown) == len(set(shown))
    for message in bulletin["messages"]:
        assert message["text"]
        assert ("subject" in message) == (message["channel"] == "email")
        if message["channel"] == "sms":
            assert message["encoding"] in ("GSM-7", "UCS-2")
            assert 1 <= message["segments"] <= 3
            assert LINK.search(message["text"])
            assert CODE.search(message["text"])
            # It ends with how to answer.
            assert re.search(r"1 OK, 2 need help, 3 cannot\.?$", message["text"])
    assert await muster.call("GET", f"/incidents/{key}/bulletins/1") == bulletin
    listed = await muster.call("GET", f"/incidents/{key}/bulletins")
    assert listed == {"items": [bulletin], "next_cursor": None}


async def test_bulletin_facts_override_the_latest_and_nothing_given_leaves_them(muster: Stack) -> None:
    key = await muster.declare()
    first = await draft(muster, key, facts={"what_is_down": "gate screens at Dallas"})
    assert first["facts"]["what_is_down"] == "gate screens at Dallas"
    # A draft is only a draft: the incident's latest is what was sent.
    assert (await draft(muster, key))["facts"]["what_is_down"] == "tills and gate screens"
    await muster.call("POST", f"/incidents/{key}/bulletins/1/approve", {"accept_warnings": True})
    await muster.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    assert (await muster.call("GET", f"/incidents/{key}"))["facts"]["what_is_down"] == "gate screens at Dallas"
    third = await draft(muster, key, stage="identified", facts={"workaround": "use card readers"})
    assert third["facts"] == {**first["facts"], "workaround": "use card readers"}
    texts = [m["text"] for m in third["messages"] if m["channel"] == "sms" and m["audience"] == "front_line"]
    assert any("gate screens at Dallas" in text or "use card readers" in text for text in texts)


async def test_wrong_stage_audience_and_facts_are_all_named(muster: Stack) -> None:
    key = await muster.declare()
    body = {"stage": "fixing", "facts": {"vendor": "v" * 31, "nonsense": 1}, "audiences": ["everybody"]}
    answer = await muster.api.post(f"/api/v1/incidents/{key}/bulletins", json=body)
    check_problem(answer, 422, "stage", "facts.vendor", "facts.nonsense", "audiences")
    empty = await muster.api.post(
        f"/api/v1/incidents/{key}/bulletins", json={"stage": "resolved", "facts": {}, "audiences": []}
    )
    check_problem(empty, 422, "audiences")
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/bulletins", json={"facts": {}}), 422, "stage")
    assert (await muster.call("GET", f"/incidents/{key}/bulletins"))["items"] == []


async def test_only_the_chosen_audiences_are_told(muster: Stack) -> None:
    key = await muster.declare()
    bulletin = await draft(muster, key, audiences=["it", "security"])
    assert {message["audience"] for message in bulletin["messages"]} == {"it", "security"}
    assert bulletin["recipients"]["by_department"] == {"IT": 1, "Security": 1}
    await muster.call("POST", f"/incidents/{key}/bulletins/1/approve", {})
    await muster.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    assert {entry["person_id"] for entry in await muster.recipients(key)} == {"I1", "X1"}


async def test_a_sites_fact_narrows_who_is_told(muster: Stack) -> None:
    key = await muster.declare()
    bulletin = await draft(muster, key, facts={"sites": ["Seattle"]}, audiences=["front_line"])
    assert bulletin["recipients"]["total"] == 2  # S3 and S4; the other four work in Dallas


async def test_sending_before_approval_is_a_conflict(muster: Stack) -> None:
    key = await muster.declare()
    await draft(muster, key)
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/bulletins/1/send", json={}), 409)
    assert (await muster.call("GET", f"/incidents/{key}/bulletins/1"))["state"] == "draft"
    assert await muster.recipients(key) == []


async def test_an_approved_bulletin_is_sent_once_and_a_second_send_answers_the_same(muster: Stack) -> None:
    key = await muster.declare()
    await draft(muster, key)
    path = f"/incidents/{key}/bulletins/1"
    approved = await muster.call("POST", f"{path}/approve", {}, status=200)
    assert approved["state"] == "approved"
    assert approved["approvals"]["given"] == approved["approvals"]["needed"] == 1
    answers = await asyncio.gather(*(muster.api.post(f"/api/v1{path}/send", json={"confirm": True}) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert all(answer.json() == answers[0].json() for answer in answers)
    sent = answers[0].json()
    assert sent["state"] == "sent"
    assert sent["recipients"] == approved["recipients"]
    assert sent["messages"] == approved["messages"]
    await muster.settled(key)
    assert await muster.call("POST", f"{path}/send", status=202) == sent
    assert await muster.call("GET", path) == sent
    kinds = Counter(e["kind"] for e in (await muster.call("GET", f"/incidents/{key}/timeline"))["items"])
    assert kinds["bulletin_sent"] == 1
    # Everybody once: a text each for those with a number, and no second one.
    assert (await muster.carrier.get("/simulator/stats")).json()["duplicates"] == 0


async def test_the_send_honours_its_idempotency_key(muster: Stack) -> None:
    key = await muster.declare()
    number = await muster.write(key)
    path, header = f"/incidents/{key}/bulletins/{number}/send", {"Idempotency-Key": f"send-{uuid.uuid4()}"}
    first = await muster.call("POST", path, {"confirm": True}, status=202, headers=header)
    assert await muster.call("POST", path, {"confirm": True}, status=202, headers=header) == first
    other = await muster.api.post(f"/api/v1{path}", json={"confirm": False}, headers=header)
    check_problem(other, 422, "Idempotency-Key")


async def test_what_goes_out_is_the_preview_with_link_and_code_of_each(muster: Stack) -> None:
    key = await muster.declare(drill=False, facts=await muster.examples() | {"vendor": "Preview & Söhne"})
    await muster.send(key)
    await muster.settled(key)
    bulletin = await muster.call("GET", f"/incidents/{key}/bulletins/1")
    previews = {(m["audience"], m["channel"]): m for m in bulletin["messages"] if not m.get("language")}
    texts = [text for text in await muster.texts() if "Preview & Söhne" in text["body"]]
    by_number = {text["to"]: text["body"] for text in texts}
    assert set(by_number) == {MOBILES[person] for person in ACTIVE if person in MOBILES}
    audiences = {entry["person_id"]: entry["audience"] for entry in await muster.recipients(key)}
    for person, number in MOBILES.items():
        if person in audiences:
            assert sample(by_number[number]) == sample(previews[audiences[person], "sms"]["text"])
            assert len(by_number[number]) == len(previews[audiences[person], "sms"]["text"])
    [mail] = [mail for mail in await muster.emails("s3@example.com") if "Preview & Söhne" in mail["text"]]
    shown = previews["front_line", "email"]
    assert mail["subject"] == shown["subject"]
    assert sample(mail["text"]).split() == sample(shown["text"]).split()


async def test_every_text_and_mail_of_a_drill_begins_and_ends_with_drill(muster: Stack) -> None:
    key = await muster.declare(drill=True, facts=await muster.examples() | {"vendor": "Fire Alarm Ltd"})
    bulletin = await draft(muster, key)
    assert bulletin["drill"] is True
    for message in bulletin["messages"]:
        for part in ("text", "subject"):
            if part in message:
                assert message[part].strip().startswith("DRILL")
                assert message[part].strip().endswith("DRILL")
    plain = await draft(muster, await muster.declare())
    by_place = {(m["audience"], m.get("language")): m for m in plain["messages"] if m["channel"] == "sms"}
    assert any(
        m["segments"] >= by_place[m["audience"], m.get("language")]["segments"]
        and len(m["text"]) > len(by_place[m["audience"], m.get("language")]["text"])
        for m in bulletin["messages"]
        if m["channel"] == "sms"
    )
    await muster.call("POST", f"/incidents/{key}/bulletins/1/approve", {"accept_warnings": True})
    await muster.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    await muster.settled(key)
    texts = [text["body"] for text in await muster.texts() if "Fire Alarm" in text["body"]]
    assert len(texts) == 10
    for text in texts:
        assert text.startswith("DRILL")
        assert text.endswith("DRILL")
    [mail] = [mail for mail in await muster.emails("s3@example.com") if "Fire Alarm" in mail["text"]]
    for part in (mail["subject"], mail["text"].strip(), re.sub(r"<title>.*</title>|<[^>]*>", "", mail["html"]).strip()):
        assert part.startswith("DRILL")
        assert part.endswith("DRILL")
    said = await muster.reply(MOBILES["S1"], f"1 {await code_of(muster, key, 'S1')}")
    answer = re.sub(r"<[^>]*>", "", said)
    assert "1 OK" in answer
    assert answer.startswith("DRILL")
    assert answer.endswith("DRILL")


async def test_warnings_must_be_accepted(muster: Stack) -> None:
    key = await muster.declare()
    # One character outside the SMS alphabet makes the whole text cost more parts: worth a word, not a refusal.
    odd = {"vendor": "\u2713", "what_is_down": "a", "what_works": "b", "workaround": "c"}
    bulletin = await draft(muster, key, facts=odd, audiences=["contact_centre"])
    assert bulletin["errors"] == []
    [warning] = bulletin["warnings"]
    assert warning["where"] == "contact_centre.sms"
    assert "\u2713" in warning["message"]
    path = f"/api/v1/incidents/{key}/bulletins/{bulletin['number']}/approve"
    refused = check_problem(await muster.api.post(path, json={}), 409, "contact_centre.sms")
    assert "accept_warnings" in refused["detail"]
    check_problem(await muster.api.post(path), 409)
    assert (await muster.call("GET", f"/incidents/{key}/bulletins/1"))["approvals"]["given"] == 0
    accepted = await muster.api.post(path, json={"accept_warnings": True})
    assert accepted.status_code == 200
    assert accepted.json()["state"] == "approved"


async def test_a_text_of_more_than_three_parts_is_an_error_that_cannot_be_accepted(muster: Stack) -> None:
    key = await muster.declare()
    wide = {
        "vendor": "\u2713" * 30,
        "what_is_down": "\u2713" * 60,
        "what_works": "\u2713" * 60,
        "workaround": "\u2713" * 70,
    }
    bulletin = await draft(muster, key, facts=wide)
    assert bulletin["errors"], "texts of four parts and more were let through"
    path = f"/api/v1/incidents/{key}/bulletins/1/approve"
    check_problem(await muster.api.post(path, json={"accept_warnings": True}), 409, bulletin["errors"][0]["where"])


async def test_a_correction_is_the_next_number_and_replaces_what_is_queued(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    await muster.call(
        "POST", f"/incidents/{key}/bulletins/1/recipients/I1/acknowledgment",
        {"response": "ok", "via": "in_person", "note": "at the bridge"},
    )  # fmt: skip
    # Whoever has not answered still has email to come; the correction stops that.
    before = {entry["person_id"]: entry for entry in await muster.recipients(key)}
    assert before["S1"]["next_step"] == "email"
    assert before["S1"]["next_step_at"]
    assert before["I1"]["next_step"] is None
    assert await muster.send(key, "identified") == 2
    after = {entry["person_id"]: entry for entry in await muster.recipients(key)}
    assert after["S1"]["next_step"] is None
    assert after["I1"]["status"] == "acknowledged"
    board = await muster.board(key)
    assert sum(board["counts"].values()) == board["total"] == len(ACTIVE)
    assert set(board["counts"]) == STATUSES
    # An older one cannot go out any more.
    stale = await draft(muster, key)
    await muster.call("POST", f"/incidents/{key}/bulletins/{stale['number']}/approve", {"accept_warnings": True})
    newer = await muster.send(key, "monitoring")
    assert newer == 4
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/bulletins/{stale['number']}/send", json={}), 409)


async def test_cancelling_stops_what_has_not_been_handed_over(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    cancelled = await muster.call("POST", f"/incidents/{key}/bulletins/1/cancel", status=200)
    assert cancelled["state"] == "cancelled"
    assert cancelled["number"] == 1
    people = {entry["person_id"]: entry for entry in await muster.recipients(key)}
    assert all(entry["next_step"] is None for entry in people.values())
    # What people already have stays with them, and their answers count.
    assert people["S1"]["status"] == "waiting"
    assert people["S4"]["status"] in ("cancelled", "unreachable")
    await muster.call(
        "POST", f"/incidents/{key}/bulletins/1/recipients/S1/acknowledgment",
        {"response": "ok", "via": "phone", "note": "rang back"},
    )  # fmt: skip
    board = await muster.board(key)
    assert board["counts"]["acknowledged"] == 1
    assert sum(board["counts"].values()) == board["total"]
    assert await muster.call("POST", f"/incidents/{key}/bulletins/1/cancel", status=200) != {}


async def test_a_cancelled_draft_is_never_sent(muster: Stack) -> None:
    key = await muster.declare()
    number = await muster.write(key)
    path = f"/api/v1/incidents/{key}/bulletins/{number}"
    assert (await muster.api.post(f"{path}/cancel")).json()["state"] == "cancelled"
    for call in ("send", "approve"):
        check_problem(await muster.api.post(f"{path}/{call}", json={}), 409)


async def test_nothing_is_sent_under_a_closed_incident(muster: Stack) -> None:
    key = await muster.declare()
    number = await muster.write(key)
    await muster.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/bulletins/{number}/send", json={}), 409)


CHANGES = (
    "UPDATE bulletin SET facts = '{}' WHERE incident_id = :id",
    "UPDATE bulletin SET stage = 'resolved' WHERE incident_id = :id",
    "UPDATE bulletin SET state = 'draft', sent_at = NULL WHERE incident_id = :id",
    "UPDATE bulletin SET sent_at = now() WHERE incident_id = :id",
    "DELETE FROM bulletin WHERE incident_id = :id",
    "UPDATE message SET text = 'other' WHERE bulletin_id IN (SELECT id FROM bulletin WHERE incident_id = :id)",
    "DELETE FROM message WHERE bulletin_id IN (SELECT id FROM bulletin WHERE incident_id = :id)",
    """INSERT INTO message (bulletin_id, audience, channel, language, text)
       SELECT id, 'it', 'sms', 'xx', 'other' FROM bulletin WHERE incident_id = :id""",
)


async def test_the_database_refuses_to_change_a_sent_bulletin(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    before = await muster.call("GET", f"/incidents/{key}/bulletins/1")
    async with muster.house.db.begin() as session:
        incident = await row(session, "SELECT id FROM incident WHERE key = :key", {"key": key})
    assert incident
    for statement in CHANGES:
        with pytest.raises(DBAPIError, match=r"never|permission denied"):
            async with muster.house.db.begin() as session:
                await run(session, statement, {"id": incident["id"]})
        # Not even to the database's owner, whose connections bear no restricted role.
        with psycopg.connect(muster.house.db.url) as owner, pytest.raises(psycopg.errors.RestrictViolation):
            owner.execute(statement.replace(":id", "%s").encode(), (incident["id"],))
    assert await muster.call("GET", f"/incidents/{key}/bulletins/1") == before
