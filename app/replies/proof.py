"""Proof of who wrote a field report or asked for help, as they were: its entry holds the version that its row shows."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.incidents.timeline import SHOWN_VERSION
from app.kernel.audit import Also
from app.kernel.db import row

_KINDS = {"field_report": "field_report", "help_opened": "help_request"}
"""Kind of entry -> the table of the row that it begins; its data names the row by the table's name."""


def of_report(report_id: int) -> Also:
    """What the entry of a field report holds besides."""
    return _of("field_report", report_id)


def of_help(request_id: int) -> Also:
    """What the entry of a request for help holds besides."""
    return _of("help_request", request_id)


def _of(table: str, row_id: int) -> Also:
    # Read from the row: an import may make another version of the person before the entry is written.
    return Also(
        f"(SELECT jsonb_build_object('{SHOWN_VERSION}', t.person_version_id) FROM {table} t WHERE t.id = :shown)",
        {"shown": row_id},
    )


async def verify(session: AsyncSession) -> str | None:
    """Compares each report and request with its entry. None when all hold, else a sentence naming the first bad one.

    Entries of earlier releases hold no version.
    """
    each = " UNION ALL ".join(
        f"""SELECT e.stream, e.seq, '{table.replace("_", " ")}' AS what FROM audit_entry e
            LEFT JOIN {table} t ON t.id = (e.data ->> '{table}')::bigint
            WHERE e.kind = '{kind}' AND e.data ? '{SHOWN_VERSION}'
              AND (t.id IS NULL OR (e.data ->> '{SHOWN_VERSION}')::bigint IS DISTINCT FROM t.person_version_id)"""
        for kind, table in _KINDS.items()
    )
    bad = await row(session, f"SELECT * FROM ({each}) AS bad ORDER BY 1, 2 LIMIT 1", {})
    if bad is None:
        return None
    return f"{bad['stream']} entry {bad['seq']}: the person of its {bad['what']} was changed after it was written"
