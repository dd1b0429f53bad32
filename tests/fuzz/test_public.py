"""What anybody may call without a token, a session or a signature: none of it texts, calls or mails anybody.

A new address that anybody may call fails here until it stands in PUBLIC, looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.board.stream import Hub
from app.channels.twilio import Signatures
from app.main import create_app
from tests.fuzz.attacker import Post, answer
from tests.journeys.crew import Crew, Desk, a_person, desk
from tests.spare import Spare
from tests.stack import ACCOUNT, AUTH_TOKEN

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.fuzz]

STRANGER = "+12125550123"
"""In nobody's directory."""

PUBLIC = {
    ("GET", "/api/v1/playbooks/schema.json"): "the format of a playbook file",
    ("GET", "/healthz"): "whether the process lives",
    ("GET", "/readyz"): "whether a send would go out",
    ("GET", "/metrics"): "counts",
    ("GET", "/docs"): "the API's documentation",
    ("GET", "/openapi.json"): "the API's document",
    ("HEAD", "/openapi.json"): "the API's document",
    ("GET", "/sign-in/{secret}"): "asks for the press that signs in; the link is the secret",
    ("GET", "/"): "says how to sign in",
    ("GET", "/a/{token}"): "the staff page; the link is the secret",
    ("HEAD", "/a/{token}"): "the staff page; the link is the secret",
    ("POST", "/a/{token}"): "the answer of the person whom the link stands for, with the page's nonce",
}
"""Everything that answers without asking who is calling, and what it is. Files under /static and /docs/static aside.

Signing in (`POST /sign-in/{secret}`) refuses every link that was not handed out, so it is none of them.
"""

NAMES = (
    "to",
    "To",
    "From",
    "phone",
    "mobile",
    "number",
    "sender",
    "recipient",
    "email",
    "address",
    "Body",
    "text",
    "next",
)
TEMPLATES = sorted(Path("app").glob("**/templates/*.html"))


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def at(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Desk, FastAPI]]:
    channels = ("email", "sms", "voice")
    async with spare.lent() as url, desk(url, tmp_path_factory.mktemp("public"), channels=channels) as muster:
        yield muster, create_app(muster.house, Hub(url), signatures=Signatures(ACCOUNT, AUTH_TOKEN))


def operations(app: FastAPI) -> Iterator[tuple[str, str, list[str]]]:
    """(method, route, the fields that its body and query may have) of everything: API, webhooks and pages."""
    document = app.openapi()
    known = set(NAMES)
    for template in TEMPLATES:
        known |= set(re.findall(r'name="([A-Za-z_.]+)"', template.read_text(encoding="utf-8")))
    for schema in document["components"]["schemas"].values():
        known |= set(schema.get("properties", {}))
    for item in document["paths"].values():
        for operation in item.values():
            known |= {entry["name"] for entry in operation.get("parameters", []) if entry["in"] == "query"}
    for route in _routes(app.routes):
        for method in sorted(getattr(route, "methods", None) or ()):
            yield method, route.path, sorted(known)


def _routes(found: Any) -> Iterator[Any]:
    """Single routes, also those that an included router keeps to itself."""
    for route in found:
        if inner := getattr(getattr(route, "original_router", None), "routes", None):
            yield from _routes(inner)
        elif getattr(route, "methods", None):
            yield route


def posts(method: str, path: str, fields: list[str]) -> list[Post]:
    """The operation with a stranger's number in everything that it may take, as a form and as JSON."""
    everything = dict.fromkeys(fields, STRANGER)
    query = urlencode(everything) if method in ("GET", "HEAD") else urlencode(dict.fromkeys(NAMES, STRANGER))
    form = Post(
        f"{path}?{query}",
        urlencode(everything).encode(),
        (("Content-Type", "application/x-www-form-urlencoded"),),
        method,
    )
    sent = Post(f"{path}?{query}", json.dumps(everything).encode(), (("Content-Type", "application/json"),), method)
    listed = b"id,name,department,mobile\nX1,A stranger,IT," + STRANGER.encode() + b"\n"
    return [form, sent, Post(path, b"", (), method), Post(path, listed, (("Content-Type", "text/csv"),), method)]


async def reached(muster: Desk) -> tuple[int, int, int]:
    """(texts, calls, mails) that the carrier has, after every worker's round."""
    await muster.take_steps()
    await muster.hand_over()
    await muster.settle_unknown()
    calls = (await muster.carrier.get("/simulator/calls")).json()["calls"]
    return len(await muster.texts()), len(calls), len(await muster.emails())


async def test_nothing_that_anybody_may_call_reaches_an_address_of_their_choosing(at: tuple[Desk, FastAPI]) -> None:
    muster, app = at
    person = a_person()
    key = await Crew(muster).told(person)
    delivery = (await muster.delivery(key, person))["id"]
    link = muster.house.signer.link_token(delivery)
    before = await reached(muster)
    assert before == (1, 0, 0)
    public, seen = set(), 0
    for method, route, fields in operations(app):
        paths = {re.sub(r"\{[^}]*\}", part, route) for part in (quote(STRANGER), "1", "exercise", key, "x" * 20)}
        if route == "/a/{token}":
            paths.add(f"/a/{link}")
        for path in sorted(paths):
            for one in posts(method, path, fields):
                status, body = await answer(app, one)
                assert status < 500 or route == "/readyz", (method, path, status, body)
                seen += 1
                if status not in (401, 403) and not (status == 400 and b"not JSON" in body):
                    public.add((method, route))
    assert public == set(PUBLIC), public ^ set(PUBLIC)
    assert seen > 500
    assert await reached(muster) == before
    assert not [text for text in await muster.texts() if text["to"] == STRANGER]


async def test_the_staff_page_answers_for_its_own_person_whatever_else_is_posted(at: tuple[Desk, FastAPI]) -> None:
    muster, app = at
    person = a_person()
    key = await Crew(muster).told(person)
    before = await reached(muster)
    link = f"/a/{muster.house.signer.link_token((await muster.delivery(key, person))['id'])}"
    page = (await answer(app, Post(link, b"", (), "GET")))[1].decode()
    nonce = re.search(r'name="nonce" value="([^"]+)"', page)
    assert nonce is not None
    fields = next(fields for method, route, fields in operations(app) if (method, route) == ("POST", "/a/{token}"))
    form = dict.fromkeys(fields, STRANGER) | {"nonce": nonce[1], "response": "need_help", "note": f"text {STRANGER}"}
    kind = (("Content-Type", "application/x-www-form-urlencoded"),)
    assert (await answer(app, Post(link, urlencode(form).encode(), kind)))[0] == 303
    assert await muster.acts(key, person) == [("need_help", False)]
    after = await reached(muster)
    told = (await muster.texts())[before[0] :]
    assert STRANGER not in {text["to"] for text in told}, "help is asked of leads in the directory, of nobody else"
    assert not [text for text in await muster.texts() if text["to"] == STRANGER]
    assert after[1] == before[1]


async def test_a_text_is_answered_in_the_same_breath_and_an_unknown_number_not_at_all(at: tuple[Desk, FastAPI]) -> None:
    muster, _ = at
    person = a_person()
    await Crew(muster).told(person)
    before = await reached(muster)
    assert await muster.text(person.mobile, "1")
    for words in ("1", "HELP", "YES", "no power", f"text {STRANGER}"):
        assert await muster.text(STRANGER, words) == ""
    form = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "0" * 32, "From": person.mobile, "Body": "2", "To": STRANGER}
    refused: httpx2.Response = await muster.api.post(
        "/webhooks/twilio/inbound", data=form, headers={"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    )
    assert refused.status_code == 403
    assert await reached(muster) == before
