"""The main job as one walks through it: declare, tell everybody, account for everybody."""

from __future__ import annotations

from pathlib import Path

from tests.stack import stack


async def test_six_hundred_are_told_and_accounted_for(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path) as muster:
        report = await muster.import_people()
        assert report["created"] > 580
        key = await muster.declare()
        number = await muster.send(key)
        board = await muster.settled(key, number, seconds=30)
        assert sum(board["counts"].values()) == board["total"] > 550
        texts = await muster.texts()
        assert len(texts) == board["by_channel"]["sms"]["delivered"] + sum(
            many for state, many in board["by_channel"]["sms"].items() if state != "delivered"
        )
        stats = (await muster.carrier.get("/simulator/stats")).json()
        assert stats["duplicates"] == 0
