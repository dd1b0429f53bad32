"""Each person's one status, as SQL: the eight counts that add up. Pure text, for the board and the review.

The first that fits, in this order: what they answered; cancelled (or left) with nothing accepted; waiting; pending;
uncertain; unreachable.
"""

from __future__ import annotations

from app.deliveries.states import IN_FLIGHT, WITH_PROVIDER, sql_list

STATUSES = ("acknowledged", "need_help", "cannot", "cancelled", "waiting", "pending", "uncertain", "unreachable")

NEWS = "EXISTS (SELECT FROM bulletin nb WHERE nb.id = d.bulletin_id AND NOT nb.asks)"
"""Whether the delivery `d` is of news: an all-clear, which nobody has to answer."""

OVER = f"(coalesce(i.closed_at >= d.created_at, false) AND NOT {NEWS})"
"""Whether nothing more of the delivery `d` is to go out, because its incident `i` was closed after it was made. News
goes on: that it is over stays true. Who asks for help afterwards is still heard, and the notices of that still go."""

GONE = """CASE WHEN p.id IS NULL THEN false
  WHEN i.closed_at IS NULL OR p.updated_at <= i.closed_at THEN NOT p.active
  ELSE NOT (SELECT pv.active FROM person_version pv
    WHERE pv.person_id = p.id AND pv.since <= greatest(i.closed_at, p.created_at) ORDER BY pv.id DESC LIMIT 1) END"""
"""Whether person `p` has left; of a closed incident `i`, whether they had when it was closed. `p` may be absent for
someone who is surely here."""

ATTEMPT_SUMMARY = f"""
  SELECT a.delivery_id,
         bool_or(a.state IN ({sql_list(WITH_PROVIDER)})) AS with_provider,
         bool_or(a.state IN ({sql_list(IN_FLIGHT)})) AS in_flight,
         bool_or(a.state = 'uncertain') AS uncertain,
         bool_or(a.state = 'cancelled') AS stopped
  FROM attempt a
"""
"""One row a delivery; add a WHERE and GROUP BY a.delivery_id."""

STATUS = f"""
  CASE
    WHEN d.response = 'ok' THEN 'acknowledged'
    WHEN d.response IS NOT NULL THEN d.response
    WHEN (d.cancelled_at IS NOT NULL OR {GONE} OR ({OVER} AND
          (d.next_rung IS NOT NULL OR coalesce(s.in_flight OR s.stopped, false))))
         AND NOT coalesce(s.with_provider, false)
      THEN 'cancelled'
    WHEN s.with_provider THEN 'waiting'
    WHEN s.in_flight OR d.next_rung IS NOT NULL THEN 'pending'
    WHEN s.uncertain THEN 'uncertain'
    ELSE 'unreachable'
  END
"""
"""For `d` delivery, `p` its person (see `GONE`), `i` its incident, `s` its attempt summary (may be absent)."""
