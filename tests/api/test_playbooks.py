"""What the API says of playbooks, and that it can be declared as it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from app.playbooks.yaml_source import load
from tests.api.company import check_problem
from tests.conftest import ROOT
from tests.spare import Spare
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

SHIPPED = (
    "contact-centre-outage", "customer-data-breach", "global-vendor-outage",
    "payment-outage", "ransomware", "social-media-storm",
)  # fmt: skip
STAGES = ("investigating", "identified", "monitoring", "resolved")


async def test_the_list_names_each_playbook_with_its_revision_and_departments(muster: Stack) -> None:
    listed = await muster.call("GET", "/playbooks", status=200)
    assert set(listed) >= {"items", "next_cursor"}
    assert listed["next_cursor"] is None
    by_slug = {item["slug"]: item for item in listed["items"]}
    assert set(by_slug) == set(SHIPPED)
    for item in by_slug.values():
        assert item["title"]
        assert item["revision"] == 1
        assert len(item["sha256"]) == 64
        assert {"IT", "Security", "Marketing", "Customer Service", "Store Operations"} <= set(item["departments"])


@pytest.mark.parametrize("slug", SHIPPED)
async def test_one_playbook_brings_everything_that_a_declaration_needs(muster: Stack, slug: str) -> None:
    head = next(i for i in (await muster.call("GET", "/playbooks"))["items"] if i["slug"] == slug)
    found = await muster.call("GET", f"/playbooks/{slug}", status=200)
    assert {name: found[name] for name in ("slug", "title", "revision", "sha256", "departments")} == {
        name: head[name] for name in ("slug", "title", "revision", "sha256", "departments")
    }
    for fact in found["facts"]:
        assert set(fact) >= {"name", "type", "required", "example", "help"}
        assert fact["type"] in {"text", "choice", "time", "number"}
        assert ("choices" in fact) == (fact["type"] == "choice")
    assert list(found["stages"]) == list(STAGES)
    assert set(found["severities"]) == {"SEV1", "SEV2", "SEV3", "SEV4"}
    assert found["audiences"]
    assert "anyone" in found["waterline"]
    assert [step["send"] for step in found["ladder"]][:2] == ["sms", "email"]
    for stage in STAGES:
        assert set(found["stages"][stage]) == set(found["audiences"])


async def test_an_unknown_playbook_is_a_404_that_names_those_there_are(muster: Stack) -> None:
    problem = check_problem(await muster.api.get("/api/v1/playbooks/global-vendor-outtage"), 404)
    assert "global-vendor-outage" in problem["detail"]


async def test_the_schema_of_playbook_files_needs_no_token_and_is_the_published_one(muster: Stack) -> None:
    async with httpx2.AsyncClient(verify=False, base_url=muster.base_url, trust_env=False) as nobody:
        answer = await nobody.get("/api/v1/playbooks/schema.json")
    assert answer.status_code == 200
    schema = answer.json()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"slug", "facts", "stages", "ladder", "waterline"} <= set(schema["properties"])
    published = ROOT / "docs" / "playbook.schema.json"
    assert httpx2.Response(200, content=published.read_bytes()).json() == schema


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def big_company(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The sample company of 600, and nobody to send anything."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("big"), worker=False) as running:
        await running.import_people()
        yield running


@pytest.mark.parametrize("slug", SHIPPED)
async def test_the_examples_together_declare_and_speak_against_no_stage(big_company: Stack, slug: str) -> None:
    playbook = await big_company.call("GET", f"/playbooks/{slug}")
    examples = {fact["name"]: fact["example"] for fact in playbook["facts"]}
    for severity in ("SEV1", "SEV4"):
        incident = await big_company.call(
            "POST", "/incidents", {"playbook": slug, "severity": severity, "facts": examples}, status=201
        )
        for stage in STAGES:
            bulletin = await big_company.call(
                "POST", f"/incidents/{incident['key']}/bulletins", {"stage": stage, "facts": {}}, status=201
            )
            assert bulletin["errors"] == []
            assert bulletin["warnings"] == []
            assert bulletin["recipients"]["total"] > 0
            for message in bulletin["messages"]:
                assert "${" not in message["text"] + message.get("subject", "")
                if message["channel"] == "sms":
                    assert message["segments"] <= 3


async def test_a_privacy_bulletin_leaves_only_after_commander_and_communications_lead(muster: Stack) -> None:
    key = await muster.declare("customer-data-breach")
    bulletins = f"/api/v1/incidents/{key}/bulletins"
    commander, communications = await muster.client("commander"), await muster.client("communications_lead")
    async with commander, communications, await muster.client("communications_lead") as author:
        made = await author.post(bulletins, json={"stage": "investigating", "facts": {}})
        assert (made.status_code, made.json()["approvals"]["needed"]) == (201, 2)
        check_problem(await author.post(f"{bulletins}/1/approve", json={}), 409)
        assert (await commander.post(f"{bulletins}/1/approve", json={})).json()["state"] == "draft"
        check_problem(await commander.post(f"{bulletins}/1/send", json={}), 409)
        assert (await communications.post(f"{bulletins}/1/approve", json={})).json()["state"] == "approved"


async def test_the_examples_declare_before_anybody_is_in_the_directory(spare: Spare, tmp_path: Path) -> None:
    async with spare.lent() as url, stack(url, tmp_path, worker=False) as empty:
        for slug in SHIPPED:
            playbook = await empty.call("GET", f"/playbooks/{slug}")
            examples = {fact["name"]: fact["example"] for fact in playbook["facts"]}
            body = {"playbook": slug, "severity": "SEV1", "facts": examples}
            assert (await empty.call("POST", "/incidents", body, status=201))["status"] == "declared"


@pytest.mark.parametrize("slug", SHIPPED)
async def test_facts_audiences_and_departments_come_in_the_order_of_the_file(muster: Stack, slug: str) -> None:
    written = load(ROOT / "playbooks" / f"{slug}.yaml").data
    found = await muster.call("GET", f"/playbooks/{slug}")
    assert [fact["name"] for fact in found["facts"]] == list(written["facts"])
    assert list(found["audiences"]) == list(written["audiences"])
    assert found["departments"] == list(written["departments"])
