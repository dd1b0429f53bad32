"""The doctor beside a whole running installation: nothing stands in the way of a send."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

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
            "MUSTER_SMS_COUNTRIES": "US,CA",
            "MUSTER_ALARM_EMAIL": "ops@example.org",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.cli", "doctor", "--json", env=environment, cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 90)
        found = {entry["name"]: entry for entry in json.loads(out)}
        assert process.returncode == 0, (found, err)
        assert err == b""
        for name in ("database", "schema", "sms", "email", "worker", "playbooks", "people"):
            assert found[name]["ok"] is True, found[name]
        assert "US, CA" in found["countries"]["detail"]
        assert "MUSTER_ALARM_EMAIL" not in found["alarms"]["detail"]
        assert "MUSTER_HEARTBEAT_URL" in found["alarms"]["detail"]
