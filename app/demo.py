"""`muster demo`: a company of 600 is told about an outage and answers, over the real wire protocols."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import httpx2
import typer

from app.access import service as access
from app.compose import open_program
from app.directory import service as directory
from app.kernel import migrate
from app.kernel.db import rows
from app.kernel.errors import MusterError, Unavailable
from app.settings import Settings, SettingsError

PEOPLE = Path(__file__).parent / "data" / "people-demo.csv"
PLAYBOOK = "global-vendor-outage"
STARTS_WITHIN_SECONDS = 60.0

COMMANDER = "E00013"
"""Who declares and commands in the demo; the sign-in link is theirs."""

OTHERS = (
    ("E00086", "communications_lead", None),
    ("E00031", "department_lead", "Customer Service"),
    ("E00019", "department_lead", "Store Operations"),
    ("E00193", "department_lead", "Marketing"),
    ("E00027", "department_lead", "IT"),
    ("E00060", "department_lead", "Finance"),
    ("E00113", "department_lead", "Operations"),
    ("E00402", "department_lead", "Security"),
)
"""(person, role, department): sample people who can be told of others. Their phones answer, so help finds its owner."""


def play(settings: Settings) -> None:
    """Run beside the started processes: sample people, an incident, its first bulletin, and where to look."""
    token, secret = asyncio.run(_people_and_accounts(settings))
    address = f"http://{_reachable(settings.host)}:{settings.port}"
    with httpx2.Client(base_url=address, timeout=30.0, trust_env=False) as client:
        _wait_until_ready(client)
        client.headers["Authorization"] = f"Bearer {token}"
        playbook = _ask(client, "GET", f"/api/v1/playbooks/{PLAYBOOK}")
        facts = {fact["name"]: fact["example"] for fact in playbook["facts"]}
        # Everybody, so that there is something to watch: without sites it concerns every site.
        facts.pop("sites", None)
        incident = _ask(client, "POST", "/api/v1/incidents", {"playbook": PLAYBOOK, "severity": "SEV1", "facts": facts})
        bulletins = f"/api/v1/incidents/{incident['key']}/bulletins"
        bulletin = _ask(client, "POST", bulletins, {"stage": "investigating", "facts": {}})
        _ask(client, "POST", f"{bulletins}/{bulletin['number']}/approve", {"accept_warnings": True})
        sent = _ask(client, "POST", f"{bulletins}/{bulletin['number']}/send", {})
    key, recipients = incident["key"], sent["recipients"]["total"]
    typer.echo(
        "\n".join(
            (
                "",
                f"{incident['title']} ({key}) is declared and {recipients} people are being told.",
                f"  Live board:  {settings.public_url}/incidents/{key}",
                f"  Sign in:     {settings.public_url}/sign-in/{secret}?next=/incidents/{key}",
                f"  Phones:      http://127.0.0.1:{os.environ['MUSTER_SIMULATOR_PORT']}/",
                "Nothing here reaches a real person. Ctrl-C stops everything.",
                "",
            )
        )
    )


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


async def _people_and_accounts(settings: Settings) -> tuple[str, str]:
    """Imports the sample people and makes the demo's token and sign-in; ends what earlier demos left open."""
    async with open_program(settings, pool_size=2) as program:
        await asyncio.to_thread(migrate.upgrade, program.url)
        house = program.house
        async with house.db.begin() as session:
            others = await rows(session, "SELECT id FROM person WHERE employee_id !~ '^E[0-9]{5}$' LIMIT 1")
            if others:
                raise SettingsError(
                    f"MUSTER_DATA_DIR: {settings.data_dir} holds people who are not the demo's; run it elsewhere: "
                    "MUSTER_DATA_DIR=.muster-demo make demo"
                )
        await directory.import_people(
            house.db, house.clock, PEOPLE.read_bytes(), country="US", complete=False, force=False, dry_run=False,
            actor="demo", progress=None,
        )  # fmt: skip
        async with house.db.begin() as session:
            named = await rows(session, "SELECT employee_id, name FROM person WHERE active")
            names = {entry["employee_id"]: entry["name"] for entry in named}
            held = await rows(session, "SELECT person_employee_id FROM account WHERE disabled_at IS NULL")
            for person, role, department in OTHERS:
                if person not in {entry["person_employee_id"] for entry in held}:
                    await access.create_account(
                        session, house.clock, name=names[person], role=role, person=person, department=department
                    )
            who: dict[str, Any] = {"name": names[COMMANDER], "role": "commander", "person": COMMANDER}
            token = await access.create_token(session, house.clock, **who)
            secret = await access.create_sign_in(session, house.clock, **who)
        return token, secret


def _wait_until_ready(client: httpx2.Client) -> None:
    ends = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < ends:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    raise Unavailable("The demo did not become ready in a minute; the lines above say why.")


def _ask(client: httpx2.Client, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    response = client.request(method, path, json=body)
    if response.status_code >= 400:
        raise MusterError(f"The demo was refused: {response.json().get('detail', response.text)}")
    answer: dict[str, Any] = response.json()
    return answer
