"""Who may call what: every route of the OpenAPI document, every role, and nothing open besides what is meant to be."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from app.access.matrix import MATRIX, Action
from app.board.stream import Hub
from app.kernel.errors import Invalid
from app.main import create_app
from app.review.formats import FORMATS
from tests.api.company import CSV, MOBILES, ROLES, Events, check_problem, code_of
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

A = Action
TABLE: dict[tuple[str, str], Action] = {
    ("GET", "/api/v1/playbooks"): A.READ,
    ("GET", "/api/v1/playbooks/{slug}"): A.READ,
    ("GET", "/api/v1/people"): A.READ,
    ("POST", "/api/v1/people/imports"): A.IMPORT_PEOPLE,
    ("POST", "/api/v1/people/{person_id}/contact-points/{kind}/retry"): A.RETRY_NUMBERS,
    ("POST", "/api/v1/people/{person_id}/contact-points/{kind}/opt-out"): A.OPT_OUT_FOR,
    ("POST", "/api/v1/people/{person_id}/contact-points/{kind}/opt-in"): A.OPT_OUT_FOR,
    ("POST", "/api/v1/incidents"): A.DECLARE,
    ("GET", "/api/v1/incidents"): A.READ,
    ("GET", "/api/v1/incidents/{key}"): A.READ,
    ("PATCH", "/api/v1/incidents/{key}"): A.CHANGE_INCIDENT,
    ("GET", "/api/v1/incidents/{key}/timeline"): A.READ,
    ("POST", "/api/v1/incidents/{key}/bulletins"): A.DRAFT,
    ("GET", "/api/v1/incidents/{key}/bulletins"): A.READ,
    ("GET", "/api/v1/incidents/{key}/bulletins/{number}"): A.READ,
    ("POST", "/api/v1/incidents/{key}/bulletins/{number}/approve"): A.APPROVE,
    ("POST", "/api/v1/incidents/{key}/bulletins/{number}/send"): A.SEND,
    ("POST", "/api/v1/incidents/{key}/bulletins/{number}/cancel"): A.CANCEL,
    ("GET", "/api/v1/incidents/{key}/bulletins/{number}/board"): A.READ,
    ("GET", "/api/v1/incidents/{key}/bulletins/{number}/recipients"): A.READ,
    (
        "POST", "/api/v1/incidents/{key}/bulletins/{number}/recipients/{person_id}/acknowledgment",
    ): A.ACKNOWLEDGE_FOR,
    ("GET", "/api/v1/incidents/{key}/events"): A.READ,
    ("GET", "/api/v1/incidents/{key}/field-reports"): A.READ,
    ("POST", "/api/v1/incidents/{key}/field-reports/{report_id}/help"): A.TAKE_HELP,
    ("GET", "/api/v1/incidents/{key}/field-reports/{report_id}/media/{place}"): A.TAKE_HELP,
    ("POST", "/api/v1/incidents/{key}/field-reports/{report_id}/clear"): A.TAKE_HELP,
    ("GET", "/api/v1/incidents/{key}/help-requests"): A.READ,
    ("POST", "/api/v1/incidents/{key}/help-requests/{request_id}/take"): A.TAKE_HELP,
    ("POST", "/api/v1/incidents/{key}/help-requests/{request_id}/close"): A.TAKE_HELP,
    ("GET", "/api/v1/incidents/{key}/review"): A.READ,
}  # fmt: skip
"""What each route does. The roles that may do it stand in `app/access/matrix.py`."""

OPEN = {
    ("GET", "/api/v1/playbooks/schema.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
}
SIGNED = {
    ("POST", "/webhooks/twilio/status/{attempt_token}"),
    ("POST", "/webhooks/twilio/inbound"),
    ("POST", "/webhooks/twilio/voice/{attempt_token}"),
    ("POST", "/webhooks/twilio/voice/{attempt_token}/answer"),
    ("POST", "/webhooks/twilio/voice/{attempt_token}/status"),
}
WRONG_TOKENS = ("Bearer", "Bearer wrong", "Bearer " + "x" * 5000, "Bearer \u00e9", "Basic YTph")
CONTRACT = {
    # CONTRACT.md: what anybody may rely on, by role. The matrix may not quietly drop any of it.
    A.READ: set(ROLES),
    A.IMPORT_PEOPLE: {"admin"},
    A.DECLARE: {"admin", "commander"},
    A.APPROVE: {"admin", "commander", "communications_lead"},
    A.ACKNOWLEDGE_FOR: {"admin", "commander", "communications_lead", "department_lead"},
}


@dataclass
class Scene:
    """An incident with a sent bulletin, a draft, a help request and a report, and a client for each role."""

    key: str
    request: int
    report: int
    clients: dict[str, httpx2.AsyncClient]

    def path(self, template: str) -> str:
        return (
            template.replace("{slug}", "global-vendor-outage")
            .replace("{key}", self.key)
            .replace("{number}", "1")
            .replace("{person_id}", "S1")
            .replace("{kind}", "mobile")
            .replace("{request_id}", str(self.request))
            .replace("{report_id}", str(self.report))
            .replace("{place}", "1")
            .replace("{attempt_token}", "a" * 20)
        )


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def scene(muster: Stack) -> AsyncIterator[Scene]:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    await muster.reply(MOBILES["S1"], f"2 {await code_of(muster, key, 'S1')}")
    [request] = (await muster.call("GET", f"/incidents/{key}/help-requests"))["items"]
    await muster.reply(MOBILES["S1"], "help")
    [report] = (await muster.call("GET", f"/incidents/{key}/field-reports"))["items"]
    async with AsyncExitStack() as opened:
        clients = {}
        for role in ROLES:
            given = {"department": "Store Operations"} if role == "department_lead" else {}
            clients[role] = await opened.enter_async_context(await muster.client(role, **given))
        yield Scene(key, request["id"], report["id"], clients)


async def call(client: httpx2.AsyncClient, method: str, path: str) -> int:
    """The status of a call with a body that would be taken."""
    more: dict[str, Any] = {}
    if path.endswith("/imports"):
        more = {"content": CSV, "headers": {"Content-Type": "text/csv"}, "params": {"dry_run": True, "country": "US"}}
    elif path.endswith("/acknowledgment"):
        more = {"json": {"response": "need_help", "via": "phone", "note": "rang"}}
    elif path.endswith(("/opt-out", "/opt-in")):
        more = {"json": {"reason": "asked by phone"}}
    elif path.endswith("/close"):
        more = {"json": {"outcome": "looked after"}}
    elif path.endswith("/bulletins") and method == "POST":
        more = {"json": {"stage": "resolved", "facts": {}}}
    elif path.endswith("/incidents") and method == "POST":
        more = {"json": {"playbook": "global-vendor-outage", "facts": {}}}
    elif method == "PATCH":
        more = {"json": {"status": "identified", "reason": "found it"}}
    async with client.stream(method, path, **more) as answer:
        if not path.endswith("/events") or answer.status_code >= 400:
            await answer.aread()
        if answer.status_code >= 400:
            check_problem(answer)
        return answer.status_code


async def test_every_route_of_the_document_stands_in_this_table(muster: Stack) -> None:
    document = (await muster.api.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    there = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace")
    }
    assert there == set(TABLE) | OPEN | SIGNED


async def test_every_guarded_operation_says_so_in_the_document(muster: Stack) -> None:
    document = (await muster.api.get("/openapi.json")).json()
    for method, path in TABLE:
        operation = document["paths"][path][method.lower()]
        assert operation["security"], (method, path)
        assert {"401", "403"} <= set(operation["responses"]), (method, path)
        problem = operation["responses"]["401"]["content"]
        assert list(problem) == ["application/problem+json"], (method, path)


@pytest.mark.parametrize(("method", "route"), TABLE, ids=lambda part: part.removeprefix("/api/v1"))
async def test_each_role_is_let_through_or_refused(muster: Stack, scene: Scene, method: str, route: str) -> None:
    path = scene.path(route)
    async with httpx2.AsyncClient(verify=False, base_url=muster.base_url, trust_env=False) as nobody:
        assert await call(nobody, method, path) == 401
        for wrong in WRONG_TOKENS:
            nobody.headers["Authorization"] = wrong
            assert await call(nobody, method, path) == 401, wrong
    allowed = MATRIX[TABLE[method, route]]
    for role in ROLES:
        status = await call(scene.clients[role], method, path)
        if role in allowed:
            assert status not in (401, 403), (role, status)
            assert status < 500, (role, status)
            if method == "GET" and not route.endswith("/media/{place}"):  # this report came without any
                assert status == 200, (role, status)
        else:
            assert status == 403, (role, status)


@pytest.mark.parametrize("action", CONTRACT)
async def test_the_matrix_grants_what_the_contract_says(action: Action) -> None:
    assert MATRIX[action] == CONTRACT[action]


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/openapi.json", "/docs", "/readyz"])
async def test_probes_metrics_and_documents_need_no_token(muster: Stack, path: str) -> None:
    async with httpx2.AsyncClient(verify=False, base_url=muster.base_url, trust_env=False) as nobody:

        async def fine() -> bool:
            return (await nobody.get(path)).status_code == 200

        await muster.until(fine)
        text = (await nobody.get(path)).text
    for person, mobile in MOBILES.items():
        assert mobile not in text, person
    assert "example.com" not in text
    assert "Ana Till" not in text


async def test_probes_say_what_they_know(muster: Stack) -> None:
    async with httpx2.AsyncClient(verify=False, base_url=muster.base_url, trust_env=False) as nobody:
        assert (await nobody.get("/healthz")).json() == {"status": "ok"}
        ready = (await nobody.get("/readyz")).json()
        assert ready["ready"] is True
        assert ready["simulated"] is True
        assert {"database", "worker", "sms", "email"} <= set(ready["checks"])
        metrics = (await nobody.get("/metrics")).text
    assert "muster_ready 1.0" in metrics
    assert "# TYPE muster_ready gauge" in metrics


@pytest.mark.parametrize(("method", "route"), sorted(SIGNED))
async def test_webhooks_take_a_signature_and_no_token(muster: Stack, scene: Scene, method: str, route: str) -> None:
    answer = await scene.clients["admin"].request(method, scene.path(route), content="MessageSid=SM1")
    check_problem(answer, 403)


OPEN_PAGES = {"/", "/sign-in/{secret}", "/a/{token}"}
"""`/` tells whoever is not signed in how to sign in; the other two ask for a secret of their own."""


def routes_of(router: Any) -> Iterator[tuple[str, str]]:
    """(method, path) of everything that a router takes, however it was put together."""
    for route in router.routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from routes_of(inner)
        else:
            for method in getattr(route, "methods", None) or ():
                yield method, route.path


async def test_no_page_shows_or_does_anything_for_whom_is_not_signed_in(muster: Stack, scene: Scene) -> None:
    app = create_app(muster.house, Hub(muster.house.db.url), signatures=None)
    documents = {"/openapi.json", "/docs", "/docs/oauth2-redirect"}
    there = {
        (method, path)
        for method, path in routes_of(app)
        if (method, path) not in set(TABLE) | OPEN | SIGNED and path not in OPEN_PAGES | documents and method != "HEAD"
    }
    assert len(there) > 5, "the pages were not found"
    before = await muster.call("GET", f"/incidents/{scene.key}/timeline")
    async with httpx2.AsyncClient(verify=False, base_url=muster.base_url, trust_env=False) as nobody:
        for method, route in sorted(there):
            path = re.sub(r"\{[^}]*\}", "1", scene.path(route))
            for cookies in ({}, {"Cookie": "muster_session=made-up"}):
                answer = await nobody.request(method, path, headers={"Accept": "text/html", **cookies})
                assert answer.status_code in (401, 403, 422), (method, route, answer.status_code)
                assert "Ana Till" not in answer.text
                assert scene.key not in answer.text.replace(path, "")
    assert await muster.call("GET", f"/incidents/{scene.key}/timeline") == before


async def test_a_leavers_token_dies_at_once_and_so_does_an_open_stream(muster: Stack) -> None:
    key = await muster.declare()
    header = CSV.splitlines()[0]
    row = "Z9,Pia Leaver,IT,Engineer,Dallas,,,z9@example.com,,en,{}"
    await muster.import_people(f"{header}\n{row.format('true')}\n".encode())
    try:
        async with await muster.client("viewer", person="Z9") as client:
            assert (await client.get("/api/v1/incidents")).status_code == 200
            async with client.stream("GET", f"/api/v1/incidents/{key}/events") as response:
                stream = Events(response)
                assert (await stream.next())[2]["kind"] == "declared"
                await muster.import_people(f"{header}\n{row.format('false')}\n".encode())
                check_problem(await client.get("/api/v1/incidents"), 401)
                await muster.call("PATCH", f"/incidents/{key}", {"status": "identified", "reason": "not for leavers"})
                with pytest.raises(AssertionError, match="the stream ended"):
                    await stream.next()
    finally:
        await muster.import_people(f"{header}\n{row.format('false')}\n".encode())


async def test_a_department_lead_sees_and_acts_for_the_own_department_only(muster: Stack) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    for person in ("S1", "I1", "X1", "S2"):
        await muster.reply(MOBILES[person], f"2 {await code_of(muster, key, person)}")
        await muster.reply(MOBILES[person], f"words of {person}")
    requests = (await muster.call("GET", f"/incidents/{key}/help-requests"))["items"]
    own = {"S1", "S2", "S3", "S4", "S5", "S6"}
    async with await muster.client("department_lead", department="store operations") as lead:

        async def items(path: str, **query: Any) -> list[dict[str, Any]]:
            answer = await lead.get(f"/api/v1{path}", params=query)
            assert answer.status_code == 200, answer.text
            return list(answer.json()["items"])

        recipients = f"/incidents/{key}/bulletins/1/recipients"
        assert {entry["person_id"] for entry in await items(recipients)} == own
        assert {entry["person_id"] for entry in await items(recipients, department="IT")} <= own
        assert {entry["id"] for entry in await items("/people", active=True)} == own
        assert {entry["department"] for entry in await items("/people", department="IT")} <= {"Store Operations"}
        reports = await items(f"/incidents/{key}/field-reports")
        assert [entry["text"] for entry in reports] == ["words of S2", "words of S1"]
        assert [entry["person_id"] for entry in await items(f"/incidents/{key}/help-requests")] == ["S1", "S2"]
        # Paging goes through the own ones, however many of others lie between.
        seen, query = [], {"limit": 1}
        for _ in range(4):
            page = (await lead.get(f"/api/v1/incidents/{key}/help-requests", params=query)).json()
            seen += [entry["person_id"] for entry in page["items"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == ["S1", "S2"]
        body = {"response": "ok", "via": "in_person", "note": "at the till"}
        path = f"/api/v1{recipients}"
        assert (await lead.post(f"{path}/S1/acknowledgment", json=body)).status_code == 200
        check_problem(await lead.post(f"{path}/I1/acknowledgment", json=body), 403)
        for entry in requests:
            for call_name, more in (("take", None), ("close", {"outcome": "done"})):
                answer = await lead.post(f"/api/v1/incidents/{key}/help-requests/{entry['id']}/{call_name}", json=more)
                if entry["person_id"] in own:
                    assert answer.status_code in (200, 409), answer.text
                else:
                    check_problem(answer, 403)
    assert (await muster.person(key, "I1"))["status"] == "need_help"


async def test_numbers_and_addresses_are_masked_for_whom_need_not_see_them(muster: Stack, scene: Scene) -> None:
    for role, client in scene.clients.items():
        people = (await client.get("/api/v1/people", params={"limit": 1000})).json()["items"]
        shown = str(people)
        ana = next(person for person in people if person["id"] == "S1")
        addresses = [point["address"] for point in ana["contact_points"]]
        if role in MATRIX[Action.READ_ADDRESSES]:
            assert addresses == [MOBILES["S1"], "s1@example.com"]
        else:
            assert all("*" in address for address in addresses), addresses
            for number in MOBILES.values():
                assert number not in shown
            assert "s1@example.com" not in shown
        for path in ("bulletins/1/recipients", "timeline", "field-reports", "help-requests", "bulletins"):
            text = (await client.get(f"/api/v1/incidents/{scene.key}/{path}")).text
            if path == "field-reports" and role in MATRIX[Action.READ_ADDRESSES]:
                assert MOBILES["S1"] in text, "whoever may call sees where"
                continue
            for number in MOBILES.values():
                assert number not in text, (role, path)
        for form in FORMATS:
            text = (await client.get(f"/api/v1/incidents/{scene.key}/review", params={"format": form})).text
            for number in MOBILES.values():
                assert number not in text, (role, form)
                assert number.removeprefix("+") not in text, (role, form)


async def test_every_role_may_be_given_and_no_other(muster: Stack) -> None:
    with pytest.raises(Invalid, match="cannot be made"):
        await muster.token("owner")
    with pytest.raises(Invalid):
        await muster.token("department_lead")
    with pytest.raises(Invalid):
        await muster.token("department_lead", department="Nowhere")
    with pytest.raises(Invalid):
        await muster.token("viewer", person="L1")
    await asyncio.gather(*(muster.token(role) for role in ROLES if role != "department_lead"))
