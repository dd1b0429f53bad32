"""Requests with an Idempotency-Key: the same key and body have one effect and one answer, however often sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row, run
from app.kernel.errors import FieldError, Invalid

MAX_KEY = 255


class UsedBefore(Invalid):
    """The key stands for another request. `answer` is what came of that one."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(
            "This Idempotency-Key was used before with another body.",
            [FieldError("Idempotency-Key", "use a new key for a new request")],
        )
        self.answer = answer


async def once(
    session: AsyncSession,
    *,
    key: str | None,
    account_id: int,
    operation: str,
    body: Any,
    now: datetime,
    do: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Runs `do` once for this account, operation and key, in the caller's transaction.

    Two requests at the same moment: the second waits for the first to commit and gets its answer; when the first
    fails, its key is free again. Another body under the same key raises UsedBefore. Without a key, `do` simply runs.
    """
    if key is None:
        return await do()
    if not key.strip() or len(key) > MAX_KEY or not key.isprintable():
        raise Invalid(
            "The Idempotency-Key cannot be used.",
            [FieldError("Idempotency-Key", f"use 1 to {MAX_KEY} printable characters")],
        )
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    mine = await row(
        session,
        """INSERT INTO idempotency_key (account_id, operation, key, body_hash, created_at)
           VALUES (:account, :operation, :key, :hash, :now) ON CONFLICT DO NOTHING RETURNING id""",
        {"account": account_id, "operation": operation, "key": key, "hash": digest, "now": now},
    )
    if mine is None:
        before = await row(
            session,
            """SELECT body_hash, answer FROM idempotency_key
               WHERE account_id = :account AND operation = :operation AND key = :key""",
            {"account": account_id, "operation": operation, "key": key},
        )
        assert before is not None
        if before["body_hash"] != digest:
            raise UsedBefore(dict(before["answer"]))
        return dict(before["answer"])
    answer = await do()
    await run(
        session,
        "UPDATE idempotency_key SET answer = CAST(:answer AS jsonb) WHERE id = :id",
        {"answer": json.dumps(answer, default=str), "id": mine["id"]},
    )
    return answer
