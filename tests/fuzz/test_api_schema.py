"""Every operation of the OpenAPI document, with made-up input and each role's token.

No fault of ours, no answer that the document does not know, nothing done for a role that may not. Some of the
input fits the document, some does not, and the most is put together from what there is, so that it comes far.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.access.matrix import MATRIX, Action
from app.review.formats import FORMATS
from app.web.problems import NOT_JSON
from tests.api.company import CSV, ROLES
from tests.api.test_roles import OPEN, SIGNED, TABLE
from tests.effort import each
from tests.fuzz.conftest import Place

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.fuzz]

AnyCase = Case[APIOperation[Any, Any, Any, Any]]

EXAMPLES = 8
"""For each operation."""

CHECKS = [
    status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip
BY_DEPARTMENT = {Action.ACKNOWLEDGE_FOR, Action.TAKE_HELP}
"""What a department lead may do, but for the own department only: 403 is a right answer too."""

ANSWERS = {("/readyz", 503), ("/api/v1/incidents/{key}/review", 501)}
"""Faults by their number that are right answers: no worker runs here, and not every format is there yet."""

UNREADABLE = 0
"""Stands for the 400 of a body that is no JSON."""

EVENTS = "/api/v1/incidents/{key}/events"
"""Its answer has no end."""

LIKELY: dict[str, list[Any]] = {
    "playbook": ["global-vendor-outage"],
    "severity": ["SEV1", "SEV4", None],
    "status": ["investigating", "identified", "monitoring", "resolved", "closed", "open"],
    "stage": ["investigating", "identified", "monitoring", "resolved"],
    "commander": ["S1", "I1"],
    "reason": ["found it"],
    "audiences": [None, []],
    "corrects": [None, 1, 3],
    "response": ["ok", "need_help", "cannot"],
    "via": ["phone", "in_person"],
    "at": [None, "2026-03-02T03:05:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"],
    "number": [1, 2, 3, 9],
    "person_id": ["S1", "I1", "S4", "L1"],
    "slug": ["global-vendor-outage", "payment-outage"],
    "format": [*FORMATS, "xlsx"],
    "department": ["Store Operations", "it"],
    "country": ["US", "zz"],
    "cursor": ["MQ", "MA", "OTk5OTk5OTk5OTk5OTk5OTk", "4pi6"],
    "limit": [1, 200],
}
"""Values that are taken, or nearly, by the name of the field."""


# Tokens are ours to choose: made-up ones are tried by tests/api/test_roles.py.
CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(default=ProjectConfig(generation=GenerationConfig(with_security_parameters=False)))
)


def whole(method: str, route: str, place: Place) -> dict[str, Any]:
    """A body that is taken, as long as the incident takes anything."""
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "incidents"): {"playbook": "global-vendor-outage", "facts": place.facts},
        ("PATCH", "{key}"): {"status": "identified", "reason": "found it"},
        ("POST", "bulletins"): {"stage": "investigating", "facts": {}},
        ("POST", "acknowledgment"): {"response": "need_help", "via": "phone", "note": "rang"},
        ("POST", "close"): {"outcome": "looked after"},
    }
    return bodies.get((method, route.rpartition("/")[2]), {})


@st.composite
def likely(draw: st.DrawFn, cases: st.SearchStrategy[AnyCase], place: Place) -> AnyCase:
    """A case put together from what there is, but for a few places."""
    case = draw(cases)
    known = LIKELY | {"key": place.keys, "request_id": place.help_requests, "facts": [{}, place.facts]}

    def mostly(part: dict[str, Any]) -> dict[str, Any]:
        return {
            name: draw(st.sampled_from(known[name])) if name in known and draw(st.integers(0, 9)) else value
            for name, value in part.items()
        }

    case.path_parameters, case.query = mostly(case.path_parameters), mostly(case.query)
    if isinstance(case.body, dict):
        made_up = {name: value for name, value in mostly(case.body).items() if not draw(st.integers(0, 3))}
        case.body = whole(case.method.upper(), case.operation.path, place) | made_up
    if case.media_type == "text/csv":
        lines = CSV.splitlines(keepends=True)
        case.body = lines[0] + "".join(draw(st.lists(st.sampled_from(lines), max_size=9)))
    return case


def cases(operation: Any, place: Place) -> st.SearchStrategy[AnyCase]:
    positive = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    negative = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    near = likely(positive, place)
    # A strategy that stands twice is drawn twice as often.
    made: st.SearchStrategy[AnyCase] = st.one_of(near, positive, negative, likely(negative, place), near)
    return made


def answered(case: AnyCase, session: requests.Session, place: Place, role: str | None) -> int:
    """Sends the case with this role's token and checks the answer; returns its status, or UNREADABLE."""
    headers = {"Authorization": f"Bearer {place.tokens[role]}"} if role else None
    response = case.call(place.muster.base_url, session=session, headers=headers)
    checks = CHECKS if (case.operation.path, response.status_code) in ANSWERS else [*CHECKS, not_a_server_error]
    case.validate_response(response, checks=checks)
    if response.status_code == 400 and NOT_JSON in response.text:
        # Said whoever sends it: the body is read before anything else, and nothing comes of it.
        return UNREADABLE
    return int(response.status_code)


def tried(case: AnyCase, session: requests.Session, place: Place, turn: Iterator[str]) -> None:
    """Sends it for everybody who may not, then for one of those who may, each in turn."""
    route = (case.method.upper(), case.operation.path)
    if route not in TABLE:
        status = answered(case, session, place, None)
        assert route not in SIGNED or status == 403, "taken without a signature"
        return
    action = TABLE[route]
    for role in (None, *(role for role in ROLES if role not in MATRIX[action])):
        status = answered(case, session, place, role)
        assert status in (403 if role else 401, UNREADABLE), (
            f"{status} for {role}, who may not: {case.as_curl_command()}"
        )
    if route[1] == EVENTS and case.path_parameters["key"] in place.keys:
        return
    role = next(role for role in turn if role in MATRIX[action])
    status = answered(case, session, place, role)
    allowed = status not in (401, 403) or (role == "department_lead" and action in BY_DEPARTMENT)
    assert allowed, f"{status} for {role}, who may: {case.as_curl_command()}"


@pytest.mark.parametrize(("method", "route"), sorted(set(TABLE) | OPEN | SIGNED))
async def test_no_input_gets_a_role_past_the_rules_or_an_answer_that_is_not_in_the_document(
    place: Place, method: str, route: str
) -> None:
    document = (await place.muster.api.get("/openapi.json")).json()
    operation = schemathesis.openapi.from_dict(document, config=CONFIG)[route][method]

    def run() -> None:
        with requests.Session() as session:
            session.trust_env = False
            turn = itertools.cycle(ROLES)
            each(cases(operation, place), EXAMPLES, lambda case: tried(case, session, place, turn))

    await asyncio.to_thread(run)
