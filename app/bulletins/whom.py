"""Who a bulletin goes to: the audiences of its playbook, or those who may have an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulletins import repository
from app.directory.audiences import AudienceSpec, members_sql
from app.kernel.house import House
from app.playbooks import rules
from app.playbooks.schema import Playbook, QuietHours


def audience_specs(playbook: Playbook, chosen: Sequence[str], facts: Mapping[str, Any]) -> list[AudienceSpec]:
    """The chosen audiences with `$fact` sites filled in; a sites fact that was left out means every site."""
    specs = []
    for name in chosen:
        audience = playbook.audiences[name]
        sites: Any = audience.sites
        if isinstance(sites, str):
            value = facts.get(sites.removeprefix("$"))
            sites = [value] if isinstance(value, str) else value
        narrowed = (audience.departments, sites, audience.titles, audience.shifts)
        specs.append(
            AudienceSpec(
                name,
                departments=tuple(audience.departments or ()),
                sites=tuple(sites or ()),
                titles=tuple(audience.titles or ()),
                shifts=tuple(audience.shifts or ()),
                people=tuple(audience.people or ()),
                # An audience of "every site" alone is everybody.
                everyone=audience.everyone or (isinstance(audience.sites, str) and not any(narrowed)),
            )
        )
    return specs


def for_those_told(bulletin: Mapping[str, Any] | RowMapping) -> bool:
    """Whether it closes what people were told: that it is over, or was wrong, concerns exactly those who heard it."""
    return bulletin["stage"] == "resolved" or bulletin["corrects"] is not None


def members(playbook: Playbook, bulletin: RowMapping, *, told: bool) -> tuple[str, dict[str, Any]]:
    """(SELECT, parameters) of who gets it: `person_id`, `audience`, `language`.

    `told`: an earlier bulletin was sent. Until then a preview shows whom this one would close it for.
    """
    if told and for_those_told(bulletin):
        return repository.told_sql(bulletin["incident_id"], bulletin["number"], bulletin["audiences"])
    return members_sql(audience_specs(playbook, bulletin["audiences"], bulletin["facts"]))


async def quiet_windows(
    session: AsyncSession, house: House, quiet: QuietHours | None, members: tuple[str, dict[str, Any]],
    *, since: datetime, until: datetime,
) -> list[tuple[str, datetime, datetime]]:  # fmt: skip
    """(time zone as the directory spells it, start, end) of the quiet hours of those meant; empty without `quiet`."""
    if quiet is None:
        return []
    return [
        (zone, start, end)
        for zone in await repository.zones(session, members)
        for start, end in rules.windows(quiet, rules.zone_of(zone, house.zone), since, until)
    ]
