"""Records an answer, from whatever way it came, with the request for help that goes with it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.deliveries import service as deliveries
from app.deliveries.responses import Act, Recorded
from app.incidents import timeline
from app.kernel.house import House
from app.replies import help_requests, proof, reports, repository


async def take_answer(
    session: AsyncSession, house: House, delivery_id: int, act: Act, *, actor: str
) -> Recorded | None:
    """Records an answer from whatever way it came, and opens or withdraws the help request that goes with it."""
    now = house.clock.now()
    recorded = await deliveries.respond(session, delivery_id, act, now=now, actor=actor)
    if recorded is None or not recorded.latest:
        return recorded
    data = {"person": recorded.person_id}
    if recorded.response == "need_help":
        opened = await repository.open_help(
            session, incident_id=recorded.incident_id, delivery_id=delivery_id, person_id=recorded.person_id, now=now
        )
        if opened:
            await timeline.note(
                session, key=recorded.incident_key, at=now, actor=actor, kind="help_opened",
                data=data | {"help_request": opened}, also=[proof.of_help(opened)],
            )  # fmt: skip
            await help_requests.opened(session, house, opened)
        await reports.settle_by_answer(session, house, recorded, opened)
    elif recorded.before == "need_help":
        withdrawn = await repository.withdraw_help(
            session, incident_id=recorded.incident_id, person_id=recorded.person_id, now=now
        )
        if withdrawn:
            await timeline.note(
                session, key=recorded.incident_key, at=now, actor=actor, kind="help_withdrawn",
                data=data | {"help_request": withdrawn},
            )  # fmt: skip
    return recorded
