"""What carriers call: believed only when our account signed it whole, and the same in any order and repetition."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator

from app.kernel.db import row, rows, run
from tests.api.company import CSV, MOBILES, check_problem, code_of, post_webhook
from tests.spare import Spare
from tests.stack import ACCOUNT, AUTH_TOKEN, Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def quiet(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """An installation without a worker: what happens to an attempt is what these tests post."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("webhooks"), worker=False) as running:
        await running.import_people(CSV.encode())
        yield running


async def attempts(muster: Stack, key: str) -> dict[str, dict[str, Any]]:
    """Each person's first attempt, as it stands in the database."""
    async with muster.house.db.begin() as session:
        found = await rows(
            session,
            """SELECT p.employee_id AS person, a.id, a.state, a.provider_message_id AS sid, a.error_code, a.fence
               FROM attempt a JOIN delivery d ON d.id = a.delivery_id JOIN person p ON p.id = d.person_id
               JOIN incident i ON i.id = d.incident_id WHERE i.key = :key ORDER BY a.id DESC""",
            {"key": key},
        )
    return {entry["person"]: dict(entry) for entry in found}


async def facts(muster: Stack, attempt_id: int) -> list[tuple[str, int | None]]:
    """The statuses kept for one attempt."""
    async with muster.house.db.begin() as session:
        found = await rows(
            session, "SELECT status, error_code FROM callback WHERE attempt_id = :id ORDER BY id", {"id": attempt_id}
        )
    return [(entry["status"], entry["error_code"]) for entry in found]


async def count(muster: Stack, table: str) -> int:
    async with muster.house.db.begin() as session:
        found = await row(session, f"SELECT count(*) AS many FROM {table}")
    return int(found["many"]) if found else 0


def path_of(muster: Stack, attempt_id: int) -> str:
    return f"/webhooks/twilio/status/{muster.house.signer.attempt_token(attempt_id)}"


def receipt(status: str, sid: str, **more: str) -> dict[str, str]:
    """A status callback with the blank fields that Twilio's own have."""
    return {
        "MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "SmsStatus": status, "To": MOBILES["S1"],
        "From": "+15005550006", "ApiVersion": "2010-04-01", "ErrorMessage": "", "ChannelPrefix": "", **more,
    }  # fmt: skip


def incoming(sender: str, body: str, sid: str | None = None, **more: str) -> dict[str, str]:
    sid = sid or f"SM{uuid.uuid4().hex}"
    return {
        "MessageSid": sid, "SmsMessageSid": sid, "From": sender, "To": "+15005550006", "Body": body, "FromCity": "",
        "FromState": "", "FromZip": "", "NumMedia": "0", **more,
    }  # fmt: skip


async def sent(quiet: Stack) -> tuple[str, dict[str, dict[str, Any]]]:
    """A sent bulletin's key, and its attempts, all marked as being handed over just now."""
    key = await quiet.declare()
    await quiet.send(key)
    async with quiet.house.db.begin() as session:
        await run(
            session,
            """UPDATE attempt SET state = 'handing_over', fence = 1, lease_until = now() + interval '1 hour'
               WHERE state = 'queued'""",
        )
    return key, await attempts(quiet, key)


FORGED: dict[str, dict[str, Any]] = {
    "no signature": {"signature": None},
    "an empty signature": {"signature": ""},
    "a made-up signature": {"signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    "no base64": {"signature": "not a signature at all"},
    "characters beyond ASCII": {"signature": "sign\u00e9"},
    "a long signature": {"signature": "A" * 6000},
    "another account's token": {"token": "another account's token"},
    "another account": {"account": "AC" + "f" * 32},
    "another account and its token": {"account": "AC" + "f" * 32, "token": "another account's token"},
    "no account": {"account": ""},
}


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_webhook_is_403_and_changes_nothing(quiet: Stack, how: str) -> None:
    key, before = await sent(quiet)
    attempt = before["S1"]
    texts = await count(quiet, "inbound_message")
    answer = await post_webhook(quiet, path_of(quiet, attempt["id"]), receipt("delivered", "SMforged"), **FORGED[how])
    check_problem(answer, 403)
    answer = await post_webhook(quiet, "/webhooks/twilio/inbound", incoming(MOBILES["S1"], "1"), **FORGED[how])
    check_problem(answer, 403)
    call = path_of(quiet, attempt["id"]).replace("status", "voice")
    for path in (call, f"{call}/answer?turn=1", f"{call}/status"):
        form = {"CallSid": "CAforged", "CallStatus": "completed", "AnsweredBy": "human", "Digits": "1"}
        check_problem(await post_webhook(quiet, path, form, **FORGED[how]), 403)
    assert (await attempts(quiet, key))["S1"] == attempt
    assert await facts(quiet, attempt["id"]) == []
    assert await count(quiet, "inbound_message") == texts


async def test_a_signature_is_good_for_its_own_address_and_form_only(quiet: Stack) -> None:
    _, before = await sent(quiet)
    mine, other = path_of(quiet, before["S1"]["id"]), path_of(quiet, before["S2"]["id"])
    form = {"AccountSid": ACCOUNT, **receipt("delivered", "SMmoved")}
    signed = str(RequestValidator(AUTH_TOKEN).compute_signature(f"{quiet.base_url}{mine}", form))
    for path, changed in (
        (other, form),
        (mine, {**form, "MessageStatus": "failed"}),
        (mine, {**form, "Extra": ""}),
        (mine, {name: value for name, value in form.items() if name != "ErrorMessage"}),
        (f"{mine}?more=1", form),
        (mine.upper().replace("/WEBHOOKS/TWILIO/STATUS", "/webhooks/twilio/status"), form),
    ):
        answer = await post_webhook(quiet, path, changed, signature=signed)
        check_problem(answer, 403)
    assert (await post_webhook(quiet, mine, form, signature=signed)).status_code in (200, 204)


async def test_the_public_address_is_ours_and_not_what_a_header_claims(quiet: Stack) -> None:
    form = {"AccountSid": ACCOUNT, **incoming(MOBILES["S1"], "hello there")}
    claimed = str(RequestValidator(AUTH_TOKEN).compute_signature("https://evil.example/webhooks/twilio/inbound", form))
    headers = {"Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    answer = await quiet.api.post(
        "/webhooks/twilio/inbound", data=form, headers={**headers, "X-Twilio-Signature": claimed}
    )
    check_problem(answer, 403)
    right = str(RequestValidator(AUTH_TOKEN).compute_signature(f"{quiet.base_url}/webhooks/twilio/inbound", form))
    answer = await quiet.api.post(
        "/webhooks/twilio/inbound", data=form, headers={**headers, "X-Twilio-Signature": right}
    )
    assert answer.status_code == 200


async def test_blank_fields_are_part_of_what_was_signed(quiet: Stack) -> None:
    answer = await post_webhook(quiet, "/webhooks/twilio/inbound", incoming("+19995550000", "", FromCountry=""))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert "<Message>" not in answer.text  # nobody we know: recorded, not answered


async def test_an_unknown_attempt_is_a_404(quiet: Stack) -> None:
    for token in ("a" * 20, "short", "x" * 300, "%00", quiet.house.signer.link_token(1)):
        answer = await post_webhook(quiet, f"/webhooks/twilio/status/{token}", receipt("sent", "SMx"))
        check_problem(answer)
        assert answer.status_code in (403, 404)
    answer = await post_webhook(quiet, f"/webhooks/twilio/status/{'a' * 20}", receipt("sent", "SMx"))
    check_problem(answer, 404)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"MessageSid": "SM1"},
        {"MessageStatus": "sent"},
        {"MessageSid": "", "MessageStatus": ""},
        {"MessageSid": "S" * 65, "MessageStatus": "sent"},
        {"MessageSid": "SM1\0", "MessageStatus": "sent"},
        {"MessageSid": "SM1", "MessageStatus": "s" * 5000},
    ],
)
async def test_a_signed_receipt_that_says_nothing_is_a_bad_request(quiet: Stack, form: dict[str, str]) -> None:
    _, before = await sent(quiet)
    check_problem(await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), form), 400)
    assert await facts(quiet, before["S1"]["id"]) == []


@pytest.mark.parametrize("code", ["", "abc", "-1", "99999999999999999999", "30003.5", " 30003 ", "\u0663\u0663"])
async def test_an_odd_error_code_never_costs_the_status(quiet: Stack, code: str) -> None:
    key, before = await sent(quiet)
    sid = f"SM{uuid.uuid4().hex}"
    answer = await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), receipt("undelivered", sid, ErrorCode=code))
    assert answer.status_code == 204
    assert (await attempts(quiet, key))["S1"]["state"] in ("undelivered", "queued")
    [(status, kept)] = await facts(quiet, before["S1"]["id"])
    assert status == "undelivered"
    assert kept == (30003 if "30003 " in code else None)


async def test_a_receipt_that_beats_our_own_write_finds_its_attempt(quiet: Stack) -> None:
    key, before = await sent(quiet)
    sid = f"SM{uuid.uuid4().hex}"
    assert before["S1"]["sid"] is None
    answer = await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), receipt("sent", sid))
    assert answer.status_code == 204
    assert not answer.content
    now = (await attempts(quiet, key))["S1"]
    assert (now["state"], now["sid"]) == ("sent", sid)


async def test_the_state_follows_from_the_receipts_in_any_order(quiet: Stack) -> None:
    ended = {}
    told = [("queued", ""), ("sending", ""), ("sent", ""), ("delivered", "")]
    for order in list(itertools.permutations(told))[::5]:
        key, before = await sent(quiet)
        sid = f"SM{uuid.uuid4().hex}"
        for status, code in order:
            await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), receipt(status, sid, ErrorCode=code))
        ended[order] = (await attempts(quiet, key))["S1"]["state"]
    assert set(ended.values()) == {"delivered"}, ended


async def test_receipts_all_at_once_and_each_three_times_are_kept_once(quiet: Stack) -> None:
    key, before = await sent(quiet)
    sids = {person: f"SM{uuid.uuid4().hex}" for person in before}
    calls = [
        post_webhook(quiet, path_of(quiet, attempt["id"]), receipt(status, sids[person]))
        for status in ("delivered", "sent", "sending", "queued") * 3
        for person, attempt in before.items()
    ]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {204}
    after = await attempts(quiet, key)
    assert {attempt["state"] for attempt in after.values()} == {"delivered"}
    assert {person: attempt["sid"] for person, attempt in after.items()} == sids
    for attempt in before.values():
        kept = await facts(quiet, attempt["id"])
        assert sorted(kept) == [("delivered", None), ("queued", None), ("sending", None), ("sent", None)]


async def test_a_replay_of_an_old_receipt_changes_nothing(quiet: Stack) -> None:
    key, before = await sent(quiet)
    path, sid = path_of(quiet, before["S1"]["id"]), f"SM{uuid.uuid4().hex}"
    for status in ("queued", "sent", "delivered"):
        await post_webhook(quiet, path, receipt(status, sid))
    settled = (await attempts(quiet, key))["S1"]
    told = len((await quiet.call("GET", f"/incidents/{key}/timeline"))["items"])
    for status in ("sent", "queued", "delivered"):
        assert (await post_webhook(quiet, path, receipt(status, sid))).status_code == 204
    assert (await attempts(quiet, key))["S1"] == settled
    assert len(await facts(quiet, settled["id"])) == 3
    assert len((await quiet.call("GET", f"/incidents/{key}/timeline"))["items"]) == told


async def test_an_unknown_status_is_kept_and_proves_that_they_have_the_message(quiet: Stack) -> None:
    key, before = await sent(quiet)
    sid = f"SM{uuid.uuid4().hex}"
    answer = await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), receipt("rerouted", sid))
    assert answer.status_code == 204
    assert await facts(quiet, before["S1"]["id"]) == [("rerouted", None)]
    now = (await attempts(quiet, key))["S1"]
    assert (now["state"], now["sid"]) == ("accepted", sid)
    await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), receipt("delivered", sid))
    assert (await attempts(quiet, key))["S1"]["state"] == "delivered"


async def test_a_receipt_naming_another_message_than_the_one_accepted_changes_nothing(quiet: Stack) -> None:
    key, before = await sent(quiet)
    first, second = before["S1"]["id"], before["S2"]["id"]
    sids = [f"SM{uuid.uuid4().hex}" for _ in range(2)]
    await post_webhook(quiet, path_of(quiet, first), receipt("sent", sids[0]))
    await post_webhook(quiet, path_of(quiet, second), receipt("sent", sids[1]))
    settled = await attempts(quiet, key)
    # Another's message id on our token, and one that nobody has seen.
    for sid in (sids[1], "SM" + "0" * 32):
        answer = await post_webhook(quiet, path_of(quiet, first), receipt("delivered", sid))
        assert answer.status_code < 500, answer.text
    assert await attempts(quiet, key) == settled


async def test_a_receipt_with_a_message_id_that_is_anothers_costs_nobody_theirs(quiet: Stack) -> None:
    """Receipts are committed together: one that cannot be kept must not take the others with it."""
    key, before = await sent(quiet)
    taken = f"SM{uuid.uuid4().hex}"
    await post_webhook(quiet, path_of(quiet, before["S1"]["id"]), receipt("sent", taken))
    good = {person: f"SM{uuid.uuid4().hex}" for person in ("S2", "I1", "X1", "M1")}
    answers = await asyncio.gather(
        *(post_webhook(quiet, path_of(quiet, before[p]["id"]), receipt("delivered", sid)) for p, sid in good.items()),
        post_webhook(quiet, path_of(quiet, before["O1"]["id"]), receipt("delivered", taken)),
    )
    assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
    after = await attempts(quiet, key)
    assert {person: after[person]["state"] for person in good} == dict.fromkeys(good, "delivered")
    assert (after["S1"]["state"], after["S1"]["sid"]) == ("sent", taken)
    assert after["O1"]["sid"] is None


async def test_an_incoming_text_is_answered_once_by_its_sid(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    text = incoming(MOBILES["F1"], f"1 {await code_of(muster, key, 'F1')}", OptOutType="")
    first = await post_webhook(muster, "/webhooks/twilio/inbound", text)
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("text/xml")
    assert first.text.count("<Message>") == 1
    again = await asyncio.gather(*(post_webhook(muster, "/webhooks/twilio/inbound", text) for _ in range(3)))
    for answer in again:
        assert answer.status_code == 200
        assert "<Message>" not in answer.text
        assert "<Response" in answer.text
    kinds = [e["kind"] for e in (await muster.call("GET", f"/incidents/{key}/timeline"))["items"]]
    assert kinds.count("acknowledged") == 1
    assert kinds.count("answer_changed") == 0


@pytest.mark.parametrize(
    "body", ["", "\0", "1\0", "x" * 20_000, "\u202e\u0000\u200b", "<Response>&]]>", "\U0001f600" * 500]
)
async def test_no_text_breaks_anything(muster: Stack, body: str) -> None:
    for sender in (MOBILES["X1"], "", "12345", "ACME", "+", "\0", "x" * 500, "whatsapp:+12065550171"):
        answer = await post_webhook(muster, "/webhooks/twilio/inbound", incoming(sender, body))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml")


async def test_a_text_without_its_sid_is_a_bad_request(muster: Stack) -> None:
    for sid in ("", "S" * 65, "SM\0"):
        form = incoming(MOBILES["X1"], "1") | {"MessageSid": sid}
        check_problem(await post_webhook(muster, "/webhooks/twilio/inbound", form), 400)


async def test_a_text_from_another_spelling_of_the_number_is_its_holders(quiet: Stack) -> None:
    kept = {"M1": "+52 1 55 1234 5679", "A1": "+5493412345678"}
    people = "".join(f"{who},Person {who},IT,{number}\n" for who, number in kept.items())
    await quiet.import_people(f"id,name,department,mobile\n{people}".encode())
    for who, sender in {"M1": "+5215512345679", "A1": "+543412345678"}.items():
        for word, reasons in (("STOP", ["opted_out"]), ("START", [])):
            assert (await post_webhook(quiet, "/webhooks/twilio/inbound", incoming(sender, word))).status_code == 200
            (person,) = (await quiet.call("GET", "/people", params={"q": who}))["items"]
            assert person["contact_points"][0]["suppressed"] == reasons
        await post_webhook(quiet, "/webhooks/twilio/inbound", incoming(sender, f"the tills of {who} are down"))
    async with quiet.house.db.begin() as session:
        found = await rows(
            session,
            """SELECT p.employee_id AS who FROM field_report f JOIN person p ON p.id = f.person_id
               WHERE f.text LIKE 'the tills of %' ORDER BY f.id""",
        )
    assert [entry["who"] for entry in found] == ["M1", "A1"]


ODD = """\
id,name,department,mobile,email
R1,Early,IT,+15005553005,r1@example.com
R2,Shuffled,IT,+15005553002,r2@example.com
R3,Doubled,IT,+15005553003,r3@example.com
R4,Strange,IT,+15005553006,r4@example.com
R5,Plain,IT,+12065550146,r5@example.com
"""


async def test_odd_receipts_from_the_carrier_end_where_plain_ones_do(
    spare: Spare, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Early, shuffled, doubled and strange receipts of a real hand-over, beside one without any oddity."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("odd")) as odd:
        await odd.import_people(ODD.encode())
        key = await odd.declare()
        await odd.send(key)

        async def delivered() -> bool:
            return bool((await odd.board(key))["by_channel"].get("sms") == {"delivered": 5})

        await odd.until(delivered, seconds=40)
        assert (await odd.carrier.get("/simulator/stats")).json()["duplicates"] == 0
        assert (await odd.board(key))["counts"]["waiting"] == 5
