"""People who have not answered, for whoever was told of them: who they are, where to call, and what they said."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.deliveries.models import RESPONSES
from app.deliveries.responses import Act
from app.deliveries.telling import KIND
from app.kernel.db import row, rows
from app.kernel.errors import FieldError, Invalid, NotFound
from app.kernel.house import House
from app.replies import behalf, service
from app.replies.behalf import MAX_NOTE, VIAS

__all__ = ["KIND", "MOST", "of_notice", "record"]

MOST = 500
"""How many a page names; of more the board has the list."""


async def of_notice(session: AsyncSession, notice_id: int) -> Sequence[RowMapping]:
    """The people whom a notice is about, the unanswered first; each with `in_all` and `open_in_all`.

    A number is there only while it is needed: nobody has answered on that person's behalf, and nothing was stopped.
    """
    return await rows(
        session,
        """
        SELECT each.*, count(*) OVER () AS in_all, count(*) FILTER (WHERE each.open) OVER () AS open_in_all,
               CASE WHEN each.open THEN (
                 SELECT c.address FROM contact_point c WHERE c.person_id = each.person_id
                   AND c.kind IN ('mobile', 'phone') ORDER BY c.position LIMIT 1) END AS number
        FROM (
          SELECT d.id, p.id AS person_id, v.name, v.title AS job, v.site, dep.name AS department, b.number AS bulletin,
                 d.response, d.responded_via, d.responded_at, a.name AS recorded_by, b.sent_at,
                 (d.response IS NULL AND d.cancelled_at IS NULL AND b.state = 'sent' AND p.active) AS open
          FROM escalation e JOIN delivery d ON d.id = e.delivery_id JOIN bulletin b ON b.id = d.bulletin_id
          JOIN person p ON p.id = d.person_id JOIN person_version v ON v.id = d.person_version_id
          JOIN department dep ON dep.id = v.department_id
          LEFT JOIN LATERAL (
            SELECT k.account_id FROM acknowledgment k WHERE k.delivery_id = d.id ORDER BY k.at DESC, k.id DESC LIMIT 1
          ) k ON true
          LEFT JOIN account a ON a.id = k.account_id
          WHERE e.notice_id = :notice
        ) each ORDER BY each.open DESC, each.name, each.id LIMIT :most
        """,
        {"notice": notice_id, "most": MOST},
    )


async def record(
    session: AsyncSession, house: House, actor: Actor, *, notice_id: int, delivery_id: int, response: str, via: str,
    note: str, had: str | None = None,
) -> None:  # fmt: skip
    """Records what somebody said to the one who was told of them, whatever that one's role and department.

    Raises NotFound for a person whom the notice is not about, and Invalid naming what is missing.
    """
    found = await row(
        session,
        "SELECT 1 AS one FROM escalation WHERE notice_id = :notice AND delivery_id = :delivery LIMIT 1",
        {"notice": notice_id, "delivery": delivery_id},
    )
    if found is None:
        raise NotFound("This message is not about that person.")
    errors = []
    if response not in RESPONSES:
        errors.append(FieldError("response", "choose what they said"))
    if via not in VIAS:
        errors.append(FieldError("via", "choose how you heard it"))
    if not note.strip():
        errors.append(FieldError("note", "write in a few words how you know"))
    if len(note) > MAX_NOTE:
        errors.append(FieldError("note", f"is longer than {MAX_NOTE} characters"))
    if errors:
        raise Invalid(f"Nothing was recorded yet: {'; '.join(error.message for error in errors)}.", errors)
    if await behalf.recorded_before(session, delivery_id, had, account_id=actor.account_id, response=response, via=via):
        return
    act = Act(response, via, house.clock.now(), actor.account_id, note.strip())
    await service.take_answer(session, house, delivery_id, act, actor=actor.label)
