"""Nothing that was accepted is lost: not by kill -9, not by a torn line, not by a receiver that is down."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx2
import pytest

from app.simulator.config import SimulatorError
from app.simulator.server import running, serve
from tests.patience import patience
from tests.stack import free_port

from .stand import ACCOUNT, BODY, PERSON, SENDER, SOMEBODY, TOKEN, Receiver, Stand, config, listening, standing, until

PROGRAM = f"""
import sys
from pathlib import Path
from app.simulator.server import SimulatorConfig, SimulatorError, run
http, smtp, inbound, journal = sys.argv[1:5]
try:
    run(SimulatorConfig(http_port=int(http), smtp_port=int(smtp), account_sid={ACCOUNT!r}, auth_token={TOKEN!r},
        sender={SENDER!r}, inbound_url=inbound, journal=Path(journal), auto=True, speed=600.0))
except SimulatorError as error:
    sys.exit(str(error))
"""


@dataclass
class Process:
    """A simulator in a process of its own."""

    process: asyncio.subprocess.Process
    http_port: int
    smtp_port: int

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def process(journal: Path, receiver: Receiver, http_port: int, smtp_port: int) -> AsyncIterator[Process]:
    inbound = f"{receiver.url}/webhooks/twilio/inbound"
    root = Path(__file__).parents[2]
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(http_port), str(smtp_port), inbound, str(journal),
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + patience(15)
        while True:
            assert started.returncode is None, "the simulator did not start"
            assert time.monotonic() < deadline, "the simulator did not start in time"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", http_port)
                writer.close()
                await writer.wait_closed()
                break
            await asyncio.sleep(0.05)
        yield Process(started, http_port, smtp_port)
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGTERM)
            await asyncio.wait_for(started.wait(), patience(10))


@pytest.mark.slow
async def test_a_killed_simulator_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Killed twice while 80 texts are sent, under a receiver that is slow: each has one full set of receipts."""
    journal, ports = tmp_path / "j.jsonl", (free_port(), free_port())
    numbers = [f"+1500{exchange}1001" for exchange in range(300, 380)]
    sids: dict[str, str] = {}

    async with listening() as receiver:
        receiver.delay = 0.02

        async def send(client: httpx2.AsyncClient, number: str) -> None:
            link = f"{receiver.url}/a/{number[1:]}"
            data = {
                "To": number, "From": SENDER, "Body": BODY.format(link=link, code="K7"),
                "StatusCallback": f"{receiver.url}/webhooks/twilio/status/{number[1:]}",
            }  # fmt: skip
            answer = await client.post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data=data)
            assert answer.status_code == 201
            sids[number] = answer.json()["sid"]

        for share in (numbers[:40], numbers[40:], []):
            async with process(journal, receiver, *ports) as running_one:
                url = f"http://127.0.0.1:{running_one.http_port}"
                async with httpx2.AsyncClient(
                    base_url=url, auth=(ACCOUNT, TOKEN), trust_env=False, verify=False
                ) as client:
                    await asyncio.gather(*[send(client, number) for number in share])
                    if share:
                        mail = EmailMessage()
                        mail["From"], mail["To"] = "muster@example.com", "silent@example.com"
                        mail["Subject"], mail["Message-ID"] = f"Outage {len(sids)}", f"<{len(sids)}@muster>"
                        mail.set_content("hello")
                        await aiosmtplib.send(mail, hostname="127.0.0.1", port=running_one.smtp_port)
                        await running_one.kill()
                        continue
                    listed = (await client.get("/simulator/messages")).json()["messages"]
                    assert {text["to"]: text["sid"] for text in listed} == sids
                    await until(lambda: all("delivered" in receiver.of(sid) for sid in sids.values()))
                    await until(lambda: len({got.form["From"] for got in receiver.incoming}) == 80, 20)
                    stats = (await client.get("/simulator/stats")).json()
                    assert (stats["accepted"], stats["duplicates"], stats["emails"]) == (80, 0, 2)
                    assert stats["inbound"] == 80, "nobody answered twice"
        for sid in sids.values():
            came = [status for status in receiver.of(sid) if status != "sending"]
            assert list(dict.fromkeys(came)) == ["sent", "delivered"]
        by_sid = {got.form["MessageSid"]: got.form["Body"] for got in receiver.incoming}
        assert sorted(by_sid.values()) == ["1"] * 80


async def test_a_torn_last_line_is_dropped_and_writing_goes_on(tmp_path: Path, receiver: Receiver) -> None:
    journal = tmp_path / "j.jsonl"
    async with standing(journal, receiver) as stand:
        sid = await stand.send(PERSON)
    with journal.open("ab") as file:
        file.write(b'{"e":"out","sid":"SMtorn","to":"+1206')
    async with standing(journal, receiver) as stand:
        assert (await stand.text(sid))["to"] == PERSON
        await stand.send(SOMEBODY, token="t2")
    async with standing(journal, receiver) as stand:
        assert (await stand.stats())["accepted"] == 2
    assert [json.loads(line)["e"] for line in journal.read_text().splitlines()].count("out") == 2


async def test_damage_inside_the_journal_is_said_plainly(tmp_path: Path, receiver: Receiver) -> None:
    journal = tmp_path / "j.jsonl"
    journal.write_text('{"e":"out"\n{"e":"no","to":"+12065550141","c":21211,"at":1}\n')
    with pytest.raises(SimulatorError, match=r"Line 1 of the simulator's journal .* is damaged"):
        async with running(config(journal, receiver)):
            pass


async def test_a_journal_of_another_version_is_said_plainly(tmp_path: Path, receiver: Receiver) -> None:
    journal = tmp_path / "j.jsonl"
    journal.write_text('{"e":"teleport"}\n')
    for _ in range(2):  # the lock is given back
        with pytest.raises(SimulatorError, match="written by another version"):
            async with running(config(journal, receiver)):
                pass


async def test_one_journal_serves_one_simulator(stand: Stand) -> None:
    with pytest.raises(SimulatorError, match="Another simulator already uses the journal"):
        async with running(stand.simulator.config):
            pass


async def test_a_taken_port_is_one_plain_line(tmp_path: Path, receiver: Receiver) -> None:
    taken = config(tmp_path / "j.jsonl", receiver, http_port=receiver.port)
    with pytest.raises(SimulatorError) as caught:
        await serve(taken)
    assert str(caught.value) == (
        f"The simulator cannot listen on 127.0.0.1:{receiver.port} for HTTP: Address already in use. "
        "Stop what uses the port, or choose another."
    )


async def test_receipts_wait_for_a_receiver_that_is_down(tmp_path: Path) -> None:
    async with listening() as receiver:
        port = receiver.port
    async with standing(tmp_path / "j.jsonl", receiver) as stand:
        sid = await stand.send(PERSON)
        world = stand.simulator.world
        await until(lambda: world.counts["receipt_retries"] >= 2)
        async with listening(port) as back:
            await until(lambda: "delivered" in back.of(sid))
            assert [status for status in back.of(sid) if status != "sending"] == ["sent", "delivered"]


async def test_receipts_that_were_not_posted_are_posted_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    async with standing(tmp_path / "j.jsonl", receiver) as stand:
        sid = await stand.send(PERSON)
        await until(lambda: stand.simulator.world.messages[sid].status == "delivered")
    assert receiver.of(sid) == []
    receiver.status = 200
    async with standing(tmp_path / "j.jsonl", receiver) as stand:
        await until(lambda: "delivered" in receiver.of(sid))
        assert (await stand.text(sid))["status"] == "delivered"
    assert [status for status in receiver.of(sid) if status != "sending"] == ["sent", "delivered"]


async def test_an_opt_out_survives_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    async with standing(tmp_path / "j.jsonl", receiver) as stand:
        await stand.http.post(f"/simulator/phones/{PERSON}/reply", json={"body": "stop"})
    async with standing(tmp_path / "j.jsonl", receiver) as stand:
        assert (await stand.stats())["opted_out"] == 1
        assert stand.simulator.carrier.refusal(PERSON) == 21610
