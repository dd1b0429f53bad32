"""SQL of the playbooks' revisions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row, rows, run
from app.kernel.locks import Lock

_COLUMNS = "r.id, r.slug, r.revision, r.sha256, r.title, r.content"


async def current(session: AsyncSession, slug: str) -> RowMapping | None:
    return await row(
        session,
        f"""SELECT {_COLUMNS} FROM playbook p JOIN playbook_revision r ON r.id = p.revision_id
            WHERE p.slug = :slug AND p.removed_at IS NULL""",
        {"slug": slug},
    )


async def all_current(session: AsyncSession) -> Sequence[RowMapping]:
    return await rows(
        session,
        f"""SELECT {_COLUMNS} FROM playbook p JOIN playbook_revision r ON r.id = p.revision_id
            WHERE p.removed_at IS NULL ORDER BY p.slug""",
    )


async def revision(session: AsyncSession, revision_id: int) -> RowMapping | None:
    return await row(session, f"SELECT {_COLUMNS} FROM playbook_revision r WHERE r.id = :id", {"id": revision_id})


async def revisions(session: AsyncSession, ids: Sequence[int]) -> Sequence[RowMapping]:
    return await rows(session, f"SELECT {_COLUMNS} FROM playbook_revision r WHERE r.id = ANY(:ids)", {"ids": list(ids)})


async def save(
    session: AsyncSession,
    *, slug: str, sha256: str, title: str, content: Mapping[str, Any], source: str, now: datetime,
) -> bool:  # fmt: skip
    """Makes this text the slug's current revision; True when anything changed."""
    # One saver at a time: two processes that start together must agree on the revision's number.
    await run(session, "SELECT pg_advisory_xact_lock(:lock)", {"lock": Lock.PLAYBOOKS.value})
    await run(
        session,
        """INSERT INTO playbook_revision (slug, revision, sha256, title, content, source, created_at)
           SELECT CAST(:slug AS text), coalesce(max(revision), 0) + 1, :sha256, :title, CAST(:content AS json), :source,
                  :now FROM playbook_revision WHERE slug = CAST(:slug AS text)
           ON CONFLICT (slug, sha256) DO NOTHING""",
        {
            "slug": slug, "sha256": sha256, "title": title, "content": json.dumps(content), "source": source,
            "now": now,
        },
    )  # fmt: skip
    changed = await run(
        session,
        """INSERT INTO playbook (slug, revision_id)
           SELECT slug, id FROM playbook_revision WHERE slug = :slug AND sha256 = :sha256
           ON CONFLICT (slug) DO UPDATE SET revision_id = excluded.revision_id, removed_at = NULL
           WHERE playbook.revision_id <> excluded.revision_id OR playbook.removed_at IS NOT NULL""",
        {"slug": slug, "sha256": sha256},
    )
    return bool(changed)


async def remove_others(session: AsyncSession, slugs: Sequence[str], now: datetime) -> None:
    await run(
        session,
        "UPDATE playbook SET removed_at = :now WHERE removed_at IS NULL AND slug <> ALL(:slugs)",
        {"slugs": list(slugs), "now": now},
    )
