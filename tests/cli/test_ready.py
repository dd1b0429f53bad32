"""The doctor beside a whole running installation: nothing stands in the way of a send."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from app.compose import make_providers
from app.readiness import doctor
from app.settings import Settings
from tests.api.company import CSV
from tests.conftest import ROOT, SECRET
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER, stack


async def test_doctor_ends_well_when_a_send_would_go_out(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path) as muster:
        await muster.import_people(CSV.encode())

        async def ready() -> bool:
            return (await muster.api.get("/readyz")).status_code == 200

        await muster.until(ready, seconds=40)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "MUSTER_DATABASE_URL": database_url,
            "MUSTER_SECRET_KEY": SECRET,
            "MUSTER_PLAYBOOKS_DIR": str(ROOT / "playbooks"),
            "MUSTER_TWILIO_ACCOUNT_SID": ACCOUNT,
            "MUSTER_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "MUSTER_TWILIO_SENDER": SENDER,
            "MUSTER_TWILIO_API_BASE_URL": f"http://127.0.0.1:{muster.simulator.http_port}",
            "MUSTER_SMTP_URL": f"smtp://127.0.0.1:{muster.simulator.smtp_port}",
            "MUSTER_EMAIL_SENDER": "muster@example.org",
            "MUSTER_BASE_URL": muster.base_url,
            "MUSTER_SMS_COUNTRIES": "US,CA",
            "MUSTER_ALARM_EMAIL": "ops@example.org",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.cli", "doctor", "--json", env=environment, cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 90)
        assert AUTH_TOKEN.encode() not in out
        found = {entry["name"]: entry for entry in json.loads(out)}
        assert process.returncode == 0, (found, err)
        assert err == b""
        for name in (
            "database", "schema", "sms", "sms sender", "sms inbound", "voice", "voice sender", "email", "email sender",
            "clock", "worker", "playbooks", "people",
        ):  # fmt: skip
            assert found[name]["ok"] is True, found[name]
        assert "US, CA" in found["countries"]["detail"]
        assert "MUSTER_ALARM_EMAIL" not in found["alarms"]["detail"]
        assert "MUSTER_HEARTBEAT_URL" in found["alarms"]["detail"]


async def test_doctor_names_what_is_set_up_wrongly_and_does_not_stop_for_what_can_wait(
    database_url: str, tmp_path: Path
) -> None:
    async with stack(database_url, tmp_path) as muster:
        await muster.import_people(CSV.encode())

        async def ready() -> bool:
            return (await muster.api.get("/readyz")).status_code == 200

        await muster.until(ready, seconds=40)
        settings = Settings(
            twilio_account_sid=ACCOUNT, twilio_auth_token=AUTH_TOKEN, twilio_sender="+15005550099",
            twilio_api_base_url=f"http://127.0.0.1:{muster.simulator.http_port}",
            smtp_url=f"smtp://127.0.0.1:{muster.simulator.smtp_port}", email_sender="muster@example.org",
        )  # fmt: skip
        providers = make_providers(settings)
        found = await doctor.examine(muster.house, providers, database_url, silent=settings.silent, real=True)
        by_name = {entry.name: entry for entry in found}
        # A sender of somebody else: nothing goes out by SMS, and email still does.
        assert by_name["sms"].ok is True
        assert by_name["sms sender"].ok is False
        assert "MUSTER_TWILIO_SENDER" in by_name["sms sender"].detail
        assert by_name["voice sender"].ok is False
        assert "MUSTER_TWILIO_VOICE_SENDER" in by_name["voice sender"].detail
        assert by_name["address"].ok is False
        assert "https://" in by_name["address"].detail
        assert [entry.name for entry in found if entry.stops] == []
        assert doctor.verdict(found).startswith("A send would go out, but")
        # Nobody who commands is a person here.
        assert by_name["told"].ok is False
        assert "muster tokens create NAME --role commander --person ID" in by_name["told"].detail
        # What holds for the workers is theirs to say: these settings are other ones.
        assert await ready()
        # And without email nothing would.
        await muster.carrier.post("/simulator/faults", json={"smtp": "refuse"})
        found = await doctor.examine(muster.house, providers, database_url, real=True)
        assert {entry.name for entry in found if entry.stops} == {"sms sender", "voice sender", "email"}
        assert doctor.verdict(found) == "A send would not go out. What stops it: sms sender, voice sender, email."
        await providers.close()


async def test_doctor_says_when_plans_count_on_calls_that_nobody_can_make(database_url: str, tmp_path: Path) -> None:
    async with stack(database_url, tmp_path, worker=False) as muster:
        service = Settings(
            twilio_account_sid=ACCOUNT, twilio_auth_token=AUTH_TOKEN, twilio_sender="MG" + "0" * 32,
            twilio_api_base_url=f"http://127.0.0.1:{muster.simulator.http_port}",
        )  # fmt: skip
        providers = make_providers(service)
        assert providers.channels == ("sms",)
        (found,) = [
            entry for entry in await doctor.examine(muster.house, providers, database_url) if entry.name == "voice"
        ]
        await providers.close()
        assert (found.ok, found.stops) == (None, False)
        assert "MUSTER_TWILIO_VOICE_SENDER" in found.detail
        assert "payment-outage" in found.detail


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("muster.example.com", True), ("8.8.8.8", True), ("127.0.0.1", False), ("localhost", False), ("muster", False),
        ("10.0.0.7", False), ("192.168.1.5", False), ("::1", False), ("muster.local", False), ("host.internal", False),
    ],
)  # fmt: skip
def test_an_address_that_carriers_cannot_reach_is_known_by_its_shape(host: str, public: bool) -> None:
    named = f"[{host}]" if ":" in host else host
    finding = doctor._address(f"https://{named}", real=True)
    assert finding.ok is public
    assert doctor._address(f"http://{named}", real=True).ok is False
    assert doctor._address(f"http://{named}", real=False).ok is None
