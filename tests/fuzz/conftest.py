"""One running installation for all of these tests, with something of everything in it; no worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.api.company import CSV, ROLES
from tests.spare import Spare
from tests.stack import Stack, stack


@dataclass
class Place:
    """A running installation and what there is in it."""

    muster: Stack
    tokens: dict[str, str]
    """Role -> token; the department lead's department is Store Operations."""
    keys: list[str]
    """Two incidents: with a sent bulletin (1), an approved (2), a draft (3) and help requests; just declared."""
    help_requests: list[int]
    facts: dict[str, Any]
    """What a declaration of a global vendor outage may say."""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def place(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with spare.lent() as url, stack(url, tmp_path_factory.mktemp("muster"), worker=False) as muster:
        await muster.import_people(CSV.encode())
        tokens = {
            role: await muster.token(role, **({"department": "Store Operations"} if role == "department_lead" else {}))
            for role in ROLES
        }
        # Two people who are told when somebody needs help; their tokens are of no use to anybody who leaves.
        await muster.token("department_lead", department="Store Operations", person="S2")
        await muster.token("commander", person="F1")
        keys = [await muster.declare(), await muster.declare(drill=True)]
        path = f"/incidents/{keys[0]}"
        await muster.send(keys[0])
        for person in ("S1", "I1"):
            body = {"response": "need_help", "via": "phone", "note": "rang"}
            await muster.call("POST", f"{path}/bulletins/1/recipients/{person}/acknowledgment", body)
        await muster.write(keys[0])
        await muster.call("POST", f"{path}/bulletins", {"stage": "resolved", "facts": {}}, status=201)
        asked = (await muster.call("GET", f"{path}/help-requests"))["items"]
        yield Place(muster, tokens, keys, [entry["id"] for entry in asked], await muster.examples())
