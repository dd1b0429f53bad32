"""A person's response to a delivery: every act is kept, the latest counts, and the ladder stops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.incidents import timeline
from app.kernel.db import notify, row, run

HELP = "need_help"


@dataclass(frozen=True)
class Act:
    """One acknowledgment. `at` is when the person answered; `account_id` is who recorded it on their behalf."""

    response: str
    via: str
    at: datetime
    account_id: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class Recorded:
    """What became of an act. `response` is what stands now; `latest` is false when a later act was known already.

    `counted` is false for what an all-clear does not ask for: nothing was kept, and nothing changed.
    """

    delivery_id: int
    incident_id: int
    incident_key: str
    bulletin_id: int
    person_id: int
    before: str | None
    response: str
    late: bool
    latest: bool
    counted: bool = True


async def respond(session: AsyncSession, delivery_id: int, act: Act, *, now: datetime, actor: str) -> Recorded | None:
    """Records the act and makes it the delivery's response, unless a later one is known. None: no such delivery.

    An all-clear asks for nothing: of its readers only a request for help is kept.

    Late means after the incident was closed or the bulletin replaced; it is kept and counted all the same.
    """
    found = await row(
        session,
        """SELECT d.id, d.incident_id, d.bulletin_id, d.person_id, d.response, d.responded_at, i.key, b.number, b.asks,
                  (i.closed_at IS NOT NULL OR d.cancel_reason IS NOT DISTINCT FROM 'superseded') AS late
           FROM delivery d JOIN incident i ON i.id = d.incident_id JOIN bulletin b ON b.id = d.bulletin_id
           WHERE d.id = :id AND b.sent_at IS NOT NULL FOR NO KEY UPDATE OF d""",
        {"id": delivery_id},
    )
    if found is None:
        return None
    if not found["asks"] and act.response != HELP:
        return Recorded(
            delivery_id, found["incident_id"], found["key"], found["bulletin_id"], found["person_id"],
            found["response"], act.response, late=False, latest=False, counted=False,
        )  # fmt: skip
    await run(
        session,
        """INSERT INTO acknowledgment (delivery_id, response, via, at, recorded_at, account_id, note, late)
           VALUES (:delivery, :response, :via, :at, :now, :account, :note, :late)""",
        {
            "delivery": delivery_id, "response": act.response, "via": act.via, "at": act.at, "now": now,
            "account": act.account_id, "note": act.note, "late": found["late"],
        },
    )  # fmt: skip
    latest = found["responded_at"] is None or act.at >= found["responded_at"]
    if latest:
        await run(
            session,
            """UPDATE delivery SET response = :response, responded_via = :via, responded_at = :at,
                      next_rung = NULL, next_step_at = NULL, next_tell_rung = NULL, next_tell_at = NULL
               WHERE id = :id""",
            {"response": act.response, "via": act.via, "at": act.at, "id": delivery_id},
        )
    await timeline.note(
        session,
        key=found["key"],
        at=now,
        actor=actor,
        kind="acknowledged" if found["response"] is None else "answer_changed",
        data={
            "bulletin": found["number"],
            "person": found["person_id"],
            "response": act.response,
            "via": act.via,
            "late": found["late"],
        },
    )
    await notify(session, "muster_board", str(found["bulletin_id"]))
    return Recorded(
        delivery_id, found["incident_id"], found["key"], found["bulletin_id"], found["person_id"],
        found["response"], act.response if latest else str(found["response"]), bool(found["late"]), latest,
    )  # fmt: skip
