"""SIGTERM in the middle of a send: what is under way is finished and recorded, streams end, within ten seconds."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx2
import psycopg
import pytest

from app.deliveries.states import NOT_DELIVERED, WITH_PROVIDER
from app.kernel.postgres import EmbeddedPostgres
from tests.installation import Installation, installation
from tests.patience import patience

pytestmark = [pytest.mark.slow, pytest.mark.faults]

WITHIN_SECONDS = 10.0


class Watcher(threading.Thread):
    """Somebody with the live board open."""

    def __init__(self, muster: Installation, key: str) -> None:
        super().__init__(daemon=True)
        self.muster, self.key = muster, key
        self.opened = threading.Event()
        self.ended: str | None = None

    def run(self) -> None:
        try:
            with self.muster.api.stream("GET", f"/api/v1/incidents/{self.key}/events", timeout=60) as answer:
                for _ in answer.iter_lines():
                    self.opened.set()
            self.ended = "whole"
        except httpx2.HTTPError as error:
            self.ended = type(error).__name__


def test_a_stop_in_the_middle_of_a_send_loses_nothing_and_is_quick() -> None:
    with installation() as muster:
        muster.hire()
        bulletin = muster.prepare()
        watcher = Watcher(muster, bulletin.split("/")[2])
        watcher.start()
        assert watcher.opened.wait(20)
        muster.slow_carrier(1000)  # so that many are under way when the stop comes
        muster.call("POST", f"{bulletin}/send", json={})
        muster.until(lambda: int(muster.stats()["accepted"]) >= 60, seconds=30)
        began = time.monotonic()
        muster.stop()
        took = time.monotonic() - began
        print(f"all of it ended after {took:.1f} s")
        assert muster.process is not None
        assert muster.process.returncode == 0
        assert took < patience(WITHIN_SECONDS)
        watcher.join(5)
        assert watcher.ended == "whole"
        states, alive = what_is_recorded(muster.folder / "data")
        # Nothing hangs between: what the carrier took is recorded, all else still waits in the queue.
        assert set(states) - {"queued"} <= WITH_PROVIDER | NOT_DELIVERED, states
        assert states["queued"] > 100
        assert alive == 0
        assert "Traceback" not in muster.log.read_text()


def what_is_recorded(data: Path) -> tuple[dict[str, int], int]:
    """How many texts are in each state, and how many workers are believed to live."""
    with EmbeddedPostgres(data) as url, psycopg.connect(url) as connection:
        found = connection.execute("SELECT state, count(*) FROM attempt WHERE channel = 'sms' GROUP BY 1").fetchall()
        [alive] = connection.execute("SELECT count(*) FROM worker_heartbeat").fetchall()
    return dict(found), alive[0]
