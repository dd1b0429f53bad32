"""Playbooks over HTTP: what there is to choose from, and everything a declaration needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from app.access.api import HouseDep, Reader, SessionDep
from app.directory import service as directory
from app.kernel.house import House
from app.playbooks import facts as fact_rules
from app.playbooks import service
from app.playbooks.fields import format_duration
from app.playbooks.json_schema import json_schema
from app.playbooks.schema import SITES, Playbook, Step
from app.playbooks.service import Revision
from app.web.inputs import Text
from app.web.problems import problem_responses

router = APIRouter(prefix="/api/v1/playbooks", tags=["playbooks"])


def head(revision: Revision) -> dict[str, Any]:
    playbook = revision.playbook
    return {
        "slug": revision.slug,
        "title": playbook.title,
        "revision": revision.revision,
        "sha256": revision.sha256,
        "departments": list(playbook.departments),
        "when": playbook.when.model_dump(),
        "owner": playbook.owner,
        "default_severity": playbook.default_severity,
    }


def facts_shown(playbook: Playbook, house: House, sites: list[str]) -> list[dict[str, Any]]:
    """Each fact with an example that can be declared as it stands."""
    examples = fact_rules.examples(playbook, sites=sites, now=house.clock.now())
    shown = []
    for name, fact in playbook.facts.items():
        entry: dict[str, Any] = {
            "name": name,
            "type": fact.type,
            "required": fact.required,
            "example": examples.get(name),
            "help": fact.help,
        }
        if fact.type == "choice":
            entry["choices"] = sites if fact.from_ == SITES else list(fact.choices or [])
            entry["many"] = fact.many
        for limit in ("max", "min", "unit", "default"):
            if (value := getattr(fact, limit)) is not None:
                entry[limit] = value
        shown.append(entry)
    return shown


def ladder_shown(ladder: Sequence[Step]) -> list[dict[str, Any]]:
    """Each step with both keys, of which one is null."""
    return [{"send": step.send, "tell": step.tell, "after": format_duration(step.after)} for step in ladder]


@router.get("", summary="The playbooks", responses=problem_responses())
async def playbooks(actor: Reader, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    problems = await service.sync(house)
    return {
        "items": [head(revision) for revision in await service.all_current(session)],
        "next_cursor": None,
        "problems": [str(problem) for problem in problems],
    }


@router.get("/schema.json", summary="The JSON Schema of playbook files; needs no token")
async def schema() -> dict[str, Any]:
    return json_schema()


@router.get("/{slug}", summary="One playbook", responses=problem_responses(404))
async def playbook(slug: Text, actor: Reader, session: SessionDep, house: HouseDep) -> dict[str, Any]:
    await service.sync(house)
    revision = await service.current(session, slug)
    content = revision.playbook
    whole = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    return head(revision) | {
        "facts": facts_shown(content, house, list(await directory.sites(session))),
        "stages": whole["stages"],
        "audiences": whole["audiences"],
        "severities": {
            name: level | ({"ladder": ladder_shown(own)} if (own := content.severities[name].ladder) else {})
            for name, level in whole["severities"].items()
        },
        "waterline": whole["waterline"],
        "ladder": ladder_shown(content.ladder),
        "quiet_hours": whole.get("quiet_hours"),
        "holding": whole["holding"],
        "department_tasks": whole["departments"],
    }
