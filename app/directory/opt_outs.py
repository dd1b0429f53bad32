"""An opt-out recorded on somebody's behalf, and its undoing: who did it and why is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.directory import repository, service
from app.directory.folding import fold
from app.directory.spellings import spellings
from app.kernel import audit
from app.kernel.clock import Clock
from app.kernel.errors import Conflict, FieldError, Invalid, NotFound

MOST_REASON = 500


@dataclass(frozen=True)
class Changed:
    """What became of it. `point` is the contact point as `list_people` gives it; `person` our key; `numbers` every
    spelling of the address. `new` is false when it was so already."""

    point: dict[str, Any]
    person: int
    numbers: tuple[str, ...]
    new: bool


async def opt_out(
    session: AsyncSession, clock: Clock, actor: Actor, employee_id: str, kind: str, reason: str
) -> Changed:
    """No more texts to this number, or mails to this address, as if its holder had said STOP.

    Everybody who shares the number is meant. Once is as good as twice. Raises NotFound, also for somebody of another
    department, and Invalid without a reason.
    """
    return await _change(session, clock, actor, employee_id, kind, reason, out=True)


async def opt_in(
    session: AsyncSession, clock: Clock, actor: Actor, employee_id: str, kind: str, reason: str
) -> Changed:
    """Undoes an opt-out that was recorded here. Raises Conflict where the holder opted out: the carrier holds that."""
    return await _change(session, clock, actor, employee_id, kind, reason, out=False)


async def _change(
    session: AsyncSession, clock: Clock, actor: Actor, employee_id: str, kind: str, reason: str, *, out: bool
) -> Changed:
    point = await repository.contact_point(session, employee_id, kind)
    if point is None or (actor.department and fold(actor.department) != fold(point["department"])):
        raise NotFound(
            f"There is no {kind[:20]} contact for employee id {employee_id[:100]}. Check the id and the kind."
        )
    reason = _checked(reason)
    now = clock.now()
    numbers = (point["address"],) if kind == "email" else tuple(spellings(point["address"]))
    channel = "email" if kind == "email" else "sms"
    if out:
        new = await repository.opt_out(session, numbers, channel, now, account_id=actor.account_id)
    else:
        new = await repository.opt_in(session, numbers, channel)
    if new:
        note = await repository.add_contact_note(
            session, point["person_id"], kind, reason, opted_out=out, account_id=actor.account_id, at=now
        )
        await audit.append(
            session,
            stream=audit.SYSTEM,
            at=now,
            actor=actor.label,
            kind="contact_point.opted_out" if out else "contact_point.opted_in",
            data={"person": point["person_id"], "contact_point": point["id"], "contact_note": note},
        )
    person = await service.get_person(session, employee_id)
    shown: dict[str, Any] = next(entry for entry in person["contact_points"] if entry["kind"] == kind)
    if not out and "opted_out" in shown["suppressed"]:
        raise Conflict("They opted out themselves. Only they can undo that, by texting START to our number.")
    return Changed(shown, int(point["person_id"]), numbers, new)


def _checked(reason: str) -> str:
    said = " ".join(reason.split())
    if not said:
        raise Invalid(
            "The opt-out cannot be changed.",
            [FieldError("reason", "is required; say in a few words why, such as: asked us by text")],
        )
    if len(said) > MOST_REASON:
        raise Invalid(
            "The opt-out cannot be changed.",
            [FieldError("reason", f"has {len(said)} characters; use at most {MOST_REASON}")],
        )
    return said
