"""The database's disk is full in the middle of a send.

What must hold: it is shown, nothing that was confirmed is lost, nobody gets a message twice by the carrier's own count,
and all of it goes on when there is room again.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kernel.postgres import EmbeddedPostgres
from tests.installation import Installation, installation, shown, told

pytestmark = [pytest.mark.slow, pytest.mark.faults]

DISK = "250m"


def a_small_disk(data: Path) -> Path:
    """Puts that folder's embedded database on a disk of its own; returns where that is. Needs the right to mount."""
    embedded = EmbeddedPostgres(data)
    embedded.start()
    cluster = embedded.folder
    embedded.stop()
    kept = cluster.with_name("kept")
    cluster.rename(kept)
    cluster.mkdir(mode=0o700)
    size = ["-o", f"size={DISK},mode=0700"]
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *size, "tmpfs", str(cluster)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        cluster.rmdir()
        kept.rename(cluster)
        embedded.start()
        embedded.discard()
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    subprocess.run(["cp", "-a", f"{kept}/.", str(cluster)], check=True)
    shutil.rmtree(kept)
    return cluster


@pytest.fixture
def disk() -> Iterator[list[Path]]:
    mounted: list[Path] = []
    yield mounted
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def accepted(muster: Installation) -> int:
    return int(muster.stats()["accepted"])


def test_a_full_disk_is_shown_loses_nothing_and_passes(disk: list[Path]) -> None:
    """Disk full: `/readyz` says that nothing would go out, an alarm says why, and with room again all of it goes on."""
    if not shutil.which("mount"):
        pytest.skip("there is no mount command here")
    with installation(before=lambda data: disk.append(a_small_disk(data))) as muster:
        muster.hire()
        bulletin = muster.prepare()
        muster.slow_carrier(300)
        muster.call("POST", f"{bulletin}/send", json={})
        muster.until(lambda: accepted(muster) >= 60, seconds=60)
        fill(disk[0])
        muster.until(lambda: not muster.ready(), seconds=30)
        muster.until(lambda: "disk is nearly full" in muster.log.read_text(), seconds=30)
        time.sleep(5)
        (disk[0] / "ballast").unlink()

        def settled() -> bool:
            counts = muster.board(bulletin).get("counts")
            return bool(counts and counts["pending"] == 0)

        print(f"settled {muster.until(settled, seconds=120):.1f} s after there was room")
        items = muster.recipients(bulletin)
        reachable = [item for item in items if item["reason"] != "no usable contact point"]
        board, stats = muster.board(bulletin), muster.stats()
        assert board["counts"]["waiting"] == len(reachable), shown(board)
        assert stats["duplicates"] == stats["email_duplicates"] == 0, shown(stats)
        found = muster.carrier.get("/simulator/messages").json()["messages"]
        assert sorted(told(items)) == sorted(message["sid"] for message in found)


def fill(place: Path) -> None:
    """Leaves no room at all."""
    with (place / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12):
            try:
                while ballast.write(b"\0" * size):
                    pass
            except OSError:
                continue
