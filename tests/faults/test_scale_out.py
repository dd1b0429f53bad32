"""More workers and webs on one PostgreSQL: they share a send evenly, with the same counts."""

from __future__ import annotations

import pytest

from bench.scale_out import machines, share

pytestmark = [pytest.mark.slow, pytest.mark.faults]

PEOPLE = 3000


def test_three_workers_and_two_webs_share_a_send_evenly() -> None:
    """Each worker hands over between a fifth and somewhat less than a half; everybody is told once, all by receipt."""
    with machines(3, 2) as fleet:
        found = share(fleet, PEOPLE)
    print(found)
    assert (found.accepted, found.duplicates, found.waiting, found.delivered) == (PEOPLE, 0, PEOPLE, PEOPLE)
    assert len(found.shares) == 3
    assert all(0.20 * PEOPLE <= part <= 0.45 * PEOPLE for part in found.shares), found.shares
