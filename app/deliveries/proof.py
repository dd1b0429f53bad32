"""Proof of whom a bulletin went to, as they were: the entry of its send holds a digest of it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.incidents.timeline import RECIPIENTS_SHA256
from app.kernel.audit import Also
from app.kernel.db import row

_DIGEST = """encode(sha256(convert_to(
  string_agg(d.person_id || ':' || d.person_version_id, ',' ORDER BY d.person_id), 'UTF8')), 'hex')"""


def of_send(bulletin_id: int) -> Also:
    """What the entry of a send holds besides."""
    return Also(
        f"""(SELECT jsonb_build_object('{RECIPIENTS_SHA256}', {_DIGEST})
             FROM delivery d WHERE d.bulletin_id = :bulletin)""",
        {"bulletin": bulletin_id},
    )


async def verify(session: AsyncSession) -> str | None:
    """Compares each send's recipients with its entry. None when all hold, else a sentence naming the first bad one.

    Entries of earlier releases hold no digest.
    """
    bad = await row(
        session,
        f"""
        WITH said AS (
          SELECT e.stream, e.seq, e.data ->> '{RECIPIENTS_SHA256}' AS sha256, b.id AS bulletin_id
          FROM audit_entry e JOIN incident i ON i.key = e.stream
          LEFT JOIN bulletin b ON b.incident_id = i.id AND b.number = (e.data ->> 'bulletin')::int
          WHERE e.kind = 'bulletin_sent' AND e.data ? '{RECIPIENTS_SHA256}'
        ), there AS (
          SELECT d.bulletin_id, {_DIGEST} AS sha256 FROM delivery d WHERE d.bulletin_id IS NOT NULL
          GROUP BY d.bulletin_id
        )
        SELECT said.stream, said.seq FROM said LEFT JOIN there ON there.bulletin_id = said.bulletin_id
        WHERE said.sha256 IS DISTINCT FROM there.sha256 ORDER BY 1, 2 LIMIT 1
        """,
    )
    if bad is None:
        return None
    return f"{bad['stream']} entry {bad['seq']}: the people whom the bulletin went to were changed after it was sent"
