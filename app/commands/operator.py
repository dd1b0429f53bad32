"""What the command line does to incidents, in the name of the operator at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.matrix import Actor
from app.bulletins import service as bulletins
from app.deliveries import sending
from app.incidents import service as incidents
from app.kernel.errors import FieldError, Invalid, NotFound
from app.kernel.house import House
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import Playbook


async def _operator(session: AsyncSession, house: House) -> Actor:
    return await access.operator(session, house.clock)


def _facts(playbook: Playbook, given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as JSON values of the facts' types. Raises Invalid for anything else."""
    found: dict[str, Any] = {}
    wrong = []
    for entry in given:
        name, sign, value = entry.partition("=")
        name = name.strip()
        if not sign or not name:
            wrong.append(FieldError("--fact", f"{entry!r} is not NAME=VALUE"))
        elif name in found and getattr(playbook.facts.get(name), "many", False):
            found[name] = [*found[name], *fact_rules.from_text(playbook.facts[name], value)]
        elif name in found:
            wrong.append(FieldError(f"facts.{name}", "is given twice"))
        else:
            fact = playbook.facts.get(name)
            found[name] = fact_rules.from_text(fact, value) if fact else value
    if wrong:
        raise Invalid("The facts cannot be read.", wrong)
    return found


async def declare(
    house: House, slug: str, severity: str | None, facts: Sequence[str], title: str | None, drill: bool
) -> dict[str, Any]:
    await playbooks.sync(house)
    async with house.db.begin() as session:
        try:
            playbook = (await playbooks.current(session, slug)).playbook
        except NotFound as error:
            raise Invalid("The incident cannot be declared.", [FieldError("playbook", error.detail)]) from None
        actor = await _operator(session, house)
        return await incidents.declare(
            session, house, actor, slug=slug, severity=severity, title=title, facts=_facts(playbook, facts), drill=drill
        )


async def draft(
    house: House,
    key: str,
    stage: str,
    facts: Sequence[str],
    audiences: Sequence[str] | None,
    corrects: int | None = None,
) -> dict[str, Any]:
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
        actor = await _operator(session, house)
        return await bulletins.draft(
            session,
            house,
            actor,
            key,
            stage=stage,
            facts=_facts(playbook, facts),
            audiences=audiences,
            corrects=corrects,
        )


async def approve(house: House, key: str, number: int, accept_warnings: bool) -> dict[str, Any]:
    async with house.db.begin() as session:
        actor = await _operator(session, house)
        return await bulletins.approve(session, house, actor, key, number, accept_warnings=accept_warnings)


async def send(house: House, key: str, number: int) -> dict[str, Any]:
    async with house.db.begin() as session:
        return await sending.send(session, house, await _operator(session, house), key, number)


def describe(bulletin: dict[str, Any]) -> str:
    """A bulletin in a terminal: its state, who gets it how, what speaks against it, and the texts."""
    recipients = bulletin["recipients"]
    ways = ", ".join(f"{many} by {channel}" for channel, many in recipients["by_channel"].items()) or "nobody"
    lines = [
        f"{bulletin['incident']} bulletin {bulletin['number']}: {bulletin['state']}, {bulletin['stage']}",
        f"{recipients['total']} people: {ways}; {len(recipients['unreachable'])} cannot be reached",
    ]
    lines += [f"{entry['people']} in quiet hours until {entry['until']}" for entry in recipients["quiet"]]
    lines += [f"error, {entry['where']}: {entry['message']}" for entry in bulletin["errors"]]
    lines += [f"warning, {entry['where']}: {entry['message']}" for entry in bulletin["warnings"]]
    lines += [f"note, {entry['where']}: {entry['message']}" for entry in bulletin["notes"]]
    for message in bulletin["messages"]:
        if message["channel"] == "sms":
            lines.append(f"[{message['audience']}, {message['segments']} parts] {message['text']}")
    return "\n".join(lines)
