"""The playbook's JSON Schema (2020-12), for editors that complete and explain while one writes. Pure."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from app.playbooks.schema import ANYONE, EVERYONE, SEVERITIES, STAGES, Playbook

_ALL_NEEDED: Final = {STAGES: "stages", SEVERITIES: "severities"}


def json_schema() -> dict[str, Any]:
    """The schema as plain data. It says the shape; `muster playbooks check` says everything else."""
    schema = Playbook.model_json_schema(by_alias=True)
    for name, part in [("Playbook", schema), *schema["$defs"].items()]:
        part.pop("title", None)
        for key, field in part.get("properties", {}).items():
            _finish(field, all_needed=name == "Playbook" and key in _ALL_NEEDED.values())
    properties = schema["properties"]
    properties["waterline"]["required"] = [ANYONE]
    properties["holding"]["required"] = [EVERYONE]
    schema["$defs"]["Fact"]["allOf"] = _fact_rules()
    schema["$defs"]["Step"]["oneOf"] = [{"required": ["send"]}, {"required": ["tell"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Muster playbook",
        "description": "playbooks/SLUG.yaml: who is told what, at each stage of an incident, over which channel.",
        **{key: value for key, value in schema.items() if key not in ("title", "description")},
    }


def _finish(field: dict[str, Any], *, all_needed: bool) -> None:
    """Takes pydantic's titles away, joins broken lines, and spells known keys out so that editors offer them."""
    field.pop("title", None)
    if "description" in field:
        field["description"] = " ".join(field["description"].split())
    known = field.get("propertyNames", {}).get("enum")
    if known:
        value = field.pop("additionalProperties")
        del field["propertyNames"]
        field["properties"] = dict.fromkeys(known, value)
        field["additionalProperties"] = False
        if all_needed:
            field["required"] = list(known)


def _fact_rules() -> list[dict[str, Any]]:
    """What each type of fact needs."""
    return [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": then,
        }
        for kind, then in (
            ("text", {"required": ["max", "example"], "properties": {"max": {"type": "integer", "minimum": 1}}}),
            ("number", {"required": ["max", "example"]}),
            ("choice", {"anyOf": [{"required": ["choices", "example"]}, {"required": ["from"]}]}),
        )
    ]


if __name__ == "__main__":  # python -m app.playbooks.json_schema > docs/playbook.schema.json
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
