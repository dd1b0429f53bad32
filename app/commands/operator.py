"""What the command line does to incidents, in the name of whoever MUSTER_TOKEN belongs to, or else of the operator.

Whoever has a shell here can do everything anyway; a token lets two people do what a playbook wants two people for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service as access
from app.access.matrix import Action, Actor
from app.bulletins import service as bulletins
from app.compose import Program
from app.deliveries import sending
from app.incidents import service as incidents
from app.kernel.errors import Conflict, FieldError, Invalid, NotFound, Unauthorized
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.schema import Playbook


async def _actor(session: AsyncSession, program: Program, action: Action) -> Actor:
    token = program.settings.token
    if token is None:
        return await access.operator(session, program.house.clock)
    try:
        actor = await access.by_token(session, token)
    except Unauthorized as error:
        raise Unauthorized(f"MUSTER_TOKEN: {error.detail}") from None
    access.require(actor, action)
    return actor


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
            found[name] = _listed(found[name]) + _listed(fact_rules.from_text(playbook.facts[name], value))
        elif name in found:
            wrong.append(FieldError(f"facts.{name}", "is given twice"))
        else:
            fact = playbook.facts.get(name)
            found[name] = fact_rules.from_text(fact, value) if fact else value
    if wrong:
        raise Invalid("The facts cannot be read.", wrong)
    return found


def _listed(value: Any) -> list[Any]:
    """One choice is read as it is, several as a list, an empty text as None."""
    return value if isinstance(value, list) else [] if value is None else [value]


async def declare(
    program: Program, slug: str, severity: str | None, facts: Sequence[str], title: str | None, drill: bool
) -> dict[str, Any]:
    house = program.house
    await playbooks.sync(house)
    async with house.db.begin() as session:
        try:
            playbook = (await playbooks.current(session, slug)).playbook
        except NotFound as error:
            raise Invalid("The incident cannot be declared.", [FieldError("playbook", error.detail)]) from None
        actor = await _actor(session, program, Action.DECLARE)
        return await incidents.declare(
            session, house, actor, slug=slug, severity=severity, title=title, facts=_facts(playbook, facts), drill=drill
        )


async def draft(
    program: Program,
    key: str,
    stage: str,
    facts: Sequence[str],
    audiences: Sequence[str] | None,
    corrects: int | None = None,
) -> dict[str, Any]:
    async with program.house.db.begin() as session:
        incident = await incidents.get(session, key)
        playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
        actor = await _actor(session, program, Action.DRAFT)
        return await bulletins.draft(
            session,
            program.house,
            actor,
            key,
            stage=stage,
            facts=_facts(playbook, facts),
            audiences=audiences,
            corrects=corrects,
        )


async def approve(program: Program, key: str, number: int, accept_warnings: bool) -> dict[str, Any]:
    async with program.house.db.begin() as session:
        actor = await _actor(session, program, Action.APPROVE)
        try:
            return await bulletins.approve(session, program.house, actor, key, number, accept_warnings=accept_warnings)
        except bulletins.OwnBulletin as error:
            raise Conflict(f"{error.detail} Run this with MUSTER_TOKEN set to the other person's token.") from None


async def send(program: Program, key: str, number: int, confirm: bool) -> dict[str, Any]:
    async with program.house.db.begin() as session:
        actor = await _actor(session, program, Action.SEND)
        return await sending.send(session, program.house, actor, key, number, confirm=confirm)


def describe(bulletin: dict[str, Any]) -> str:
    """A bulletin in a terminal: its state, who gets it how, what speaks against it, and the texts."""
    recipients = bulletin["recipients"]
    ways = ", ".join(f"{many} by {channel}" for channel, many in recipients["by_channel"].items()) or "nobody"
    lines = [
        f"{bulletin['incident']} bulletin {bulletin['number']}: {bulletin['state']}, {bulletin['stage']}",
        f"{recipients['total']} people: {ways}; {len(recipients['unreachable'])} cannot be reached",
    ]
    estimate = bulletin["estimate"]
    if estimate["texts"] and bulletin["sent_at"] is None:
        takes = (
            "" if estimate["seconds"] is None else f", about {max(1, round(estimate['seconds'] / 60))} min to hand over"
        )
        lines.append(f"{estimate['texts']} texts in {estimate['parts']} parts{takes}")
    lines += [f"{entry['people']} in quiet hours until {entry['until']}" for entry in recipients["quiet"]]
    lines += [f"error, {entry['where']}: {entry['message']}" for entry in bulletin["errors"]]
    lines += [f"warning, {entry['where']}: {entry['message']}" for entry in bulletin["warnings"]]
    lines += [f"note, {entry['where']}: {entry['message']}" for entry in bulletin["notes"]]
    for message in bulletin["messages"]:
        if message["channel"] == "sms":
            lines.append(f"[{message['audience']}, {message['segments']} parts] {message['text']}")
    return "\n".join(lines)
