"""What is shown of an incident never changes with the directory: people stay as they were when it happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app.access.matrix import Actor
from app.board import page_reads
from app.board import service as board
from app.bulletins import service as bulletins
from app.deliveries import proof
from app.directory import service as directory
from app.directory import versions
from app.incidents import service as incidents
from app.incidents import timeline
from app.kernel import audit
from app.kernel.clock import ManualClock
from app.kernel.db import Database, row
from app.kernel.house import House
from app.replies import help_requests, reports
from app.replies import proof as replies
from app.review import service as review
from app.review.formats import FORMATS
from tests.review import story
from tests.review.conftest import house_on
from tests.review.story import at
from tests.spare import Spare

CLOSED = at("03:55:00")
MOVED = """\
id,name,department,title,site,manager_id,mobile,active
p1,Ana Cole,IT,Manager,Store 9,p7,+14155550101,true
p2,Benjamin Ode,Shops,Cashier,Store 9,p7,+14155550102,true
p3,Cleo March,IT,Engineer,Office,p7,+14155550103,false
p4,Al New,IT,Engineer,Office,p7,,true
p5,Evelyn Stone,Finance,Buyer,Paris,p7,+14155550105,false
p6,Finley Adair,Shops,Buyer,Paris,p7,+14155550106,true
p7,August Lind,Finance,Chief,Paris,,+14155550107,false
"""
STORES = "Store Operations"
ADMIN = Actor(1, "An admin", "admin")
ASKED: list[dict[str, Any]] = [{}, {"department": STORES}, {"q": "ana ruiz"}, {"q": "store 1"}]


async def _shown(house: House, key: str) -> dict[str, bytes]:
    """All that is shown of an incident, as it leaves each part; the house's clock says when."""
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        shown: dict[str, Any] = {
            "incident": {name: incident[name] for name in ("commander_name", "commander_person_id")},
            "timeline": await timeline.read(session, incident_id=incident["id"], key=key),
            "recent timeline": await page_reads.recent_timeline(session, key, incident["id"], limit=500),
            "field reports": await reports.of_incident(session, ADMIN, incident["id"], limit=500),
            "help requests": await help_requests.of_incident(session, key),
            "a department's help requests": await help_requests.of_incident(
                session, key, department="Store Operations"
            ),
        }
        for number in (1, 2, 3):
            counts = await board.board(session, key, number)
            shown[f"board {number}"] = {**counts, "as_of": None}
            for given in ASKED:
                shown[f"recipients {number} {given}"] = await board.recipients(session, key, number, **given)
            bulletin = await bulletins.get(session, incident["id"], number)
            shown[f"bulletin {number}"] = await bulletins.show(session, house, incident, bulletin)
            shown[f"call sheet {number}"] = await page_reads.unanswered(session, bulletin, department=None, limit=500)
    found = {
        name: json.dumps(value, default=lambda v: dict(v) if hasattr(v, "keys") else str(v), indent=1).encode()
        for name, value in shown.items()
    }
    for format in FORMATS:
        found[f"review as {format}"] = await review.export(house, key, format)
    return found


@dataclass(frozen=True)
class Twice:
    """What is shown of a closed incident: before and after an import, and after a name was erased."""

    url: str
    before: dict[str, bytes]
    after: dict[str, bytes]
    erased: dict[str, bytes]
    later: dict[str, Any]
    bad: str | None


async def _tell(url: str, folder: Path) -> Twice:
    db, clock = Database(url, pool_size=3), ManualClock(at("03:00:00"))
    try:
        teller = await story.begun(house_on(db, url, clock, folder), clock, folder)
        await teller.change(commander="p7", reason="Kim sleeps")
        await story.go_on(teller)
        await story.finish(teller)
        then = replace(teller.house, clock=ManualClock(CLOSED))
        before = await _shown(then, teller.key)
        clock.advance(seconds=86_400)
        await directory.import_people(db, clock, MOVED.encode(), country="US", actor="operator")
        after = await _shown(then, teller.key)
        first = teller.key
        await _another(teller)
        async with db.begin() as session:
            later = await board.board(session, teller.key, 1)
            later["people"] = (await board.recipients(session, teller.key, 1))[0]
            ana = await row(session, "SELECT id FROM person WHERE employee_id = 'p1'")
            assert ana
            await versions.erase_name(session, ana["id"], actor="system", at=clock.now())
        erased = await _shown(then, first)
        async with db.begin() as session:
            bad = await audit.verify(session) or await versions.verify(session) or await proof.verify(session)
            bad = bad or await replies.verify(session)
        return Twice(url, before, after, erased, later, bad)
    finally:
        await db.close()


async def _another(teller: story.Teller) -> None:
    """A new incident, told to whoever is here now."""
    async with teller.house.db.begin() as session:
        shown = await incidents.declare(
            session, teller.house, teller.actor, slug="sample", severity="SEV2", title="Another",
            facts=story.FACTS | {"next_update": "2026-03-04T05:00:00Z"}, drill=False,
        )  # fmt: skip
        teller.key = shown["key"]
    number = await teller.draft("investigating")
    await teller.approve(number)
    await teller.send(number)


@pytest.fixture(scope="module")
def twice(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twice]:
    url = spare.take()
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, apart from each test's
        yield thread.submit(asyncio.run, _tell(url, tmp_path_factory.mktemp("playbooks"))).result()


async def test_an_import_afterwards_changes_nothing_that_is_shown_of_a_closed_incident(twice: Twice) -> None:
    assert len(twice.before) > 20
    assert b"Ana Ruiz" in twice.before["board 1"] + twice.before["timeline"]
    changed = [name for name in twice.before if twice.after[name] != twice.before[name]]
    assert changed == []


async def test_a_new_incident_shows_people_as_they_are_now(twice: Twice) -> None:
    ana = next(entry for entry in twice.later["people"] if entry["person_id"] == "p1")
    assert (ana["name"], ana["department"], ana["site"], ana["title"]) == ("Ana Cole", "IT", "Store 9", "Manager")
    assert ana["manager"] == {"person_id": "p7", "name": "August Lind"}
    assert "Store Operations" not in twice.later["by_department"]


async def test_a_name_that_is_erased_is_gone_from_everything_and_counts_stay(twice: Twice) -> None:
    assert [name for name, shown in twice.erased.items() if b"Ana Ruiz" in shown or b"Ana Cole" in shown] == []
    for name in ("recipients 1 {}", "timeline", "review as md"):
        assert b"erased person" in twice.erased[name], name
    assert [
        name for name in twice.erased if name.startswith("board") and twice.erased[name] != twice.before[name]
    ] == []


async def test_the_record_still_proves_itself_after_both(twice: Twice) -> None:
    assert twice.bad is None
