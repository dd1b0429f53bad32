"""A provider's list that is served stale for one read: whichever it is, nothing is taken for absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.channels.port import Listed
from app.channels.twilio import TwilioSms
from tests.journeys.crew import Crew, a_person, desk, faults


@pytest.mark.parametrize("stale", [0, 1, 2])
async def test_a_list_that_is_stale_for_one_read_proves_nothing_absent(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: int
) -> None:
    """Found by a soak: the list went stale between the read that proved it fresh and the read that counted."""
    async with desk(database_url, tmp_path) as muster:
        crew = Crew(muster)
        person = a_person("4002", email="")
        key = await crew.told(person)
        await muster.hand_over()
        muster.clock.advance(seconds=10)
        await Crew(muster).told(a_person(email=""))
        await muster.hand_over()
        sms = muster.providers.by_channel["sms"]
        assert isinstance(sms, TwilioSms)
        read, reads = sms.sent_to, 0

        async def sent_to(address: str, *, limit: int = 1000) -> Sequence[Listed]:
            nonlocal reads
            if reads == stale:
                await faults(muster, list="lagging", count=1)
            reads += 1
            return await read(address, limit=limit)

        monkeypatch.setattr(sms, "sent_to", sent_to)
        for _ in range(2):
            await muster.settle_unknown()
            muster.clock.advance(seconds=1)
        [attempt] = await muster.attempts(key)
        assert attempt["provider_message_id"], attempt
        assert len(await muster.texts(person.mobile)) == 1
