"""Whose turn it is: one holder at a time, kept with few statements, lost by who sleeps."""

from __future__ import annotations

from app.kernel.db import Database, run
from app.kernel.leases import Turn
from tests.statements import statements


class Watch:
    """A clock that moves when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def given_away(db: Database) -> None:
    """As if the lease had ended: whoever asks next has it."""
    async with db.begin() as session:
        await run(session, "UPDATE lease SET until = clock_timestamp() - interval '1 second'")


async def test_one_has_the_turn_until_the_lease_ends(db: Database) -> None:
    first, second = (Turn(db, "job", name, seconds=5, watch=Watch()) for name in ("a", "b"))
    assert await first.ours()
    assert not await second.ours()
    await given_away(db)
    assert await second.ours()


async def test_who_was_stopped_for_longer_than_half_a_lease_asks_before_acting(db: Database) -> None:
    watch = Watch()
    first, second = Turn(db, "job", "a", seconds=5, watch=watch), Turn(db, "job", "b", seconds=5)
    assert await first.ours()
    await given_away(db)
    assert await second.ours()
    watch.now += 2.5
    assert not await first.ours()
    await given_away(db)
    assert await first.ours()


async def test_the_first_half_of_a_lease_is_not_asked_about(db: Database) -> None:
    watch = Watch()
    turn = Turn(db, "job", "a", seconds=5, watch=watch)
    with statements(db) as asked:
        for _ in range(10):
            assert await turn.ours()
            watch.now += 0.5
    assert len(asked) == 2
