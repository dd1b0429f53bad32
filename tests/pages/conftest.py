"""A house with the sample company in it, its pages, and browsers to look at them with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.access import service as access
from app.access.pages import COOKIE
from app.board.stream import Hub
from app.bulletins import service as bulletins
from app.deliveries import sending
from app.directory import service as directory
from app.incidents import service as incidents
from app.kernel.clock import ManualClock
from app.kernel.db import row, rows, run
from app.kernel.house import House
from app.main import attach, create_app
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from tests.conftest import PEOPLE_600
from tests.pages.surfer import Surfer

ROLES = ("admin", "commander", "communications_lead", "department_lead", "viewer")
DEPARTMENT = "Store Operations"

FEW = """id,name,department,title,site,mobile,email,phone,language,active
C1,Amara Vance,Store Operations,Cashier,Dallas,+19725550101,c1@example.com,,en,true
C2,Björn Yıldız,Store Operations,Shift Manager,Paris,+19725550102,c2@example.com,,fr,true
C3,Nobody Reachable,Store Operations,Cashier,Dallas,,,,en,true
I1,Grace O'Brien,IT,Service Desk Analyst,Boston,+16175550103,i1@example.com,,en,true
S1,Uma Eriksen,Customer Service,Team Lead,Dallas,,s1@example.com,,en,true
"""


@dataclass
class Site:
    """The program under test and ways to bring it where a test begins."""

    house: House
    app: FastAPI
    clock: ManualClock
    clients: AsyncExitStack

    async def people(self, content: str | bytes = FEW) -> None:
        data = content.encode() if isinstance(content, str) else content
        await directory.import_people(self.house.db, self.house.clock, data, country="US", actor="test")

    async def everybody(self) -> None:
        await self.people(PEOPLE_600.read_bytes())

    async def surfer(self, role: str | None = None, *, secret: str = "") -> Surfer:
        """A browser: signed in with this role, or with this session, or not at all."""
        if role:
            secret = await self.session(role)
        client = httpx2.AsyncClient(
            verify=False, transport=httpx2.ASGITransport(app=self.app), base_url=self.house.base_url,
            headers={"Accept": "text/html,*/*;q=0.8"}, cookies={COOKIE: secret} if secret else {},
        )  # fmt: skip
        return Surfer(await self.clients.enter_async_context(client))

    async def session(self, role: str, *, person: str | None = None, name: str = "") -> str:
        link = await self.link(role, person=person, name=name)
        async with self.house.db.begin() as session:
            return await access.sign_in(session, self.house.clock, link)

    async def link(self, role: str, *, person: str | None = None, name: str = "") -> str:
        """The secret of a one-time sign-in link."""
        async with self.house.db.begin() as session:
            return await access.create_sign_in(
                session, self.house.clock, name=name or f"A {role}", role=role, person=person,
                department=DEPARTMENT if role == "department_lead" else None,
            )  # fmt: skip

    async def actor(self, role: str = "commander") -> Any:
        async with self.house.db.begin() as session:
            token = await access.create_token(
                session, self.house.clock, name=f"An API {role}", role=role,
                department=DEPARTMENT if role == "department_lead" else None,
            )  # fmt: skip
            return await access.by_token(session, token)

    async def declared(self, slug: str = "global-vendor-outage", *, drill: bool = False, **facts: Any) -> str:
        """An incident declared with the playbook's examples."""
        actor = await self.actor()
        async with self.house.db.begin() as session:
            playbook = (await playbooks.current(session, slug)).playbook
            examples = fact_rules.examples(playbook, sites=(), now=self.house.clock.now())
            made = await incidents.declare(
                session, self.house, actor, slug=slug, severity=None, title=None,
                facts={name: value for name, value in examples.items() if value is not None} | facts, drill=drill,
            )  # fmt: skip
        return str(made["key"])

    async def drafted(self, key: str, stage: str = "investigating", **facts: Any) -> int:
        actor = await self.actor()
        async with self.house.db.begin() as session:
            made = await bulletins.draft(session, self.house, actor, key, stage=stage, facts=facts, audiences=None)
        return int(made["number"])

    async def sent(self, key: str, stage: str = "investigating", **facts: Any) -> int:
        """A bulletin that went out; returns its number. No worker runs, so nothing is handed over."""
        number = await self.drafted(key, stage, **facts)
        actor = await self.actor()
        async with self.house.db.begin() as session:
            await bulletins.approve(session, self.house, actor, key, number, accept_warnings=True)
            await sending.send(session, self.house, actor, key, number, confirm=True)
        return number

    async def close(self, key: str) -> None:
        actor = await self.actor()
        async with self.house.db.begin() as session:
            await incidents.change(
                session, self.house, actor, key, status="closed", severity=None, commander=None, reason="over",
                accept_open_help=True,
            )  # fmt: skip

    async def token(self, employee_id: str, number: int = 1) -> str:
        """The staff link's token of one person's delivery."""
        found = await self.one(
            """SELECT d.id FROM delivery d JOIN person p ON p.id = d.person_id JOIN bulletin b ON b.id = d.bulletin_id
               WHERE p.employee_id = :who AND b.number = :number""",
            who=employee_id, number=number,
        )  # fmt: skip
        return self.house.signer.link_token(found["id"])

    async def one(self, sql: str, **values: Any) -> Any:
        async with self.house.db.begin() as session:
            found = await row(session, sql, values)
        assert found is not None
        return found

    async def all(self, sql: str, **values: Any) -> list[Any]:
        async with self.house.db.begin() as session:
            return list(await rows(session, sql, values))

    async def run(self, sql: str, **values: Any) -> None:
        async with self.house.db.begin() as session:
            await run(session, sql, values)

    async def count(self, table: str) -> int:
        return int((await self.one(f"SELECT count(*) AS n FROM {table}"))["n"])


_made: list[FastAPI] = []


def an_app(house: House, hub: Hub) -> FastAPI:
    """Made once and put on each test's house: putting its routes together takes longer than most tests."""
    if not _made:
        _made.append(create_app(house, hub, signatures=None))
    attach(_made[0], house, hub, signatures=None)
    return _made[0]


@pytest.fixture
async def site(house: House, clock: ManualClock, database_url: str) -> AsyncIterator[Site]:
    """The pages on a fresh database with the shipped playbooks; nobody in the directory yet."""
    playbooks.forget_folder(house.playbooks_dir)
    await playbooks.sync(house)
    app = an_app(house, Hub(database_url))
    async with AsyncExitStack() as clients:
        yield Site(house, app, clock, clients)
