"""Alarms against the simulator, told to a number and an address of nobody's, with time that moves when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.channels import registry
from app.channels.port import Providers, SmtpConfig, TwilioConfig
from app.kernel.clock import ManualClock
from app.kernel.db import rows
from app.kernel.house import House
from app.readiness import service
from app.readiness.alarms import Alarms, Ways
from app.simulator.config import SimulatorConfig
from app.simulator.server import running
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER

OPERATOR_PHONE = "+12065550177"
OPERATOR_MAIL = "operator@example.org"


@dataclass
class Shift:
    """An operator on duty: what they hear, and the means to make trouble."""

    house: House
    clock: ManualClock
    providers: Providers
    alarms: Alarms
    carrier: httpx2.AsyncClient

    async def look(self, *, after: float = 0.0, worker: bool = True, probe: bool = True) -> None:
        """One round of the watch, some seconds later, with a worker alive and the providers asked unless told not."""
        self.clock.advance(seconds=after)
        if worker:
            await service.beat(self.house, "a worker")
        else:
            await service.gone(self.house, "a worker")
        if probe:
            await service.probe(self.house, self.providers)
        await self.alarms.step()

    async def trouble(self, **faults: Any) -> None:
        assert (await self.carrier.post("/simulator/faults", json=faults)).status_code == 200

    async def texts(self) -> list[str]:
        found = (await self.carrier.get("/simulator/messages")).json()
        messages = found["messages"] if isinstance(found, dict) else found
        return [message["body"] for message in messages if message["to"] == OPERATOR_PHONE]

    async def mails(self) -> list[str]:
        found = (await self.carrier.get("/simulator/emails")).json()
        mails = found["emails"] if isinstance(found, dict) else found
        return [mail["subject"] for mail in mails]

    async def open(self) -> list[str]:
        async with self.house.db.begin() as session:
            found = await rows(session, "SELECT cause FROM alarm WHERE resolved_at IS NULL ORDER BY 1")
        return [entry["cause"] for entry in found]


@pytest.fixture
async def shift(house: House, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Shift]:
    config = SimulatorConfig(
        http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=AUTH_TOKEN, sender=SENDER,
        inbound_url="http://127.0.0.1:9/inbound", journal=tmp_path / "simulator.jsonl", auto=False,
    )  # fmt: skip
    async with running(config) as simulator:
        base = f"http://127.0.0.1:{simulator.http_port}"
        providers = registry.build(
            TwilioConfig(ACCOUNT, AUTH_TOKEN, SENDER, base),
            SmtpConfig("127.0.0.1", simulator.smtp_port, False, None, None, "muster@example.org", None),
        )
        async with httpx2.AsyncClient(verify=False, base_url=base, trust_env=False) as carrier:
            alarms = Alarms(house, providers, Ways(email=OPERATOR_MAIL, sms=OPERATOR_PHONE))
            yield Shift(house, clock, providers, alarms, carrier)
        await providers.close()
