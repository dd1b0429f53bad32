"""Status callbacks as the carrier signs them, many and out of order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2

from app.kernel.ids import Signer
from tests.conftest import SECRET
from tests.fleet import Fleet
from tests.journeys.crew import signed
from tests.stack import ACCOUNT

AT_ONCE = 12


@dataclass(frozen=True)
class Callback:
    path: str
    form: dict[str, str]

    @property
    def body(self) -> bytes:
        return urlencode(self.form).encode()


def every_status(attempt: dict[str, Any]) -> list[Callback]:
    """What the carrier may have said of a delivered message, the statuses in order."""
    path = f"/webhooks/twilio/status/{Signer(SECRET).attempt_token(attempt['id'])}"
    sid = attempt["provider_message_id"]
    return [
        Callback(path, {"AccountSid": ACCOUNT, "MessageSid": sid, "MessageStatus": status})
        for status in ("queued", "sending", "sent", "delivered")
    ]


def flood(muster: Fleet, callbacks: Sequence[Callback], *, times: int) -> Counter[int]:
    """Posts each so many times, in any order; returns the answers' status codes."""
    wanted = list(callbacks) * times
    random.Random(len(wanted)).shuffle(wanted)
    base = muster.environment["MUSTER_BASE_URL"]
    headers = {id(callback): signed(f"{base}{callback.path}", callback.form) for callback in callbacks}

    async def post() -> Counter[int]:
        answers: Counter[int] = Counter()
        left = iter(wanted)
        async with httpx2.AsyncClient(base_url=base, trust_env=False, verify=False, timeout=60) as client:

            async def some() -> None:
                for callback in left:
                    answer = await client.post(callback.path, content=callback.body, headers=headers[id(callback)])
                    answers[answer.status_code] += 1

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        return answers

    return asyncio.run(post())
