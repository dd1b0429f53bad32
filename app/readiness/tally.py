"""How many webhooks are taken and refused: counted in memory, added to the database now and then.

A flood of forged webhooks thus costs no statement each. `refused_ours` are those that name one of our attempts or
our account: only they can come from the provider, so only they say that a setting is wrong.
"""

from __future__ import annotations

from collections import Counter

from app.kernel.db import run
from app.kernel.house import House


class Tally:
    """One a web process."""

    def __init__(self) -> None:
        self._new: Counter[str] = Counter()

    def taken(self) -> None:
        self._new["taken"] += 1

    def refused(self, *, ours: bool) -> None:
        self._new["refused"] += 1
        if ours:
            self._new["refused_ours"] += 1

    async def write(self, house: House) -> None:
        """Adds what is new to the database; what cannot be written is kept for the next time."""
        new, self._new = self._new, Counter()
        if not new:
            return
        try:
            async with house.db.begin() as session:
                await run(
                    session,
                    """INSERT INTO webhook_count (minute, kind, many)
                       SELECT date_trunc('minute', CAST(:now AS timestamptz)), c.kind, c.many
                       FROM unnest(CAST(:kinds AS text[]), CAST(:many AS int[])) AS c (kind, many)
                       ON CONFLICT (minute, kind) DO UPDATE SET many = webhook_count.many + excluded.many""",
                    {"now": house.clock.now(), "kinds": list(new), "many": list(new.values())},
                )
                await run(
                    session,
                    """WITH old AS (
                         DELETE FROM webhook_count
                         WHERE minute < :now - interval '1 hour' AND minute > 'epoch' RETURNING kind, many)
                       INSERT INTO webhook_count (minute, kind, many)
                       SELECT CAST('epoch' AS timestamptz), kind, sum(many) FROM old GROUP BY kind
                       ON CONFLICT (minute, kind) DO UPDATE SET many = webhook_count.many + excluded.many""",
                    {"now": house.clock.now()},
                )
        except Exception:
            self._new.update(new)
            raise
