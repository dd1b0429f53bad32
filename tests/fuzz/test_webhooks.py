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
        for kind in ("status", "voice"):
            answer = await post_webhook(muster, f"/webhooks/twilio/{kind}/{token}", form)
            assert answer.status_code in ((204, 400, 404) if kind == "status" else (404, 501)), (token, form)
