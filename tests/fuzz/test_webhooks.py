"""Whatever the carrier signs and posts about a message: taken, or refused as what it is."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.api.company import post_webhook
from tests.effort import some
from tests.fuzz.conftest import Place

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.fuzz]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
RECEIPTS = st.fixed_dictionaries(
    {},
    optional={
        "MessageSid": st.sampled_from(["SM1", "", "\0"]) | TEXT,
        "SmsSid": TEXT,
        "MessageStatus": st.sampled_from(["sent", "delivered", "undelivered", "failed", "DELIVERED", "read"]) | TEXT,
        "SmsStatus": TEXT,
        "ErrorCode": st.sampled_from(["30003", "-1", "9" * 30, "1e3", "\u0661"]) | TEXT,
    },
)


async def test_no_receipt_breaks_anything(place: Place) -> None:
    muster = place.muster
    tokens = [muster.house.signer.attempt_token(1), muster.house.signer.attempt_token(2**39), "x", "a" * 20]
    for token, form in some(st.tuples(st.sampled_from(tokens), RECEIPTS), 40):
        answer = await post_webhook(muster, f"/webhooks/twilio/status/{token}", form)
        assert answer.status_code in (204, 400, 404), (token, form)


CALLS = st.fixed_dictionaries(
    {},
    optional={
        "CallSid": st.sampled_from(["CA1", "", "\0"]) | TEXT,
        "CallStatus": st.sampled_from(["ringing", "in-progress", "completed", "busy", "COMPLETED"]) | TEXT,
        "AnsweredBy": st.sampled_from(["human", "machine_end_beep", "fax", "unknown", "robot"]) | TEXT,
        "Digits": st.sampled_from(["1", "2", "3", "*", "#", "11", "\u0661"]) | TEXT,
        "ErrorCode": st.sampled_from(["13224", "-1", "9" * 30]) | TEXT,
    },
)
TURNS = st.sampled_from(["", "?turn=1", "?turn=9", "?turn=-1", "?turn=x", "?turn=99999999999999999999", "?turn=1&a=b"])


async def test_nothing_about_a_call_breaks_anything(place: Place) -> None:
    muster = place.muster
    tokens = [muster.house.signer.attempt_token(1), muster.house.signer.attempt_token(2**39), "x", "a" * 20]
    for token, form, turn in some(st.tuples(st.sampled_from(tokens), CALLS, TURNS), 40):
        for what in ("", "/answer", "/status"):
            answer = await post_webhook(muster, f"/webhooks/twilio/voice/{token}{what}{turn}", form)
            assert answer.status_code in (200, 204, 400, 404, 422), (token, what, turn, form)
