"""Can we reach people right now? Each thing that a send needs, with what to do where it is lacking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.channels.port import Providers
from app.directory import service as directory
from app.kernel import migrate
from app.kernel.db import row
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.readiness import service


@dataclass(frozen=True)
class Finding:
    """`ok` None: nothing wrong, but worth knowing."""

    name: str
    ok: bool | None
    detail: str

    def line(self) -> str:
        mark = {True: "ok", False: "NO", None: "note"}[self.ok]
        return f"{mark:>4}  {self.name}: {self.detail}"


async def examine(house: House, providers: Providers, url: str, *, silent: Sequence[str] = ()) -> list[Finding]:
    """Everything in the order in which an operator would mend it.

    `silent` are the settings for hearing of Muster's own trouble that are not set.
    """
    if not await house.db.ready():
        return [Finding("database", False, "it does not answer; start it, or check MUSTER_DATABASE_URL")]
    found = [Finding("database", True, "it answers")]
    if not await asyncio.to_thread(migrate.is_current, url):
        found.append(Finding("schema", False, "it is not up to date; run: muster migrate"))
        return found
    found.append(Finding("schema", True, "up to date"))
    if house.simulated:
        found.append(
            Finding("providers", None, "none is set up: the simulator stands in and nobody real is told anything")
        )
    for channel, (ok, detail) in (await service.probe(house, providers)).items():
        found.append(Finding(channel, ok, detail))
    for channel, setting in (("sms", "MUSTER_TWILIO_ACCOUNT_SID"), ("email", "MUSTER_SMTP_URL")):
        if channel not in house.channels:
            detail = f"no provider; people are not tried this way. Set {setting} and the rest"
            found.append(Finding(channel, None, detail))
    ready = await service.ready(house)
    worker = ready["checks"]["worker"]
    found.append(Finding("worker", worker["ok"], worker["detail"]))
    problems = await playbooks.sync(house)
    async with house.db.begin() as session:
        known = await playbooks.all_current(session)
        countries = await directory.countries(session)
        people = await row(session, "SELECT count(*) AS n FROM person WHERE active")
        lost = await directory.unreachable_people(session, channels=house.channels, countries=house.countries)
    found += [Finding("playbook", False, str(problem)) for problem in problems]
    found.append(
        Finding("playbooks", bool(known), f"{len(known)} ready to be declared" if known else
                f"none in {house.playbooks_dir}; set MUSTER_PLAYBOOKS_DIR")
    )  # fmt: skip
    count = int(people["n"]) if people else 0
    found.append(
        Finding("people", count > 0, f"{count} active" if count else "nobody; run: muster people import FILE.csv")
    )
    if count:
        named = ", ".join(f"{iso} {many}" for iso, many in countries.items()) or "no numbers"
        allowed = "any of these" if house.countries is None else ", ".join(house.countries)
        found.append(Finding("countries", None, f"{named}; texts may go to {allowed}"))
    if silent:
        found.append(
            Finding("alarms", None, f"nobody hears of Muster's own trouble this way: {', '.join(silent)} not set")
        )
    if lost:
        found.append(
            Finding("unreachable", None, f"{len(lost)} people have no working channel; ask their department leads: "
                    + ", ".join(entry["id"] for entry in lost[:10]) + (" ..." if len(lost) > 10 else ""))
        )  # fmt: skip
    return found
