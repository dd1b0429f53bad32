"""What every room is given: the database, the time, the signer, the jobs, and how this installation is set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from app.kernel.clock import Clock
from app.kernel.db import Database
from app.kernel.ids import Signer
from app.kernel.jobs import Jobs

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class House:
    """Made once by `compose`. `channels` are those that can be used here; `countries` None means any.

    `sms_a_second` and `sms_a_day` are the sender's, in parts; None for no bound of ours; `sms_guess` is
    the rate that the provider is known to keep for such a sender. A send to more than
    `confirm_above` people must be confirmed. `time_scale` divides ladder, cadence, deadline and digit-race times;
    `settle_seconds` is never scaled. `disk` is a folder on the database's disk, when that is on this machine.
    """

    db: Database
    clock: Clock
    signer: Signer
    jobs: Jobs
    base_url: str
    playbooks_dir: Path
    channels: tuple[str, ...] = ("sms", "email")
    countries: tuple[str, ...] | None = None
    simulated: bool = True
    time_scale: float = 1.0
    settle_seconds: float = 60.0
    zone: ZoneInfo = UTC
    sms_a_second: float | None = None
    sms_a_day: int | None = None
    sms_guess: float | None = None
    confirm_above: int = 20_000
    disk: Path | None = None

    def link(self, delivery_id: int) -> str:
        """The staff link of one delivery."""
        return f"{self.base_url}/a/{self.signer.link_token(delivery_id)}"

    @property
    def link_length(self) -> int:
        return len(f"{self.base_url}/a/") + 20
