"""What one person's staff page says: the bulletin in their words, their title's waterline, how their answer stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row
from app.kernel.house import House
from app.playbooks import facts as fact_rules
from app.playbooks import service as playbooks
from app.playbooks.due import promised
from app.playbooks.schema import Waterline
from app.playbooks.template import render as substitute

TWICE_SECONDS = 30.0
"""The same words from the same page within this time are one press that the network repeated."""


@dataclass(frozen=True)
class StaffPage:
    """Everything the page shows. `delivery` is the row of `find`; texts have their facts filled in."""

    delivery: RowMapping
    happened: str
    say: list[str]
    do_not_say: list[str]
    paper: str | None
    waterline: Waterline
    language: str
    next_update: datetime | None
    newer: str | None = None


async def find(session: AsyncSession, delivery_id: int) -> RowMapping | None:
    """The delivery with its bulletin, incident and person; None unless its bulletin was sent. Reads only."""
    return await row(
        session,
        """
        SELECT d.id, d.person_id, d.audience, d.language, d.response, d.responded_via, d.responded_at, d.cancel_reason,
               p.name, p.title AS job, p.active, b.number, b.stage, b.asks, b.severity, b.facts, b.sent_at,
               b.state AS bulletin_state, i.id AS incident_id, i.key, i.title, i.drill, i.simulated, i.closed_at,
               i.revision_id,
               (SELECT n.id FROM delivery n JOIN bulletin nb ON nb.id = n.bulletin_id
                WHERE n.incident_id = d.incident_id AND n.person_id = d.person_id AND nb.number > b.number
                  AND nb.state = 'sent' ORDER BY nb.number DESC LIMIT 1) AS newer_id,
               h.id AS help_id, owner.name AS help_owner, h.taken_at AS help_taken_at
        FROM delivery d JOIN person p ON p.id = d.person_id
        JOIN bulletin b ON b.id = d.bulletin_id JOIN incident i ON i.id = d.incident_id
        LEFT JOIN help_request h ON h.incident_id = d.incident_id AND h.person_id = d.person_id
          AND h.closed_at IS NULL
        LEFT JOIN account owner ON owner.id = h.taken_by
        WHERE d.id = :id AND b.sent_at IS NOT NULL
        ORDER BY h.id DESC NULLS LAST LIMIT 1
        """,
        {"id": delivery_id},
    )


async def show(session: AsyncSession, house: House, delivery: RowMapping) -> StaffPage:
    """The page's words, from the revision that the incident was declared under and the facts that were sent."""
    playbook = (await playbooks.revision(session, delivery["revision_id"])).playbook
    own = playbook.script(delivery["stage"], delivery["audience"])
    script = own.in_language(delivery["language"])
    texts = fact_rules.fact_texts(
        playbook, delivery["facts"], zone=house.zone, now=house.clock.now(), severity=delivery["severity"],
        incident=delivery["key"],
    )  # fmt: skip
    return StaffPage(
        delivery=delivery,
        happened=substitute(script.what_happened, texts),
        say=[substitute(line, texts) for line in script.say],
        do_not_say=[substitute(line, texts) for line in script.do_not_say],
        paper=substitute(script.paper, texts) if script.paper else None,
        waterline=playbook.waterline_for(delivery["job"]),
        language=delivery["language"] if script is not own else playbook.language,
        next_update=promised(playbook, delivery["facts"]),
        newer=house.signer.link_token(delivery["newer_id"]) if delivery["newer_id"] else None,
    )


async def said_just_now(session: AsyncSession, delivery: RowMapping, text: str, now: datetime) -> bool:
    """Whether these very words came from this person's page a moment ago."""
    found = await row(
        session,
        """SELECT 1 FROM field_report WHERE incident_id = :incident AND person_id = :person AND via = 'page'
           AND text = :text AND at > :since LIMIT 1""",
        {
            "incident": delivery["incident_id"], "person": delivery["person_id"], "text": text,
            "since": now - timedelta(seconds=TWICE_SECONDS),
        },
    )  # fmt: skip
    return found is not None


def answered_just_now(delivery: RowMapping, response: str, now: datetime) -> bool:
    """Whether this very answer was given on the page a moment ago: a second press of the same button adds nothing."""
    return bool(
        delivery["response"] == response
        and delivery["responded_via"] == "page"
        and now - delivery["responded_at"] < timedelta(seconds=TWICE_SECONDS)
    )
