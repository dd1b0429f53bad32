"""Each person's one status, as SQL: the eight counts that add up. Pure text, for the board and the review.

The first that fits, in this order: what they answered; cancelled (or left) with nothing accepted; waiting; pending;
uncertain; unreachable.
"""

from __future__ import annotations

from app.deliveries.states import IN_FLIGHT, WITH_PROVIDER, sql_list

STATUSES = ("acknowledged", "need_help", "cannot", "cancelled", "waiting", "pending", "uncertain", "unreachable")

OVER = "coalesce(i.closed_at >= d.created_at, false)"
"""Whether the incident `i` was closed after the delivery `d` was made. Who asks for help afterwards is still heard, and
the notices of that still go."""

ATTEMPT_SUMMARY = f"""
  SELECT a.delivery_id,
         bool_or(a.state IN ({sql_list(WITH_PROVIDER)})) AS with_provider,
         bool_or(a.state IN ({sql_list(IN_FLIGHT)})) AS in_flight,
         bool_or(a.state = 'uncertain') AS uncertain,
         bool_or(a.state = 'cancelled') AS stopped
  FROM attempt a
"""
"""One row a delivery; add a WHERE and GROUP BY a.delivery_id."""

STATUS = """
  CASE
    WHEN d.response = 'ok' THEN 'acknowledged'
    WHEN d.response IS NOT NULL THEN d.response
    WHEN (d.cancelled_at IS NOT NULL OR NOT p.active OR (i.closed_at IS NOT NULL AND
          (d.next_rung IS NOT NULL OR coalesce(s.in_flight OR s.stopped, false))))
         AND NOT coalesce(s.with_provider, false)
      THEN 'cancelled'
    WHEN s.with_provider THEN 'waiting'
    WHEN s.in_flight OR d.next_rung IS NOT NULL THEN 'pending'
    WHEN s.uncertain THEN 'uncertain'
    ELSE 'unreachable'
  END
"""
"""For `d` delivery, `p` its person, `i` its incident, `s` its attempt summary (may be absent)."""
