"""A small company for the API's tests, and what every test asks of an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx2
from twilio.request_validator import RequestValidator

from app.kernel.db import row
from tests.patience import patience
from tests.stack import ACCOUNT, AUTH_TOKEN, Stack

CSV = """\
id,name,department,title,site,manager_id,mobile,email,phone,language,active
S1,Ana Till,Store Operations,Cashier,Dallas,,+12065550141,s1@example.com,,en,true
S2,Ben Gate,Store Operations,Gate Agent,Dallas,S1,+12065550142,,,en,true
S3,Cem Mail,Store Operations,Cashier,Seattle,S1,,s3@example.com,,en,true
S4,Dee Nowhere,Store Operations,Cashier,Seattle,S1,,,,en,true
S5,Eve Shared,Store Operations,Cashier,Dallas,S1,+12065550145,s5@example.com,,en,true
S6,Fay Shared,Store Operations,Cashier,Dallas,S1,+12065550145,s6@example.com,,en,true
C1,Gus Voice,Customer Service,Agent,Dallas,,+12065550151,c1@example.com,,fr,true
I1,Hal Wire,IT,Engineer,Seattle,,+12065550161,i1@example.com,,en,true
X1,Ida Lock,Security,Guard,Seattle,,+12065550171,x1@example.com,,en,true
M1,Jan Word,Marketing,Writer,Dallas,,+12065550181,m1@example.com,,en,true
O1,Kai Road,Operations,Planner,Dallas,,+12065550191,o1@example.com,,en,true
F1,Lea Coin,Finance,Clerk,Dallas,,+12065550196,f1@example.com,,en,true
L1,Max Gone,Store Operations,Cashier,Dallas,,+12065550199,l1@example.com,,en,false
"""
ACTIVE = ("S1", "S2", "S3", "S4", "S5", "S6", "C1", "I1", "X1", "M1", "O1", "F1")
MOBILES = {line.split(",")[0]: line.split(",")[6] for line in CSV.splitlines()[1:] if line.split(",")[6]}
ROLES = ("admin", "commander", "communications_lead", "department_lead", "viewer")
STATUSES = {"acknowledged", "need_help", "cannot", "cancelled", "waiting", "pending", "uncertain", "unreachable"}


def check_problem(response: httpx2.Response, status: int | None = None, *fields: str) -> dict[str, Any]:
    """The answer is an RFC 9457 problem with this status, naming each of these field paths."""
    assert status is None or response.status_code == status, (response.status_code, response.text[:600])
    assert 400 <= response.status_code < 600
    assert response.headers["content-type"] == "application/problem+json", response.text[:300]
    body: dict[str, Any] = response.json()
    assert isinstance(body["type"], str)
    assert body["type"]
    assert body["status"] == response.status_code
    for name in ("title", "detail"):
        assert isinstance(body[name], str)
        assert body[name].strip()
    assert "Traceback" not in response.text
    named = {entry["field"]: entry["message"] for entry in body.get("errors", [])}
    assert all(message.strip() for message in named.values())
    for field in fields:
        assert field in named, (field, named)
    return body


def messages(problem: Mapping[str, Any]) -> dict[str, str]:
    """What a problem says of each field."""
    return {entry["field"]: entry["message"] for entry in problem.get("errors", [])}


async def raw(stack: Stack, method: str, path: str, content: bytes, **headers: str) -> httpx2.Response:
    """A request whose body is sent as it stands; JSON unless a header says otherwise."""
    given = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await stack.api.request(method, f"/api/v1{path}", content=content, headers=given)


async def code_of(stack: Stack, key: str, person: str, number: int = 1) -> str:
    """The reply code in a person's message."""
    async with stack.house.db.begin() as session:
        found = await row(
            session,
            """SELECT d.code FROM delivery d JOIN person p ON p.id = d.person_id JOIN bulletin b ON b.id = d.bulletin_id
               JOIN incident i ON i.id = d.incident_id
               WHERE i.key = :key AND b.number = :number AND p.employee_id = :person""",
            {"key": key, "number": number, "person": person},
        )
    assert found
    return str(found["code"])


async def post_webhook(
    stack: Stack,
    path: str,
    form: Mapping[str, str],
    *,
    signature: str | None = "right",
    account: str = ACCOUNT,
    token: str = AUTH_TOKEN,
) -> httpx2.Response:
    """A webhook as Twilio sends it. `signature` None leaves the header out; anything but "right" is sent as it is."""
    whole = {"AccountSid": account, **form}
    url = f"{stack.base_url}{path}"
    headers = {b"Content-Type": b"application/x-www-form-urlencoded"}
    if signature is not None:
        signed = str(RequestValidator(token).compute_signature(url, whole))
        headers[b"X-Twilio-Signature"] = (signed if signature == "right" else signature).encode()
    async with httpx2.AsyncClient(trust_env=False, timeout=30, verify=False) as client:
        return await client.post(url, content=urlencode(whole), headers=headers)


class Events:
    """A server-sent event stream, read as it comes: (event, id, data) in order."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self, *, seconds: float = 15.0) -> tuple[str, str | None, Any]:
        """The next event; fails when none comes in time."""
        name, event_id, data = "", None, []
        async with asyncio.timeout(patience(seconds)):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("id: "):
                    event_id = line.removeprefix("id: ")
                elif line.startswith("data: "):
                    data.append(line.removeprefix("data: "))
                elif not line and name:
                    return name, event_id, json.loads("\n".join(data))
        raise AssertionError("the stream ended")
