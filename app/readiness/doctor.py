"""Can we reach people right now? Each thing that a send needs, with what to do where it is lacking."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from app.bulletins import service as bulletins
from app.bulletins.checks import ladder_findings
from app.bulletins.figures import BULK_SHARE
from app.channels.port import Examinable, Examined, Mailbox, Providers
from app.directory import service as directory
from app.directory.responsible import Responsible
from app.kernel import migrate
from app.kernel.clock import DatabaseClock
from app.kernel.db import row
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.playbooks.schema import SEVERITIES, Playbook
from app.readiness import service
from app.readiness.service import INBOUND_PATH

APART = timedelta(seconds=5)
"""Clocks that differ by more than this are worth a line; an HTTP date counts whole seconds."""


@dataclass(frozen=True)
class Finding:
    """`ok` None: nothing wrong, but worth knowing. `stops`: a send would not go out before it is mended."""

    name: str
    ok: bool | None
    detail: str
    stops: bool = False

    def line(self) -> str:
        mark = {True: "ok", False: "NO", None: "note"}[self.ok]
        return f"{mark:>4}  {self.name}: {self.detail}"


def verdict(found: Sequence[Finding]) -> str:
    """The last line: whether a send would go out."""
    stops = dict.fromkeys(entry.name for entry in found if entry.stops)
    if stops:
        return f"A send would not go out. What stops it: {', '.join(stops)}."
    wrong = sum(entry.ok is False for entry in found)
    return f"A send would go out{f', but {wrong} of these should be mended first' if wrong else ''}."


async def examine(
    house: House, providers: Providers, url: str, *, mailbox: Mailbox | None = None, silent: Sequence[str] = (),
    real: bool = False,
) -> list[Finding]:  # fmt: skip
    """Everything in the order in which an operator would mend it.

    `mailbox` is that of mail answers, None where none is set. `silent` are the settings for hearing of Muster's own
    trouble that are not set. `real`: some provider is not on this machine, so that it and people elsewhere must reach
    us.
    """
    if not await house.db.ready():
        return [Finding("database", False, "it does not answer; start it, or check MUSTER_DATABASE_URL", True)]
    found = [Finding("database", True, "it answers")]
    if not await asyncio.to_thread(migrate.is_current, url):
        found.append(Finding("schema", False, "it is not up to date; run: muster migrate", True))
        return found
    found.append(Finding("schema", True, "up to date"))
    found += await _channels(house, providers)
    found.append(await _mailbox(mailbox))
    found.append(_address(house.base_url, real=real))
    found.append(await _clock(house, providers))
    ready = await service.ready(house)
    worker = ready["checks"]["worker"]
    found.append(Finding("worker", worker["ok"], worker["detail"], not worker["ok"]))
    found += await _content(house)
    found += await _voice(house)
    if silent:
        found.append(
            Finding("alarms", None, f"nobody hears of Muster's own trouble this way: {', '.join(silent)} not set")
        )
    else:
        found.append(Finding("alarms", True, "Muster's own trouble is told by email and SMS, its silence is noticed"))
    return found


async def _channels(house: House, providers: Providers) -> list[Finding]:
    """Every channel's provider: whether it takes us, whether we may send as ourselves, whether answers come back."""
    found: list[Finding] = []
    if house.simulated:
        found.append(
            Finding("providers", None, "none is set up: the simulator stands in and nobody real is told anything")
        )
    # Nothing is recorded: these settings may be other ones than the workers', who know what holds for them.
    checks = {channel: (health.ok, health.detail) for channel, health in (await service.ask(providers)).items()}
    examined: dict[str, dict[str, Examined]] = {}
    for channel, provider in providers.by_channel.items():
        if checks[channel][0] and isinstance(provider, Examinable):
            examined[channel] = await provider.examine(house.base_url + INBOUND_PATH)
    usable = {
        channel
        for channel, (ok, _) in checks.items()
        if ok and ("sender" not in (parts := examined.get(channel, {})) or parts["sender"].ok is not False)
    }
    # One channel that works is enough for a send to go out.
    for channel, (ok, detail) in checks.items():
        if not ok and house.simulated:
            detail = "the simulator that stands in does not answer; start it with: muster up"
        found.append(Finding(channel, ok, detail, not ok and not usable))
        found += [
            Finding(f"{channel} {name}", part.ok, part.detail, name == "sender" and part.ok is False and not usable)
            for name, part in examined.get(channel, {}).items()
        ]
    for channel, setting in (("sms", "MUSTER_TWILIO_ACCOUNT_SID"), ("email", "MUSTER_SMTP_URL")):
        if channel not in house.channels:
            detail = f"no provider; people are not tried this way. Set {setting} and the rest"
            found.append(Finding(channel, None, detail))
    return found


async def _mailbox(mailbox: Mailbox | None) -> Finding:
    """Whether what people write back, and what servers send back, is read by anybody."""
    if mailbox is None:
        wrong = "bounces and mail answers go unread; set MUSTER_IMAP_URL to the mailbox that they arrive in"
        return Finding("mailbox", None, wrong)
    health = await mailbox.check()
    return Finding("mailbox", health.ok, health.detail)


async def _voice(house: House) -> list[Finding]:
    """Whether plans count on calls that nobody can make here."""
    if "voice" in house.channels:
        return []
    async with house.db.begin() as session:
        known = await playbooks.all_current(session)
    calling = sorted(
        revision.slug
        for revision in known
        if any(step.send == "voice" for severity in SEVERITIES for step in revision.playbook.ladder_for(severity))
    )
    if not calling:
        return []
    if "sms" in house.channels:
        what = "a Messaging Service cannot call; set MUSTER_TWILIO_VOICE_SENDER to a number of the account that can"
    else:
        what = "no provider; set MUSTER_TWILIO_ACCOUNT_SID and the rest"
    return [Finding("voice", None, f"{what}. Until then these playbooks go without their call: {', '.join(calling)}")]


def _address(base_url: str, *, real: bool) -> Finding:
    """Whether carriers and people's phones can open our address, by its shape alone."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if not real:
        return Finding("address", None, f"{base_url}; no provider elsewhere has to reach it")
    what = "receipts, answers and staff links would not work; set MUSTER_BASE_URL to the public https:// address"
    if not _public(host):
        return Finding("address", False, f"{base_url} is not public: {what}")
    if parts.scheme != "https":
        return Finding("address", False, f"{base_url} is not https: links could be read and changed on the way; {what}")
    return Finding("address", True, f"{base_url}; Twilio must be able to open it from outside")


def _public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.rstrip(".") and not host.endswith((".local", ".localhost", ".internal", ".lan", ".home"))


async def _clock(house: House, providers: Providers) -> Finding:
    """This machine's clock against the database's, by which everything goes, and that against the providers'."""
    database = await DatabaseClock().calibrate(house.db)
    for channel, provider in providers.by_channel.items():
        ahead = provider.ahead() if isinstance(provider, Examinable) else None
        if ahead is not None and abs(ahead - database) > APART:
            apart = _apart(database - ahead)
            return Finding("clock", False, f"the database's clock is {apart} the {channel} provider's; set the time of "
                           "the database's machine by NTP")  # fmt: skip
    if abs(database) > APART:
        return Finding("clock", None, f"this machine's clock is {_apart(-database)} the database's, by which Muster "
                       "goes; set it by NTP")  # fmt: skip
    return Finding("clock", True, "this machine, the database and the providers agree on the time")


def _apart(ahead: timedelta) -> str:
    seconds = ahead.total_seconds()
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"


async def _content(house: House) -> list[Finding]:
    """What is said and to whom: playbooks, people, countries, and who cannot be reached."""
    problems = await playbooks.sync(house)
    async with house.db.begin() as session:
        known = await playbooks.all_current(session)
        countries = await directory.countries(session)
        people = await row(session, "SELECT count(*) AS n FROM person WHERE active")
        names = {kind: frozenset(there) for kind, there in (await directory.names(session)).items()}
        gone = await bulletins.parts_today(session, now=house.clock.now())
        lost = await directory.unreachable_people(session, channels=house.channels, countries=house.countries)
        told = await directory.responsible(session)
        zones = await directory.zones(session)
    found = [Finding("playbook", False, str(problem)) for problem in problems]
    found.append(
        Finding("playbooks", bool(known), f"{len(known)} ready to be declared" if known else
                f"none in {house.playbooks_dir}; set MUSTER_PLAYBOOKS_DIR", not known)
    )  # fmt: skip
    found += _ladders(house, [revision.playbook for revision in known])
    count = int(people["n"]) if people else 0
    if not count:
        found.append(Finding("people", False, "nobody; run: muster people import FILE.csv", True))
        return found
    found.append(Finding("people", True, f"{count} active"))
    found.append(_told(told))
    found.append(_zones(zones, house))
    files = playbooks.files(house.playbooks_dir)
    nobody = await asyncio.to_thread(playbooks.unknown_names, files, playbooks.Known(**names))
    for _file, group in itertools.groupby(nobody, key=lambda problem: problem.file):
        first, *others = group
        more = f" (and {len(others)} more names in this file)" if others else ""
        found.append(Finding("playbook", None, f"{first}{more}"))
    named = ", ".join(f"{iso} {many}" for iso, many in countries.items()) or "no numbers"
    allowed = "any of these" if house.countries is None else ", ".join(house.countries)
    shut = [iso for iso in countries if house.countries is not None and iso not in house.countries]
    said = f"{named}; texts may go to {allowed}"
    if shut:
        said += f"; nobody in {', '.join(shut)} is texted, unless you add them to MUSTER_SMS_COUNTRIES"
    if house.sms_a_day is not None:
        found.append(_cap(gone, house.sms_a_day))
    found.append(Finding("countries", None, f"{said}. Allow the same in the provider's settings"))
    if lost:
        found.append(
            Finding("unreachable", None, f"{len(lost)} people have no working channel; ask their department leads: "
                    + ", ".join(entry["id"] for entry in lost[:10]) + (" ..." if len(lost) > 10 else ""),
                    len(lost) >= count)
        )  # fmt: skip
    return found


def _told(who: Responsible) -> Finding:
    """Whether somebody hears of people who need help or do not answer."""
    make = "make an account for one: muster tokens create NAME --role commander --person ID"
    if not who.commanders and not who.led:
        managers = "Only managers hear of who does not answer" if who.managed else "Nobody has a manager here either"
        what = f"nobody is told of people who need help: no commander or department lead is a person here; {make}."
        return Finding("told", False, f"{what} {managers}")
    if not who.commanders:
        what = "no commander is a person here, so who needs help in a department without a lead is told to nobody"
        return Finding("told", False, f"{what}; {make}")
    if who.unled:
        some = ", ".join(who.unled[:5]) + (f" and {len(who.unled) - 5} more" if len(who.unled) > 5 else "")
        what = (
            f"these departments have no lead who is a person here: {some}. Who needs help there is told to commanders, "
            "who does not answer only to the incident's own commander"
        )
        return Finding("told", None, what)
    return Finding("told", True, "every department has a lead, and commanders come after them")


def _zones(zones: directory.Zones, house: House) -> Finding:
    """Whether everybody's quiet hours are counted by their own clock."""
    if not zones.none:
        return Finding("time zones", True, "everybody has one")
    some = ", ".join(zones.some) + (" ..." if zones.none > len(zones.some) else "")
    if zones.unknown:
        named = ", ".join(f'"{zone}"' for zone in zones.unknown[:3]) + (" ..." if len(zones.unknown) > 3 else "")
        return Finding("time zones", False, f"{zones.none:,} people have no time zone that exists ({named}): {some}. "
                       f"Quiet hours go by {house.zone} for them; write IANA names in the people file and import it "
                       "again")  # fmt: skip
    return Finding("time zones", None, f"{zones.none:,} of {zones.people:,} people have none, so their quiet hours go "
                   f"by {house.zone} (MUSTER_TIME_ZONE): {some}")  # fmt: skip


def _cap(gone: int, cap: int) -> Finding:
    if gone < cap * BULK_SHARE:
        return Finding(
            "texts today", True, f"{gone:,} parts of the {cap:,} that MUSTER_SMS_PER_DAY allows within 24 hours"
        )
    wrong = (
        f"{gone:,} parts of {cap:,} are used up: bulletins take the next channel. Raise MUSTER_SMS_PER_DAY if you may"
    )
    return Finding("texts today", False, wrong)


def _ladders(house: House, known: Sequence[Playbook]) -> list[Finding]:
    """Every ladder by the channels that have a provider here: one that reaches nobody is found now, not at SEV1."""
    found: list[Finding] = []
    skipped: defaultdict[str, list[str]] = defaultdict(list)
    for playbook in known:
        deaf: defaultdict[str, list[str]] = defaultdict(list)
        for severity in SEVERITIES:
            for finding in ladder_findings(playbook.channels_for(severity), house.channels):
                if finding.level == "note":
                    skipped[finding.message].append(playbook.slug)
                else:
                    deaf[finding.message].append(severity)
        found += [
            Finding("ladder", False, f"{playbook.slug} at {', '.join(severities)} {message}")
            for message, severities in deaf.items()
        ]
    for message, slugs in skipped.items():
        named = list(dict.fromkeys(slugs))
        which = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        found.append(Finding("ladder", None, f"{message} ({which})"))
    if known and not any(finding.ok is False for finding in found):
        found.insert(0, Finding("ladders", True, "each reaches people by a channel that is set up here"))
    return found
