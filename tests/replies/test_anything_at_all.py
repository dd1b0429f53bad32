"""Whatever is posted to the inbound webhook: never an error of ours, never an acknowledgment that nobody gave."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.kernel.db import rows
from app.kernel.ids import Signer
from app.replies.parse import Answer, parse
from tests.conftest import SECRET
from tests.effort import some
from tests.journeys.crew import Crew, Desk, Person, a_person, said, signed
from tests.stack import ACCOUNT, SENDER

pytestmark = pytest.mark.fuzz

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
ODD = (
    "１", "\u202e1", "1\u200f", "\u0661", "1\ufe0f\u20e3", "👍🏽", "ＳＴＯＰ", "\0", "1\0", "1\r\n2", "ﷺ" * 400,
)  # fmt: skip
LONG = st.builds(lambda piece, times: (piece * times)[:10_000], TEXT, st.sampled_from([1, 30, 10_000]))
"""Up to 10,000 characters, which no phone sends and the carrier's rules do not rule out."""

BODIES = st.one_of(
    TEXT,
    LONG,
    st.sampled_from(ODD),
    st.builds("{0}{1}".format, st.sampled_from(["1", "2 ", "ok "]), LONG),
    st.sampled_from(["1", "2", "3", "ok", "STOP", "START", "HELP", "YES", "1 K7", "need help", "k7 3", "", " "]),
    st.builds("{0} {1}".format, st.sampled_from(["1", "2", "ok"]), TEXT),
)
FORMS = st.fixed_dictionaries(
    {"Body": BODIES},
    optional={
        "OptOutType": st.one_of(st.sampled_from(["STOP", "START", "HELP", ""]), TEXT), "NumMedia": TEXT,
        "FromCity": TEXT, "SmsSid": TEXT, "ErrorCode": TEXT,
    },
)  # fmt: skip


async def acts(desk: Desk) -> list[tuple[int, str]]:
    async with desk.house.db.begin() as session:
        found = await rows(session, "SELECT delivery_id, response FROM acknowledgment ORDER BY id")
    return [(entry["delivery_id"], entry["response"]) for entry in found]


async def an_incident(desk: Desk, crew: Crew) -> tuple[Person, str, str]:
    person = a_person()
    key = await crew.told(person, a_person())
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    return person, key, await desk.code(key, person)


async def test_whatever_a_known_person_texts(the_desk: Desk, at_the_desk: Crew) -> None:
    """Properly signed. An act is recorded exactly when the words are an answer, and it is this person's."""
    person, key, code = await an_incident(the_desk, at_the_desk)
    mine = (await the_desk.delivery(key, person))["id"]
    forms = [{"Body": code}, {"Body": f"1 {code}"}, {"Body": "1", "OptOutType": "\0STOP"}, *some(FORMS, 120)]
    for form in forms:
        before = await acts(the_desk)
        form = {"MessageSid": "SM" + uuid.uuid4().hex, "From": person.mobile, "To": SENDER, **form}
        answer = await the_desk.post("/webhooks/twilio/inbound", form)
        assert answer.status_code == 200, (form, answer.text)
        said(answer.text)
        new = (await acts(the_desk))[len(before) :]
        meant = parse(form["Body"].replace("\0", ""))
        opted = (form.get("OptOutType") or "").replace("\0", "").upper()
        plain = isinstance(meant, Answer) and meant.code in (None, code) and meant.title is None
        if isinstance(meant, Answer) and plain and opted not in ("STOP", "START", "HELP"):
            assert new == [(mine, meant.response)], form
        else:
            assert new == [], form


async def test_whoever_it_comes_from(the_desk: Desk, at_the_desk: Crew) -> None:
    """Short codes, names, nonsense, nothing at all: recorded, not answered."""
    person, _, code = await an_incident(the_desk, at_the_desk)
    before = await acts(the_desk)
    senders = ["", "12345", "BANK", "+", "+1", "0" * 300, person.mobile + "9", "client:x", "\0", "🙂"]
    senders += some(TEXT, 60)
    for sender in senders:
        for body in ("1", f"1 {code}"):
            form = {"MessageSid": "SM" + uuid.uuid4().hex, "From": sender, "To": SENDER, "Body": body}
            answer = await the_desk.post("/webhooks/twilio/inbound", form)
            assert answer.status_code == 200, (sender, answer.text)
            assert said(answer.text) == ""
    assert await acts(the_desk) == before


async def test_without_the_right_signature_nothing_is_taken(the_desk: Desk, at_the_desk: Crew) -> None:
    person, key, _ = await an_incident(the_desk, at_the_desk)
    url = f"{the_desk.base_url}/webhooks/twilio/inbound"
    form = {
        "AccountSid": ACCOUNT, "MessageSid": "SM" + "a" * 32, "From": person.mobile, "To": SENDER, "Body": "1"
    }  # fmt: skip
    right = signed(url, form)["X-Twilio-Signature"]
    attempts: list[tuple[dict[str, str], str | None, str]] = [
        (form, None, ""), (form, "", ""), (form, "x", ""), (form, right[:-2] + "AA", ""), (form, right, "?x=1"),
        (form | {"Body": "2"}, right, ""), (form | {"From": "+15005550001"}, right, ""), (form, right.lower(), ""),
        (form, signed(url.replace("127.0.0.1", "localhost"), form)["X-Twilio-Signature"], ""), (form, "é", ""),
    ]  # fmt: skip
    for sent, signature, query in attempts:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        if signature is not None:
            raw.append((b"X-Twilio-Signature", signature.encode()))
        response = await the_desk.api.post(
            "/webhooks/twilio/inbound" + query, content=urlencode(sent).encode(), headers=raw
        )
        assert response.status_code == 403, (signature, query)
    # A field sent twice: whichever is signed, the other is read.
    twice = urlencode(form).encode() + b"&Body=2"
    response = await the_desk.api.post(
        "/webhooks/twilio/inbound", content=twice,
        headers={"X-Twilio-Signature": right, "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert response.status_code == 403
    assert await the_desk.acts(key, person) == []
    # And a blank field, which Twilio signs too, is no reason to refuse.
    assert "1 OK" in await the_desk.text(person.mobile, "1", FromCity="", OptOutType="")


@given(st.text(max_size=40))
@example(SECRET)
@example("a" * 20)
def test_no_made_up_token_is_anybodys(token: str) -> None:
    signer = Signer(SECRET)
    assert signer.delivery_id(token) is None
    assert signer.attempt_id(token) is None
