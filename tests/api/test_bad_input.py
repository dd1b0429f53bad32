"""Whatever is sent, the answer is a problem in plain words: never a 500, never a traceback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator

from app.access import service as access
from app.board.stream import Hub
from app.kernel.db import Database
from app.kernel.jobs import Jobs, make_app
from app.main import create_app
from tests.api.company import check_problem, messages, post_webhook, raw
from tests.api.test_roles import OPEN, TABLE
from tests.patience import patience
from tests.spare import Spare
from tests.stack import ACCOUNT, AUTH_TOKEN, Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

BODIES = sorted(
    path for method, path in TABLE
    if method in ("POST", "PATCH") and "imports" not in path and not path.endswith("/retry")
)  # fmt: skip
"""Every call that takes JSON (some may also go without); an import takes CSV, and trying a number again nothing."""

NO_BODY = {
    "/api/v1/incidents/{key}/bulletins/{number}/cancel",
    "/api/v1/incidents/{key}/help-requests/{request_id}/take",
}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def key(muster: Stack) -> str:
    """An incident with a draft, for calls that must not reach it."""
    made = await muster.declare()
    await muster.call("POST", f"/incidents/{made}/bulletins", {"stage": "resolved", "facts": {}}, status=201)
    return made


def filled(template: str, key: str) -> tuple[str, str]:
    """(method, path under /api/v1) of one of BODIES."""
    path = template.replace("{key}", key).replace("{number}", "1").replace("{person_id}", "S1")
    method = "PATCH" if template.endswith("{key}") else "POST"
    return method, path.replace("{request_id}", "1").removeprefix("/api/v1")


@pytest.mark.parametrize("route", [path for path in BODIES if path not in NO_BODY])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"{", id="cut short"),
        pytest.param(b"not json", id="no json"),
        pytest.param(b'{"a": 1,}', id="a comma too many"),
        pytest.param(b"\xff\xfe\x00", id="no utf-8"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b'{"facts":' * 20_000 + b"1" + b"}" * 20_000, id="objects nested deeply"),
        pytest.param(b'{"status": ' + b"9" * 5_000 + b"}", id="a number of 5,000 digits"),
    ],
)
async def test_a_body_that_is_no_json_is_a_bad_request(muster: Stack, key: str, route: str, content: bytes) -> None:
    method, path = filled(route, key)
    answer = await raw(muster, method, path, content)
    check_problem(answer)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("route", [path for path in BODIES if path not in NO_BODY])
@pytest.mark.parametrize("content", [b"[]", b'"text"', b"7", b"true", b'[{"a": 1}]'])
async def test_a_body_that_is_no_object_needs_correcting(muster: Stack, key: str, route: str, content: bytes) -> None:
    method, path = filled(route, key)
    answer = check_problem(await raw(muster, method, path, content), 422)
    assert answer["errors"]


VALUES: dict[str, Any] = {
    "NUL": "a\0b",
    "a lone surrogate": "a\ud800b",
    "nested deeply": [[[[[[[[[[[["deep"]]]]]]]]]]]],
    "a huge integer": 10**300,
    "a huge number": 1e308,
    "a negative": -1,
    "an object": {"a": {"b": {"c": []}}},
    "a long text": "x" * 50_000,
    "many": ["x"] * 5_000,
    "control characters": "\x01\x1b[31m\x7f\u202e",
    "null": None,
    "a boolean": False,
}
FIELDS = {
    "/api/v1/incidents": ("playbook", "severity", "title", "facts", "drill", "commander"),
    "/api/v1/incidents/{key}": ("status", "severity", "commander", "reason", "accept_open_help"),
    "/api/v1/incidents/{key}/bulletins": ("stage", "facts", "audiences"),
    "/api/v1/incidents/{key}/bulletins/{number}/approve": ("accept_warnings",),
    "/api/v1/incidents/{key}/bulletins/{number}/send": ("confirm",),
    "/api/v1/incidents/{key}/bulletins/{number}/recipients/{person_id}/acknowledgment": (
        "response", "via", "at", "note",
    ),
    "/api/v1/incidents/{key}/help-requests/{request_id}/close": ("outcome",),
}  # fmt: skip


@pytest.mark.parametrize("route", FIELDS)
async def test_no_value_in_any_field_breaks_anything(muster: Stack, key: str, route: str) -> None:
    method, path = filled(route, key)
    for field in FIELDS[route]:
        for name, value in VALUES.items():
            # json.dumps keeps a lone surrogate as its escape, as a careless program would send it.
            answer = await raw(muster, method, path, json.dumps({field: value}).encode())
            assert answer.status_code < 500, (field, name, answer.text)
            if answer.status_code >= 400:
                check_problem(answer)


@pytest.mark.parametrize("route", FIELDS)
@pytest.mark.parametrize("name", ["NUL", "a lone surrogate", "control characters", "a long text"])
async def test_no_name_of_a_field_breaks_anything(muster: Stack, key: str, route: str, name: str) -> None:
    method, path = filled(route, key)
    for body in ({VALUES[name]: 1}, {"facts": {VALUES[name]: 1}}):
        answer = await raw(muster, method, path, json.dumps(body).encode())
        assert check_problem(answer)["errors"]
        assert answer.status_code == 422


@pytest.mark.parametrize("name", VALUES)
async def test_each_fact_of_a_wrong_kind_is_named(muster: Stack, name: str) -> None:
    playbook = await muster.call("GET", "/playbooks/payment-outage")
    good = {fact["name"]: fact["example"] for fact in playbook["facts"]}
    for fact in playbook["facts"]:
        body = {"playbook": "payment-outage", "severity": "SEV1", "facts": good | {fact["name"]: VALUES[name]}}
        answer = await raw(muster, "POST", "/incidents", json.dumps(body).encode())
        if answer.status_code == 201:  # null leaves an optional fact out
            assert name == "null"
            assert not fact["required"]
            continue
        named = {entry["field"] for entry in check_problem(answer, 422)["errors"]}
        assert any(field == "facts" or field.startswith(f"facts.{fact['name']}") for field in named), named


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none_are_refused(muster: Stack, value: str) -> None:
    playbook = await muster.call("GET", "/playbooks/payment-outage")
    good = {fact["name"]: fact["example"] for fact in playbook["facts"]}
    name = next(fact["name"] for fact in playbook["facts"] if fact["type"] == "number")
    body = json.dumps({"playbook": "payment-outage", "facts": good | {name: "HERE"}}).replace('"HERE"', value)
    answer = await raw(muster, "POST", "/incidents", body.encode())
    check_problem(answer)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense"])
async def test_json_under_another_content_type_is_a_415(muster: Stack, kind: str) -> None:
    body = json.dumps({"playbook": "global-vendor-outage", "facts": {}}).encode()
    answer = await muster.api.post("/api/v1/incidents", content=body, headers={"Content-Type": kind})
    assert "application/json" in check_problem(answer, 415)["detail"]


async def test_a_title_that_turns_text_round_is_refused(muster: Stack) -> None:
    body = {"playbook": "global-vendor-outage", "severity": "SEV1", "facts": await muster.examples()}
    answer = await muster.api.post("/api/v1/incidents", json={**body, "title": "over \u202e there"})
    (error,) = check_problem(answer, 422)["errors"]
    assert (error["field"], "turns text round" in error["message"]) == ("title", True)


@pytest.mark.parametrize(
    ("body", "field", "right"),
    [
        ({"facts": []}, "facts", "object"),
        ({"title": 3}, "title", "text"),
        ({"drill": "perhaps"}, "drill", "true or false"),
        ({"drill": "yes"}, "drill", "true or false"),
        ({"drill": 1}, "drill", "true or false"),
        ({"title": "x" * 501}, "title", "at most 500"),
        ({"facts": {f"f{n}": 1 for n in range(201)}}, "facts", "at most 200"),
        ({"titel": "x"}, "titel", "remove"),
        ({}, "playbook", "required"),
    ],
)
async def test_what_would_be_right_is_said_in_plain_words(
    muster: Stack, body: dict[str, Any], field: str, right: str
) -> None:
    problem = check_problem(await muster.api.post("/api/v1/incidents", json=body), 422, field)
    assert right in messages(problem)[field]
    for word in ("Input should", "dictionary", "parse", "valid string"):
        assert word not in json.dumps(problem)


async def test_people_come_as_csv_and_as_nothing_else(muster: Stack) -> None:
    path = "/api/v1/people/imports"
    answer = await muster.api.post(path, content=b"{}", headers={"Content-Type": "application/json"})
    check_problem(answer, 415)
    for content in (b"", b"\xff\xfe", b"a,b\n1,2\n", b"\0" * 100, b'"never closed', b"id,id,name,department\n"):
        answer = await muster.api.post(path, content=content, headers={"Content-Type": "text/csv"})
        check_problem(answer, 422)
    for query, field in (({"country": "USA"}, "country"), ({"country": "\0\0"}, "country"), ({"force": "x"}, "force")):
        answer = await muster.api.post(
            path, content=b"id,name,department\n", headers={"Content-Type": "text/csv"}, params=query
        )
        check_problem(answer, 422, field)


async def test_a_body_over_the_limit_is_refused(muster: Stack, key: str) -> None:
    big = b'{"title": "' + b"x" * 1_100_000 + b'"}'
    for path in ("/api/v1/incidents", f"/api/v1/incidents/{key}/bulletins", "/webhooks/twilio/inbound"):
        answer = await muster.api.post(path, content=big, headers={"Content-Type": "application/json"})
        assert "1,000,000" in check_problem(answer, 413)["detail"]
    # The next request is answered as ever; and an import may be larger.
    assert (await muster.call("GET", f"/incidents/{key}"))["status"] == "declared"
    people = b"id,name,department\n" + b"\n" * 1_100_000
    answer = await muster.api.post(
        "/api/v1/people/imports", content=people, headers={"Content-Type": "text/csv"}, params={"dry_run": True}
    )
    assert answer.status_code != 413


async def test_a_body_without_a_length_is_refused_once_it_is_too_long(muster: Stack) -> None:
    host, port = muster.base_url.removeprefix("http://").split(":")
    token = muster.api.headers["authorization"].encode()
    for path in (b"/api/v1/incidents", b"/webhooks/twilio/inbound"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nAuthorization: " + token + b"\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(21):
            writer.write(b"C350\r\n" + b"x" * 50_000 + b"\r\n")
        await writer.drain()
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patience(10))
        assert head.split()[1] == b"413", head
        assert b"application/problem+json" in head
        writer.close()


async def test_a_length_that_is_a_lie_or_no_number_is_no_way_around_the_limit(muster: Stack) -> None:
    host, port = muster.base_url.removeprefix("http://").split(":")
    for length in (b"-5", b"abc", b"1e3", b"99999999999999999999"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: " + length + b"\r\nConnection: close\r\n\r\n{}"
        )
        await writer.drain()
        status = (await asyncio.wait_for(reader.readline(), patience(10))).split()[1]
        assert status in (b"400", b"413"), (length, status)
        writer.close()


async def test_a_wrong_method_names_what_is_allowed(muster: Stack, key: str) -> None:
    for method, template in sorted(set(TABLE) | OPEN):
        path = filled(template, key)[1] if template.startswith("/api") else template
        path = path.replace("{slug}", "global-vendor-outage")
        url = path if path.startswith(("/health", "/ready", "/metrics")) else f"/api/v1{path}"
        taken = {m for m, t in set(TABLE) | OPEN if t == template}
        for other in {"PUT", "DELETE", "PATCH", "POST"} - taken:
            answer = await muster.api.request(other, url)
            check_problem(answer, 405)
            assert set(answer.headers["allow"].split(", ")) == taken
        assert method in taken


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/", "/api/v1/nothing", "/api/v2/incidents", "/api/v1/incidents/INC-2026-0001/nothing", "/nothing",
        "/webhooks/twilio/nothing", "/api/v1/incidents/../../etc/passwd", "/api/v1/%2e%2e/%2e%2e",
        "/api/v1/incidents//timeline", "/static/../settings.py", "/static/nothing.css", "/api/v1/%ff%fe",
    ],
)  # fmt: skip
async def test_an_unknown_path_is_a_404(muster: Stack, path: str) -> None:
    answer = await muster.api.get(path)
    check_problem(answer, 404)


@pytest.mark.parametrize(
    "key", ["%00", "%ff", "a%00b", "INC-2026-9999", "x" * 3000, "%F0%9F%98%80", "' OR 1=1 --", "..."]
)
async def test_no_incident_key_breaks_anything(muster: Stack, key: str) -> None:
    for path in ("", "/timeline", "/bulletins", "/bulletins/1/board", "/review", "/help-requests"):
        answer = await muster.api.get(f"/api/v1/incidents/{key}{path}")
        check_problem(answer)
        assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    "number", ["0", "-1", "1.5", "one", "99999999999999999999999", "%00", "1e3", "9" * 5000, "\u0661"]
)
async def test_no_bulletin_number_breaks_anything(muster: Stack, key: str, number: str) -> None:
    for path in ("", "/board", "/recipients"):
        answer = await muster.api.get(f"/api/v1/incidents/{key}/bulletins/{number}{path}")
        check_problem(answer)
        assert answer.status_code in (404, 422)
    check_problem(await muster.api.post(f"/api/v1/incidents/{key}/bulletins/{number}/send", json={}))


@pytest.mark.parametrize(
    "query",
    ["cursor=%00", "cursor=%ff", "cursor=" + "A" * 600, "limit=1e9", "limit=-1", "limit=" + "9" * 4400, "limit=%00"],
)
async def test_no_page_of_any_list_breaks_anything(muster: Stack, key: str, query: str) -> None:
    for path in (
        "/incidents", "/people", f"/incidents/{key}/timeline", f"/incidents/{key}/field-reports",
        f"/incidents/{key}/help-requests", f"/incidents/{key}/bulletins/1/recipients",
    ):  # fmt: skip
        answer = await muster.api.get(f"/api/v1{path}?{query}")
        check_problem(answer, 422, query.split("=")[0])


@pytest.mark.parametrize("query", ["q=%00", "q=%25_%5c", "department=%00", "status=%00", "q=" + "x" * 3000, "q=%ff"])
async def test_no_filter_breaks_anything(muster: Stack, key: str, query: str) -> None:
    for path in ("/people", f"/incidents/{key}/bulletins/1/recipients", "/incidents"):
        answer = await muster.api.get(f"/api/v1{path}?{query}")
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            check_problem(answer, 422)


@pytest.mark.parametrize("value", ["9" * 5000, "-3", "\u0663", "1.5", "x", ""])
async def test_no_last_event_id_breaks_the_stream(muster: Stack, key: str, value: str) -> None:
    headers = {b"Last-Event-ID": value.encode()}
    async with muster.api.stream("GET", f"/api/v1/incidents/{key}/events", headers=headers) as answer:
        assert answer.status_code == 200


async def test_an_unknown_review_format_is_refused_and_one_to_come_is_501(muster: Stack, key: str) -> None:
    path = f"/api/v1/incidents/{key}/review"
    for form in ("xlsx", "pdf"):
        check_problem(await muster.api.get(path, params={"format": form}), 501)
    check_problem(await muster.api.get(path, params={"format": "docx"}), 422, "format")
    for form, kind in (("json", "application/json"), ("md", "text/markdown"), ("csv", "text/csv")):
        answer = await muster.api.get(path, params={"format": form})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.content
    answer = await muster.api.get(path)
    assert key in answer.text


async def test_errors_on_pages_are_pages_and_elsewhere_problems(muster: Stack) -> None:
    page = await muster.api.get("/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    problem = await muster.api.get("/api/v1/nothing", headers={"Accept": "text/html"})
    check_problem(problem, 404)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def without_database(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A running web process whose database has gone away."""
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("away"), worker=False) as running:
        token = running.api.headers["authorization"].removeprefix("Bearer ")
        async with running.house.db.begin() as session:
            assert (await access.by_token(session, token)).role == "admin"
        await running.house.db.close()
        object.__setattr__(running.house, "db", Database("postgresql://nobody@127.0.0.1:1/nothing", pool_size=2))
        object.__setattr__(running.house, "jobs", Jobs(make_app("postgresql://nobody@127.0.0.1:1/nothing")))
        yield running
        await running.house.db.close()


async def test_without_the_database_every_call_is_a_503_that_says_so(without_database: Stack) -> None:
    for method, template in sorted(TABLE):
        path = filled(template, "INC-2026-0001")[1].replace("{slug}", "global-vendor-outage")
        body: Any = None
        if method != "GET":
            body = {
                "/incidents": {"playbook": "global-vendor-outage", "facts": {}},
                "/incidents/INC-2026-0001": {"status": "closed", "reason": "over"},
            }.get(path, {"stage": "resolved", "facts": {}} if path.endswith("bulletins") else {})
            if path.endswith("acknowledgment"):
                body = {"response": "ok", "via": "phone", "note": "rang"}
            elif path.endswith("close"):
                body = {"outcome": "done"}
        answer = await without_database.api.request(method, f"/api/v1{path}", json=body)
        problem = check_problem(answer, 503)
        assert "database" in problem["detail"], (method, path)
        assert "nobody" not in answer.text
        assert int(answer.headers["retry-after"]) > 0


async def test_without_the_database_a_webhook_asks_to_be_sent_again(without_database: Stack) -> None:
    token = without_database.house.signer.attempt_token(1)
    receipt = {"MessageSid": "SM1", "MessageStatus": "sent"}
    check_problem(await post_webhook(without_database, f"/webhooks/twilio/status/{token}", receipt), 503)
    text = {"MessageSid": "SM2", "From": "+12065550141", "Body": "1"}
    check_problem(await post_webhook(without_database, "/webhooks/twilio/inbound", text), 503)


async def test_without_the_database_the_process_lives_and_is_not_ready(without_database: Stack) -> None:
    assert (await without_database.api.get("/healthz")).status_code == 200
    ready = await without_database.api.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["ready"] is False
    assert ready.json()["checks"]["database"]["ok"] is False
    metrics = await without_database.api.get("/metrics")
    assert metrics.status_code == 200
    assert "muster_ready 0.0" in metrics.text


async def test_without_a_provider_no_webhook_is_believed(muster: Stack) -> None:
    app = create_app(muster.house, Hub(muster.house.db.url), signatures=None)
    form = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "From": "+12065550141", "Body": "1"}
    url = f"{muster.base_url}/webhooks/twilio/inbound"
    signed = {"X-Twilio-Signature": str(RequestValidator(AUTH_TOKEN).compute_signature(url, form))}
    async with httpx2.AsyncClient(
        verify=False, transport=httpx2.ASGITransport(app), base_url=muster.base_url
    ) as client:
        check_problem(await client.post("/webhooks/twilio/inbound", data=form, headers=signed), 403)
