"""A company's own playbooks: whose approval counts, who gets whose words, and what editing one does not do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.api.company import CSV, check_problem
from tests.playbooks.sample import HEAD, SCRIPT, changed
from tests.spare import Spare
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

TWO_ROLES = changed(
    ("slug: sample", "slug: two-roles"),
    (
        "SEV1: {means: Nobody is served, cadence: 20m}",
        "SEV1: {means: Nobody is served, cadence: 20m, approval: {roles: [commander, communications_lead]}}",
    ),
    (
        "SEV3: {means: All are served slowly, cadence: 12h}",
        "SEV3: {means: All are served slowly, cadence: 12h, approval: {other_person: true}}",
    ),
    ("default_severity: SEV2", "default_severity: SEV2\nmin_interval: 30m"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this company keeps its playbooks."""
    made = tmp_path_factory.mktemp("playbooks")
    (made / "two-roles.yaml").write_text(TWO_ROLES)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def company(spare: Spare, tmp_path_factory: pytest.TempPathFactory, folder: Path) -> AsyncIterator[Stack]:
    async with (
        spare.lent() as url,
        stack(url, tmp_path_factory.mktemp("company"), worker=False, playbooks_dir=folder) as running,
    ):
        await running.import_people(CSV.encode())
        yield running


async def declared(company: Stack, slug: str, severity: str, **facts: Any) -> str:
    playbook = await company.call("GET", f"/playbooks/{slug}")
    examples = {fact["name"]: fact["example"] for fact in playbook["facts"] if fact["name"] != "sites"}
    body = {"playbook": slug, "severity": severity, "facts": examples | facts}
    return str((await company.call("POST", "/incidents", body, status=201))["key"])


async def drafted(company: Stack, key: str, stage: str = "investigating", **more: Any) -> dict[str, Any]:
    body = {"stage": stage, "facts": {}, **more}
    found: dict[str, Any] = await company.call("POST", f"/incidents/{key}/bulletins", body, status=201)
    return found


async def test_each_named_role_must_approve(company: Stack) -> None:
    key = await declared(company, "two-roles", "SEV1")
    bulletin = await drafted(company, key)
    assert bulletin["approvals"]["needed"] == 2
    path = f"/api/v1/incidents/{key}/bulletins/1"
    async with await company.client("commander") as commander, await company.client("communications_lead") as lead:
        first = (await commander.post(f"{path}/approve", json={})).json()
        assert first["state"] == "draft"
        assert first["approvals"]["given"] == 1
        # The same person again is still one approval, and so is another commander.
        assert (await commander.post(f"{path}/approve", json={})).json()["approvals"]["given"] == 1
        async with await company.client("commander") as another:
            assert (await another.post(f"{path}/approve", json={})).json()["approvals"]["given"] == 1
        check_problem(await commander.post(f"{path}/send", json={}), 409)
        second = (await lead.post(f"{path}/approve", json={})).json()
    assert second["state"] == "approved"
    assert second["approvals"]["given"] == second["approvals"]["needed"] == 2


async def test_an_admin_counts_as_any_role(company: Stack) -> None:
    key = await declared(company, "two-roles", "SEV1")
    await drafted(company, key)
    approved = await company.call("POST", f"/incidents/{key}/bulletins/1/approve", {})
    assert approved["state"] == "approved"


async def test_one_usual_approval_suffices_where_no_role_is_named(company: Stack) -> None:
    for role in ("commander", "communications_lead"):
        key = await declared(company, "two-roles", "SEV2")
        assert (await drafted(company, key))["approvals"]["needed"] == 1
        async with await company.client(role) as client:
            answer = await client.post(f"/api/v1/incidents/{key}/bulletins/1/approve", json={})
        assert answer.json()["state"] == "approved"


async def test_authors_approve_their_own_unless_another_person_is_asked_for(company: Stack) -> None:
    own = await declared(company, "two-roles", "SEV2")
    other = await declared(company, "two-roles", "SEV3")
    async with await company.client("commander") as author:
        for key in (own, other):
            made = await author.post(f"/api/v1/incidents/{key}/bulletins", json={"stage": "investigating", "facts": {}})
            assert made.status_code == 201
        approved = await author.post(f"/api/v1/incidents/{own}/bulletins/1/approve", json={})
        assert approved.json()["state"] == "approved"
        check_problem(await author.post(f"/api/v1/incidents/{other}/bulletins/1/approve", json={}), 409)
    assert (await company.call("POST", f"/incidents/{other}/bulletins/1/approve", {}))["state"] == "approved"


async def test_a_bulletin_too_soon_after_the_last_is_warned_about(company: Stack) -> None:
    key = await declared(company, "two-roles", "SEV2")
    assert (await drafted(company, key))["warnings"] == []
    await company.call("POST", f"/incidents/{key}/bulletins/1/approve", {})
    await company.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
    soon = await drafted(company, key, "identified")
    assert [entry["where"] for entry in soon["warnings"]] == ["bulletin"]
    assert "30 min" in soon["warnings"][0]["message"]
    check_problem(await company.api.post(f"/api/v1/incidents/{key}/bulletins/2/approve", json={}), 409, "bulletin")
    accepted = await company.call("POST", f"/incidents/{key}/bulletins/2/approve", {"accept_warnings": True})
    assert accepted["state"] == "approved"


async def test_the_first_audience_that_fits_gives_the_script(company: Stack, folder: Path) -> None:
    """An order that is not the alphabet's nor the length's, and a person who belongs to all three."""
    audiences = ("zulu_first", "an_audience_with_a_long_name", "it")
    head = changed(
        ("slug: sample", "slug: ordered"),
        ("  front_line: {label: Counters, departments: [Store Operations], sites: $sites}\n", ""),
        (
            "  responders: {label: Responders, departments: [IT]}\n",
            "".join(f"  {name}: {{label: {name}, departments: [IT]}}\n" for name in audiences),
        ),
        base=HEAD,
    )
    scripts = "".join(
        f"  {stage}:\n" + "".join(SCRIPT.format(stage=stage, audience=name) for name in audiences)
        for stage in ("investigating", "identified", "monitoring", "resolved")
    )
    (folder / "ordered.yaml").write_text(head + scripts)
    try:
        key = await declared(company, "ordered", "SEV2")
        await drafted(company, key)
        await company.call("POST", f"/incidents/{key}/bulletins/1/approve", {"accept_warnings": True})
        await company.call("POST", f"/incidents/{key}/bulletins/1/send", {}, status=202)
        [person] = await company.recipients(key)
        assert person["person_id"] == "I1"
        assert person["audience"] == "zulu_first"
    finally:
        (folder / "ordered.yaml").unlink()


async def test_editing_a_playbook_never_changes_a_running_incident(company: Stack, folder: Path) -> None:
    (folder / "edited.yaml").write_text(changed(("slug: sample", "slug: edited")))
    key = await declared(company, "edited", "SEV2")
    before = await drafted(company, key)
    # Other words, another fact, another audience, another ladder: none of it is this incident's.
    new = changed(
        ("slug: sample", "slug: edited"),
        ("title: A sample outage", "title: A sample outage, edited"),
        ("${vendor} investigating for front_line.", "EDITED ${vendor} investigating for front_line."),
        ("  hit:", "  more: {type: text, max: 10, example: words, help: Something new}\n  hit:"),
        (
            "responders: {label: Responders, departments: [IT]}",
            "responders: {label: Responders, departments: [Finance]}",
        ),
    )
    (folder / "edited.yaml").write_text(new)
    later = await company.call("GET", "/playbooks/edited")
    assert later["revision"] == 2
    assert "more" in [fact["name"] for fact in later["facts"]]
    after = await drafted(company, key)
    assert after["messages"] == before["messages"]
    assert after["recipients"] == before["recipients"]
    assert (await company.call("GET", f"/incidents/{key}"))["playbook_revision"] == 1
    next_one = await declared(company, "edited", "SEV2")
    assert any("EDITED" in message["text"] for message in (await drafted(company, next_one))["messages"])
    # Removed altogether, the incident goes on; only nothing new can be declared under it.
    (folder / "edited.yaml").unlink()
    assert (await drafted(company, key))["messages"] == before["messages"]
    check_problem(await company.api.get("/api/v1/playbooks/edited"), 404)
    body = {"playbook": "edited", "severity": "SEV2", "facts": {}}
    check_problem(await company.api.post("/api/v1/incidents", json=body), 422, "playbook")


async def test_a_playbook_with_errors_is_refused_and_its_last_good_revision_stays(company: Stack, folder: Path) -> None:
    path = folder / "broken.yaml"
    path.write_text(changed(("slug: sample", "slug: broken")))
    good = await company.call("GET", "/playbooks/broken")
    path.write_text(changed(("slug: sample", "slug: broken"), ("${vendor} has a fault.", "${vendr} has a fault.")))
    os.utime(path, ns=(0, 0))
    still = await company.call("GET", "/playbooks/broken")
    assert still["sha256"] == good["sha256"]
    told = (await company.call("GET", "/playbooks"))["problems"]
    assert any("broken.yaml:" in problem and "vendr" in problem for problem in told)
    path.unlink()


async def test_a_number_is_shown_as_written_and_kept_as_a_number(company: Stack) -> None:
    key = await declared(company, "two-roles", "SEV2", hit=17)
    bulletin = await drafted(company, key, facts={"hit": 18})
    assert bulletin["facts"]["hit"] == 18
    assert (await company.call("GET", f"/incidents/{key}"))["facts"]["hit"] == 17
    assert any("18 sites" in message["text"] for message in bulletin["messages"])
    for wrong in ("18", 1.5, -1, 501, 10**400, "many"):
        answer = await company.api.post(
            f"/api/v1/incidents/{key}/bulletins", json={"stage": "resolved", "facts": {"hit": wrong}}
        )
        check_problem(answer, 422, "facts.hit")
