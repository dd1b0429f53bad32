"""The review over HTTP: who may read it, in which formats, and what is answered otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from httpx2 import ASGITransport

from app.access import service as access
from app.board.stream import Hub
from app.kernel.house import House
from app.main import create_app
from app.review.formats import FORMATS
from tests.review.conftest import Told

REVIEW = "/api/v1/incidents/INC-2026-0001/review"
ROLES = ("admin", "commander", "communications_lead", "department_lead", "viewer")


@pytest.fixture
async def client(told: Told, told_house: House) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(told_house, Hub(told.url), signatures=None)
    async with httpx2.AsyncClient(
        verify=False, transport=ASGITransport(app=app), base_url=told_house.base_url
    ) as client:
        async with told_house.db.begin() as session:
            token = await access.create_token(session, told_house.clock, name="a viewer", role="viewer")
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.mark.parametrize("name", FORMATS)
async def test_each_format_comes_with_its_type_and_file_name(told: Told, client: httpx2.AsyncClient, name: str) -> None:
    response = await client.get(REVIEW, params={"format": name})
    assert response.status_code == 200
    assert response.headers["content-type"] == FORMATS[name].MEDIA_TYPE
    assert response.headers["content-disposition"] == f'attachment; filename="INC-2026-0001-review.{name}"'
    assert response.content == told.exports[name]


async def test_json_comes_when_no_format_is_named(told: Told, client: httpx2.AsyncClient) -> None:
    response = await client.get(REVIEW)
    assert response.json() == json.loads(told.exports["json"])


@pytest.mark.parametrize("name", ["xlsx", "pdf"])
async def test_a_format_that_is_to_come_is_501(client: httpx2.AsyncClient, name: str) -> None:
    response = await client.get(REVIEW, params={"format": name})
    assert response.status_code == 501
    assert response.headers["content-type"] == "application/problem+json"
    assert "json, md, csv" in response.json()["detail"]


@pytest.mark.parametrize("name", ["docx", "", "JSON", "../md", "x" * 200])
async def test_an_unknown_format_is_422_and_names_the_known_ones(client: httpx2.AsyncClient, name: str) -> None:
    response = await client.get(REVIEW, params={"format": name})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "format"
    if len(name) < 20:
        assert "json, md, csv" in response.json()["errors"][0]["message"]


async def test_an_unknown_incident_is_404(client: httpx2.AsyncClient) -> None:
    response = await client.get("/api/v1/incidents/INC-2026-0999/review")
    assert response.status_code == 404


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_may_read_it(told_house: House, client: httpx2.AsyncClient, role: str) -> None:
    department = "IT" if role == "department_lead" else None
    async with told_house.db.begin() as session:
        token = await access.create_token(session, told_house.clock, name=role, role=role, department=department)
    response = await client.get(REVIEW, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200
    assert len(response.json()["recipients"]) == 19


async def test_many_may_read_it_at_once(client: httpx2.AsyncClient) -> None:
    # More readers than the pool has connections: none may wait for a second one while holding a first.
    responses = await asyncio.gather(*(client.get(REVIEW) for _ in range(20)))
    assert {response.status_code for response in responses} == {200}


async def test_without_a_token_it_is_401(client: httpx2.AsyncClient) -> None:
    response = await client.get(REVIEW, headers={"Authorization": ""})
    assert response.status_code == 401


async def test_it_is_in_the_openapi_document(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    answers = document["paths"]["/api/v1/incidents/{key}/review"]["get"]["responses"]
    types = {"application/json", "text/markdown; charset=utf-8", "text/csv; charset=utf-8"}
    assert types <= set(answers["200"]["content"]) == {entry.MEDIA_TYPE for entry in FORMATS.values()}
    assert {"401", "404", "422", "501"} <= set(answers)
