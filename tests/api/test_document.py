"""The OpenAPI document says what there is: a client that is made from it meets nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import pytest_asyncio

from tests.api.company import check_problem
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def document(muster: Stack) -> dict[str, Any]:
    found: dict[str, Any] = (await muster.api.get("/openapi.json")).json()
    return found


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))) <= there


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("/webhooks/twilio/status/{attempt_token}", {"204", "400", "403", "404", "413", "422", "503"}),
        ("/webhooks/twilio/inbound", {"200", "400", "403", "413", "422", "503"}),
        ("/webhooks/twilio/voice/{attempt_token}", {"200", "400", "403", "404", "413", "422", "503"}),
        ("/webhooks/twilio/voice/{attempt_token}/answer", {"200", "400", "403", "404", "413", "422", "503"}),
        ("/webhooks/twilio/voice/{attempt_token}/status", {"204", "400", "403", "404", "413", "422", "503"}),
    ],
)
async def test_a_webhook_names_every_answer_of_its(document: dict[str, Any], path: str, answers: set[str]) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert set(responses) == answers
    for status in answers - {"200", "204"}:
        assert list(responses[status]["content"]) == ["application/problem+json"], status


async def test_whatever_takes_a_body_may_find_it_too_large_or_of_another_kind(document: dict[str, Any]) -> None:
    taking = [
        (path, operation)
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    assert len(taking) > 5
    for path, operation in taking:
        assert {"413", "415"} <= set(operation["responses"]), path


async def test_a_playbooks_name_that_cannot_be_one_is_refused_by_its_field(muster: Stack) -> None:
    check_problem(await muster.api.get("/api/v1/playbooks/%00"), 422, "slug")
