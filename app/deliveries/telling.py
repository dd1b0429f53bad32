"""When others are told that somebody has not answered: at the ladder's time, or at once when nothing else is left.

Telling reaches another person, so it is no reach of this one: it counts neither as a step that is still due nor as an
attempt. A failure goes on to the next channel at once; whoever is told keeps their own time, unless no channel is left.
Of those whom no channel reaches from the beginning nothing has failed: the preview named them, and the ladder's time
holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries.states import CAME_TO_NOTHING, IN_FLIGHT, WITH_PROVIDER, sql_list
from app.kernel.db import run

KIND = "escalation"
"""Notices about people who have not answered."""

_HOPE = sql_list(IN_FLIGHT | WITH_PROVIDER)
"""States of an attempt that may have reached somebody or still may. What is uncertain is not counted on."""

SILENT = """
  SELECT e.notice_id, xp.name FROM escalation e JOIN delivery x ON x.id = e.delivery_id
  JOIN bulletin xb ON xb.id = x.bulletin_id AND xb.state = 'sent' JOIN person xp ON xp.id = x.person_id AND xp.active
  WHERE x.response IS NULL AND x.cancelled_at IS NULL
"""
"""(notice_id, name) of the people whom a notice is about and who have not answered yet."""

HOW_TOLD = f"""
  SELECT CASE WHEN bool_and(na.state = 'queued') THEN min(na.not_before) END AS waits_until,
         coalesce(bool_and(na.state IN ({sql_list(CAME_TO_NOTHING)})), true) AS failed,
         min(na.handed_over_at) AS left_at
  FROM delivery nd JOIN attempt na ON na.delivery_id = nd.id WHERE nd.notice_id = e.notice_id
"""
"""How far the notice of escalation `e` came: until when it waits for its turn, whether it came to nobody, and when it
first left: whoever had answered by then is not named in it."""


async def hasten(session: AsyncSession, delivery_ids: Sequence[int], *, now: datetime) -> None:
    """Of these deliveries, where no way is left: whoever is told next of that person is told now. Safe to repeat.

    Where it is a notice to somebody who was to be told, and no one else told at that step can be reached either, the
    next in line is told now about each person in it.
    """
    await run(
        session,
        f"""
        WITH ended AS (
          SELECT d.id, d.notice_id FROM delivery d
          WHERE d.id = ANY(:ids) AND d.next_rung IS NULL
            AND NOT EXISTS (SELECT FROM attempt a WHERE a.delivery_id = d.id AND a.state IN ({_HOPE}))
        ), concerned AS (
          SELECT id FROM ended WHERE notice_id IS NULL
          UNION
          SELECT e.delivery_id FROM ended JOIN escalation e ON e.notice_id = ended.notice_id
          WHERE NOT EXISTS (
            SELECT FROM escalation other JOIN delivery n ON n.notice_id = other.notice_id
            JOIN attempt a ON a.delivery_id = n.id AND a.state IN ({_HOPE})
            WHERE other.delivery_id = e.delivery_id AND other.rung = e.rung)
        ), locked AS (
          SELECT d.id FROM delivery d JOIN concerned ON concerned.id = d.id
          WHERE d.next_tell_at > :now AND d.response IS NULL AND d.cancelled_at IS NULL ORDER BY d.id FOR UPDATE OF d
        )
        UPDATE delivery d SET next_tell_at = :now FROM locked WHERE d.id = locked.id
        """,
        {"ids": list(delivery_ids), "now": now},
    )
