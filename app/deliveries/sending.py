"""Send and cancel: one transaction that makes everybody's delivery and the job, or nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.bulletins import service as bulletins
from app.bulletins import whom
from app.deliveries import planning, proof
from app.deliveries.repository import BOARD_CHANNEL
from app.incidents import service as incidents
from app.incidents import timeline, versions
from app.kernel.db import notify, recount
from app.kernel.errors import Conflict
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.playbooks import stages
from app.web.etags import Seen
from app.web.inputs import iso

DISPATCH_JOB = "deliveries.dispatch"

QUIET_BEYOND = timedelta(days=3)
"""Quiet hours are worked out for so long after the ladder's last step: nothing of it waits longer to be sent."""


async def send(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    number: int,
    *,
    confirm: bool = False,
    seen: Seen | None = None,
) -> dict[str, Any]:
    """Sends an approved bulletin to everybody in its audiences, or to whom `for_those_told` says. A second send
    changes nothing. `seen`: the state that was looked at; Changed when it is not the present one any more.

    Raises Conflict before approval, after a newer bulletin, for a closed incident, and for more people than may be
    told, or were told the same words lately, without `confirm`.
    """
    incident = await incidents.get(session, key, lock=True)
    bulletin = await bulletins.get(session, incident["id"], number, lock=True)
    about = versions.bulletin_subject(number, seen)
    mine = bulletin["state"] == "sent" and bulletin["sent_by"] == actor.account_id
    await versions.hold(session, key, seen, about, actor=actor, doing=("bulletin_sent",), done=mine)
    if bulletin["state"] == "sent" or (bulletin["state"] == "cancelled" and bulletin["sent_at"] is not None):
        return await bulletins.show(session, house, incident, bulletin)
    _refuse(incident, bulletin)
    if incident["simulated"] and not house.simulated:
        raise Conflict(
            f"{key} was declared for practice, and its facts may be made up. Messages from here reach real people now: "
            "declare the incident again."
        )
    sent = [b["number"] for b in await bulletins.of_incident(session, incident["id"]) if b["sent_at"]]
    if sent and max(sent) > number:
        raise Conflict(f"Bulletin {max(sent)} has gone out already, so {number} is out of date; write a new one.")
    playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
    if not confirm and (again := await bulletins.repeats(session, house, playbook, bulletin)):
        raise Conflict(
            f"Bulletin {again.bulletin}, sent by {again.by} at {iso(again.sent_at)}, told {again.people:,} of these "
            "people the same words. To send them again all the same, "
            'confirm it ("confirm": true, or --confirm).',
            repeats={"bulletin": again.bulletin, "sent_at": iso(again.sent_at), "people": again.people},
        )
    now = house.clock.now()
    steps = [
        planning.Rung(step.send, step.tell, step.after.total_seconds() / house.time_scale)
        for step in stages.steps(playbook, incident["severity"], asking=bulletin["asks"])
    ]
    if whom.for_those_told(bulletin):
        await planning.lock_incident(session, incident["id"])
    members = whom.members(playbook, bulletin, told=True)
    last = timedelta(seconds=max((step.seconds for step in steps), default=0.0))
    quiet = await whom.quiet_windows(
        session, house, playbook.quiet_for(incident["severity"]), members, since=now, until=now + last + QUIET_BEYOND
    )
    total = await planning.plan(
        session, bulletin=bulletin, members=members, steps=steps,
        channels=[channel for channel in house.channels if any(step.channel == channel for step in steps)],
        countries=house.countries, now=now, quiet=[planning.Quiet(*window) for window in quiet],
    )  # fmt: skip
    # That it is over may concern nobody: what was queued before is stopped all the same.
    if not total and not whom.for_those_told(bulletin):
        raise Conflict("Nobody would get this bulletin: import people first, or choose other audiences.")
    if total > house.confirm_above and not confirm:
        raise Conflict(
            f"This goes to {total:,} people, which is more than {house.confirm_above:,}. Look once more at who gets "
            'it; then confirm it ("confirm": true, or --confirm).',
            recipients=total,
            confirm_above=house.confirm_above,
        )
    replaced = await planning.replace_earlier(
        session, incident_id=incident["id"], bulletin=bulletin, everybody=bulletin["stage"] == "resolved", now=now
    )
    await bulletins.mark_sent(session, bulletin["id"], by=actor.account_id, now=now)
    await incidents.adopt_facts(session, incident["id"], bulletin["facts"])
    await timeline.note(
        session, key=key, at=now, actor=actor.label, kind="bulletin_sent",
        data={"bulletin": number, "stage": bulletin["stage"], "recipients": total, "replaced": replaced},
        also=[proof.of_send(bulletin["id"])],
    )  # fmt: skip
    await house.jobs.defer(session, DISPATCH_JOB, bulletin_id=bulletin["id"])
    await notify(session, BOARD_CHANNEL, str(bulletin["id"]))
    await recount(session, "delivery", "attempt", added=total)
    return await bulletins.show(session, house, incident, await bulletins.get(session, incident["id"], number))


def _refuse(incident: RowMapping, bulletin: RowMapping) -> None:
    number = bulletin["number"]
    if bulletin["state"] == "cancelled":
        raise Conflict(f"Bulletin {number} was cancelled; write a new one.")
    if incident["closed_at"] is not None:
        raise Conflict(f"{incident['key']} is closed; nothing more can be sent under it.")
    if bulletin["state"] != "approved":
        raise Conflict(f"Bulletin {number} is not approved yet; approve it first.")


async def cancel(
    session: AsyncSession, house: House, actor: Actor, key: str, number: int, *, seen: Seen | None = None
) -> dict[str, Any]:
    """Stops what has not been handed over. What people already have stays with them, and their answers count."""
    incident = await incidents.get(session, key, lock=True)
    bulletin = await bulletins.get(session, incident["id"], number, lock=True)
    about = versions.bulletin_subject(number, seen)
    done = bulletin["state"] == "cancelled"
    await versions.hold(session, key, seen, about, actor=actor, doing=("bulletin_cancelled",), done=done)
    now = house.clock.now()
    if await bulletins.mark_cancelled(session, bulletin["id"], now=now):
        stopped = await planning.stop(session, bulletin["id"], reason="cancelled", now=now)
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="bulletin_cancelled",
            data={"bulletin": number, "stopped": stopped},
        )  # fmt: skip
        await notify(session, BOARD_CHANNEL, str(bulletin["id"]))
    return await bulletins.show(session, house, incident, await bulletins.get(session, incident["id"], number))
