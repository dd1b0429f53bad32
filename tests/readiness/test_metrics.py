"""The metrics page is valid, documented to the last name, and holds what an operator would page on."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shutil

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.kernel.db import Database
from app.readiness import heartbeat, metrics
from app.readiness.tally import Tally
from tests.conftest import ROOT
from tests.readiness.conftest import Shift


async def read(shift: Shift) -> dict[str, Metric]:
    text = (await metrics.page(shift.house)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    [found] = [entry.value for entry in families[name].samples if entry.labels == labels]
    return float(found)


async def test_it_says_what_an_operator_would_page_on(shift: Shift) -> None:
    before = await read(shift)
    assert value(before, "muster_ready") == 0
    assert value(before, "muster_database_up") == 1
    assert value(before, "muster_worker_age_seconds") == float("inf")
    assert value(before, "muster_heartbeat_last_success_timestamp_seconds") == 0
    await shift.look(worker=False)
    await shift.look(after=31, worker=False)
    assert value(await read(shift), "muster_alarms_open", cause="worker") == 1
    tally = Tally()
    tally.taken()
    tally.refused(ours=True)
    tally.refused(ours=False)
    await tally.write(shift.house)
    await shift.look()
    await heartbeat.ping(shift.house, "http://127.0.0.1:9/")
    after = await read(shift)
    assert value(after, "muster_ready") == 1
    assert value(after, "muster_workers") == 1
    assert value(after, "muster_worker_age_seconds") < 30
    assert value(after, "muster_check_ok", check="sms") == 1
    assert value(after, "muster_heartbeat_last_success_timestamp_seconds") == 0  # it was asked, and did not answer
    for result in ("taken", "refused_ours", "refused_stranger"):
        assert value(after, "muster_webhooks", result=result) == 1


async def test_old_webhook_counts_stay_in_the_sum(shift: Shift) -> None:
    tally = Tally()
    for _ in range(3):
        tally.taken()
        await tally.write(shift.house)
        shift.clock.advance(seconds=4000)
    assert value(await read(shift), "muster_webhooks", result="taken") == 3


async def test_the_page_is_valid_and_follows_the_naming_rules(shift: Shift) -> None:
    await shift.look()
    text = (await metrics.page(shift.house)).decode()
    assert text.endswith("\n")
    families = list(text_string_to_metric_families(text))
    assert len(families) == len({family.name for family in families}) >= 12
    for family in families:
        # The rules that `promtool check metrics` knows.
        assert re.fullmatch(r"muster_[a-z]+(_[a-z]+)*", family.name), family.name
        assert family.documentation
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        assert not re.search(r"_(ms|sec|minutes|hours|kb|mb|milliseconds)(_|$)", family.name)
        assert (f"{family.name}_total" in text) == (family.type == "counter")
    if tool := shutil.which("promtool"):
        checked = await asyncio.create_subprocess_exec(
            tool, "check", "metrics", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await checked.communicate(text.encode())
        assert (checked.returncode, said) == (0, b"")


async def test_every_metric_is_documented_and_nothing_else_is(shift: Shift) -> None:
    text = (await metrics.page(shift.house)).decode()
    there = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    documented = set(re.findall(r"^\| `(muster_\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    assert there == documented
    rules = (ROOT / "docs" / "metrics.md").read_text().split("```yaml")[1]
    assert set(re.findall(r"muster_\w+", rules)) <= there


async def test_without_the_database_it_still_answers(shift: Shift) -> None:
    away = Database("postgresql://u:p@127.0.0.1:1/none", pool_size=1)
    text = (await metrics.page(dataclasses.replace(shift.house, db=away))).decode()
    await away.close()
    assert "muster_database_up 0.0" in text
    assert "muster_ready 0.0" in text
    assert "muster_attempts" not in text
