"""The main job as one walks through it: declare, tell everybody, account for everybody."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.journeys.crew import adds_up
from tests.stack import stack

LINK = re.compile(r"/a/([a-z2-7]{20})")


async def test_six_hundred_are_told_and_accounted_for(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path) as muster:
        report = await muster.import_people()
        assert report["created"] > 580
        key = await muster.declare()
        number = await muster.write(key)
        promised = (await muster.call("GET", f"/incidents/{key}/bulletins/{number}"))["recipients"]
        await muster.call("POST", f"/incidents/{key}/bulletins/{number}/send", {}, status=202)
        board = await muster.settled(key, number, seconds=60)
        adds_up(board)
        assert board["total"] == promised["total"] > 550
        assert {name: counts["total"] for name, counts in board["by_department"].items()} == promised["by_department"]
        people = await muster.recipients(key, number)
        assert len({person["person_id"] for person in people}) == len(people) == board["total"]

        # Everybody once: each text and each mail bears a link of its own, and together they are all but the few whom
        # nothing reaches.
        texts, mails = await muster.texts(), await muster.emails()
        # Whom nothing reaches, their managers are told of meanwhile: those notices ask for no answer.
        texts = [text for text in texts if "Reply 1 OK" in text["body"]]
        words = [*(text["body"] for text in texts), *(mail["text"] for mail in mails)]
        links = Counter(token for each in words for token in LINK.findall(each))
        assert len(links) == len(words)
        assert set(links.values()) == {1}
        assert len(texts) == sum(board["by_channel"]["sms"].values()) == promised["by_channel"]["sms"]
        assert len(mails) == sum(board["by_channel"]["email"].values()) == promised["by_channel"]["email"]
        unreachable = [person for person in people if person["status"] == "unreachable"]
        assert {person["person_id"] for person in unreachable} == {p["person_id"] for p in promised["unreachable"]}
        assert all(person["reason"] and not person["attempts"] for person in unreachable)
        assert len(texts) + len(mails) + len(unreachable) == board["total"]
        assert (await muster.carrier.get("/simulator/stats")).json()["duplicates"] == 0

        # One answers by text, and the record has it.
        asked = next(t for t in texts if sum(other["to"] == t["to"] for other in texts) == 1)
        assert "1 OK" in await muster.reply(asked["to"], "1")
        after = await muster.board(key, number)
        assert after["counts"]["acknowledged"] == 1
        review = await muster.call("GET", f"/incidents/{key}/review", params={"format": "json"})
        assert key in str(review)
