"""Measures what the alarms go by. Every statement is cheap, as it runs every few seconds."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.kinds import RINGING, sql_list
from app.channels.port import HEALTH_SECONDS
from app.deliveries import retry
from app.deliveries.states import NOT_DELIVERED, PROVIDER_STATUSES, State
from app.deliveries.status import ATTEMPT_SUMMARY, STATUS
from app.kernel.db import row, rows
from app.kernel.house import House
from app.readiness.rules import Facts, Partial, Unheard
from app.readiness.service import WORKER_SILENT_SECONDS, disk_left
from app.replies.help_requests import HELP_TOLD, HELP_TOLD_LATER

QUEUE_AGE = """
  (SELECT coalesce(extract(epoch FROM max(
     :now - CASE WHEN tries = 0 THEN greatest(created_at, not_before) ELSE created_at END)), 0) FROM attempt
   WHERE state = 'queued' AND (tries > 0 OR not_before <= :now) AND channel = ANY(:channels))"""
"""Seconds that the oldest message has waited to be handed over: also one that was tried and put back.
An attempt that follows another is as old as its news, and waits since it is due."""

LATEST_ROWS = 2000
"""How far back from the newest row is looked: by primary key, whatever the table's size."""

_FIGURES = f"""
SELECT
  (SELECT count(*) FROM worker_heartbeat
   WHERE at > clock_timestamp() - make_interval(secs => :silent)) AS workers,
  {QUEUE_AGE} AS queue_age,
  (SELECT coalesce(sum(many), 0) FROM webhook_count
   WHERE kind = 'refused_ours' AND minute > :now - interval '10 minutes') AS refused,
  (SELECT count(*) FROM callback WHERE id > (SELECT max(id) FROM callback) - :latest
     AND received_at > :now - interval '30 minutes' AND status <> ALL(:statuses)) AS unknown
"""

_PARTIAL = f"""
WITH latest AS (
  SELECT DISTINCT ON (b.incident_id) b.id, b.number, i.key, i.drill
  FROM bulletin b JOIN incident i ON i.id = b.incident_id
  WHERE i.closed_at IS NULL AND b.state = 'sent' AND b.sent_at > :now - interval '1 day'
  ORDER BY b.incident_id, b.number DESC
), s AS (
  {ATTEMPT_SUMMARY} JOIN delivery x ON x.id = a.delivery_id JOIN latest ON latest.id = x.bulletin_id
  GROUP BY a.delivery_id
), each_one AS (
  SELECT d.bulletin_id, {STATUS} AS status
  FROM latest JOIN delivery d ON d.bulletin_id = latest.id JOIN person p ON p.id = d.person_id
  JOIN incident i ON i.id = d.incident_id LEFT JOIN s ON s.delivery_id = d.id
)
SELECT latest.key, latest.number, latest.drill,
       count(*) FILTER (WHERE e.status IN ('unreachable', 'uncertain')) AS missed,
       count(*) FILTER (WHERE e.status <> 'cancelled') AS total
FROM latest JOIN each_one e ON e.bulletin_id = latest.id GROUP BY 1, 2, 3 ORDER BY 1
"""


_UNHEARD = f"""
SELECT i.key, i.drill, count(*) AS people FROM help_request h JOIN incident i ON i.id = h.incident_id
WHERE h.closed_at IS NULL AND h.taken_at IS NULL AND i.closed_at IS NULL
  AND {HELP_TOLD} = '[]' AND {HELP_TOLD_LATER} = '[]' GROUP BY 1, 2 ORDER BY 1
"""
"""People who asked for help and of whom nobody was told or is going to be."""


async def measure(house: House) -> Facts:
    """Everything that the rules need."""
    left = await asyncio.to_thread(disk_left, house.disk) if house.disk else None
    now = house.clock.now()
    async with house.db.begin() as session:
        figures = await row(
            session,
            _FIGURES,
            {
                "now": now, "silent": WORKER_SILENT_SECONDS, "channels": list(house.channels), "latest": LATEST_ROWS,
                "statuses": sorted(PROVIDER_STATUSES),
            },
        )  # fmt: skip
        assert figures is not None
        health = await rows(
            session,
            """SELECT provider, ok, detail FROM provider_health
               WHERE checked_at > clock_timestamp() - CAST(:age AS interval)""",
            {"age": timedelta(seconds=HEALTH_SECONDS)},
        )
        refusals = await _refusals(session, now - timedelta(minutes=30))
        partial = await rows(session, _PARTIAL, {"now": now})
        unheard = await rows(session, _UNHEARD, {})
    return Facts(
        workers=int(figures["workers"]),
        channels=house.channels,
        providers={entry["provider"]: (entry["ok"], entry["detail"]) for entry in health},
        queue_age_seconds=float(figures["queue_age"]),
        refused_callbacks=int(figures["refused"]),
        refusals=refusals,
        unknown_statuses=int(figures["unknown"]),
        partial=[
            Partial(entry["key"], entry["number"], entry["missed"], entry["total"], entry["drill"]) for entry in partial
        ],
        unheard=[Unheard(entry["key"], entry["people"], entry["drill"]) for entry in unheard],
        disk=left,
    )


async def _refusals(session: AsyncSession, since: object) -> dict[int, str]:
    """Codes of late that an operator must act on, with what they mean."""
    found = await rows(
        session,
        f"""SELECT DISTINCT error_code AS code FROM attempt
           WHERE id > (SELECT max(id) FROM attempt) - :latest AND channel IN ({sql_list(RINGING)})
             AND error_code IS NOT NULL AND state = ANY(:states) AND updated_at > :since ORDER BY 1""",
        {"latest": LATEST_ROWS, "states": [*NOT_DELIVERED, State.REJECTED], "since": since},
    )
    treatments = {entry["code"]: retry.treatment(entry["code"]) for entry in found}
    return {code: treatment.reason for code, treatment in treatments.items() if treatment.alarm}
