"""Where a process can be stopped from outside, by what it waits for in the database."""

from __future__ import annotations

from tests.fleet import Fleet

HELD_DELIVERY = """
SELECT 1 FROM delivery d JOIN person p ON p.id = d.person_id WHERE p.employee_id = %s FOR UPDATE OF d"""
"""Nobody can mark this person's message as being handed over, nor the others of its chunk."""


def waiting_for_a_lock(muster: Fleet, words: str) -> int:
    """How many connections wait for somebody's lock with a statement like this."""
    [[found]] = muster.ask(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s", f"%{words}%"
    )
    return int(found)
