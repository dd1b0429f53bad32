"""One text of somebody's, with whom it may come from, and what became of it: what every meaning needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.directory import service as directory
from app.kernel.house import House
from app.replies import reports, repository
from app.replies.models import Inbound, NewReport
from app.replies.questions import Question

LATE_DAYS = 7
"""How long after an incident was closed its people may still mean it."""


@dataclass(frozen=True)
class Text:
    """A text that was kept as `inbound_id`, and the people who have its number; more than one share a phone."""

    inbound: Inbound
    inbound_id: int
    people: Sequence[RowMapping]

    @property
    def ids(self) -> list[int]:
        return [int(person["person_id"]) for person in self.people]

    @property
    def only(self) -> int | None:
        """The one person who has this number, None when several do."""
        return self.ids[0] if len(self.people) == 1 else None

    @property
    def number(self) -> str:
        return self.inbound.sender

    @property
    def numbers(self) -> list[str]:
        """The number in all its spellings."""
        return list(directory.spellings(self.number))

    @property
    def carrier_word(self) -> str:
        """STOP, START or HELP when the carrier itself dealt with the text, otherwise ''."""
        return (self.inbound.opt_out_type or "").upper()

    def sent_at(self, house: House) -> datetime:
        return self.inbound.found_at or house.clock.now()


def drills(questions: Sequence[Question]) -> bool:
    """Whether drills are all that is going on for somebody."""
    return bool(questions) and all(question.drill for question in questions)


async def incident_of(
    session: AsyncSession, house: House, text: Text, *, closed_too: bool = False
) -> tuple[int, str] | None:
    """The open incident (id, key) that these people were last told about; `closed_too`: or one closed lately."""
    since = house.clock.now() - timedelta(days=LATE_DAYS) if closed_too else None
    found = await repository.latest_incident(session, text.ids, closed_since=since)
    return (found["id"], found["key"]) if found else None


async def report(
    session: AsyncSession, house: House, text: Text,
    *, maybe_help: bool = False, maybe_stop: bool = False, incident: tuple[int, str] | None = None,
) -> None:  # fmt: skip
    """Passes the words on, whole. From a shared phone they come from someone at this number.

    They belong to `incident` (id, key), or else to the one that these people were last told about.
    """
    if incident is None:
        incident = await incident_of(session, house, text, closed_too=True)
    kept = NewReport(
        text=text.inbound.body,
        via="sms",
        incident_id=incident[0] if incident else None,
        person_id=text.only,
        number=text.number,
        maybe_help=maybe_help,
        maybe_stop=maybe_stop,
        media=text.inbound.media,
        inbound_id=text.inbound_id,
    )
    await reports.add(session, house, kept, key=incident[1] if incident else None)
