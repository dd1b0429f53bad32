"""Everything the board page shows, gathered once: for the page, for its live parts, for the list of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.pages import Visit
from app.board import page_chart, page_reads, page_words, repository, service
from app.bulletins import service as bulletins
from app.bulletins import writing
from app.deliveries.status import STATUSES
from app.directory.service import mask
from app.incidents import service as incidents
from app.kernel.house import House
from app.playbooks import service as playbooks
from app.replies import reports
from app.replies.help_requests import may_call
from app.web import time_field
from app.web.templating import Shown, render

LIST = 20
"""How many people, reports and entries the board shows before a link leads on."""

HELP_LIST = 50

PARTS = ("head", "writing", "account", "help", "departments", "curve", "people", "reports", "timeline")
"""The parts that are kept up to date, by the id of their element without `part-`."""

DONE = {
    "declared": "The incident is declared. Nobody has been told yet.",
    "sent": "The bulletin is on its way.",
    "cancelled": "The bulletin is cancelled. Whatever had gone out stays with people.",
    "changed": "Changed, with your reason on the timeline.",
    "closed": "The incident is closed.",
    "taken": "Assigned to you. Call the person: the number is on the list below.",
    "helped": "Closed. Thank you.",
    "opened": "A help request is open. Those who can help are being told.",
    "cleared": "Noted: not a call for help. The report stays in the list.",
    "answered": "The answer is recorded under your name.",
}


@dataclass(frozen=True)
class HelpRow:
    """An open help request on a page. `tel`: the number in full, for those who may see it; `masked`: for everybody."""

    request: page_reads.OpenHelp
    tel: str | None
    masked: str | None


@dataclass(frozen=True)
class Filters:
    """What the visitor looks at: a bulletin (the last one sent when None), and whom."""

    bulletin: int | None = None
    department: str | None = None
    status: str = "open"
    q: str = ""
    after: int | None = None

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Filters:
        """From a query string or hidden fields; what makes no sense is as if it were not there."""
        status = values.get("status", "open")
        return cls(
            bulletin=_whole(values.get("bulletin"), 1_000_000),
            department=values.get("department", "").strip()[:200] or None,
            status=status if status in page_words.FILTERS else "open",
            q=values.get("q", "").strip()[:200].replace("\0", ""),
            after=_whole(values.get("after"), 2**62),
        )

    @classmethod
    def of_request(cls, request: Request) -> Filters:
        return cls.of({name: value for name, value in request.query_params.items() if value.isprintable()})

    def pairs(self) -> dict[str, str]:
        """Only what differs from the ordinary view."""
        found = {
            "bulletin": str(self.bulletin or ""),
            "department": self.department or "",
            "status": "" if self.status == "open" else self.status,
            "q": self.q,
            "after": str(self.after or ""),
        }
        return {name: value for name, value in found.items() if value}

    def query(self, **changes: Any) -> str:
        """`?department=IT`, with `changes` made; a new choice starts the list from its beginning."""
        pairs = replace(self, **({"after": None} | changes)).pairs()
        return f"?{urlencode(pairs)}" if pairs else "?"


def _whole(text: str | None, most: int) -> int | None:
    if text and text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= most:
        return int(text)
    return None


async def load(session: AsyncSession, house: House, visit: Visit, key: str, filters: Filters) -> dict[str, Any]:
    """The whole board as its templates want it. Raises NotFound."""
    incident = await incidents.get(session, key)
    playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
    written = list(await bulletins.of_incident(session, incident["id"]))
    sent = [entry for entry in written if entry["sent_at"] is not None]
    level = playbook.severities[incident["severity"]]
    shown_bulletin = next((b for b in sent if b["number"] == filters.bulletin), sent[-1] if sent else None)
    department = visit.actor.department
    board = await service.board(session, key, shown_bulletin["number"]) if shown_bulletin else None
    help_open, help_total = await page_reads.open_help(session, incident["id"], department=department, limit=HELP_LIST)
    possible, possible_total = await reports.waiting(session, visit.actor, incident["id"], limit=HELP_LIST)
    heard, heard_total = await reports.of_incident(
        session, visit.actor, incident["id"], department=filters.department, limit=LIST
    )
    shown = Shown(house)
    context: dict[str, Any] = {
        "visit": visit,
        "shown": shown,
        "incident": dict(incident),
        "severity_means": level.means,
        "cadence": level.cadence,
        "open": incident["closed_at"] is None,
        "all_clear_missing": incidents.all_clear_missing(incident),
        "bulletins": [dict(entry) for entry in written],
        "sent": [dict(entry) for entry in sent],
        "draft": next((dict(b) for b in reversed(written) if b["state"] in ("draft", "approved")), None),
        "bulletin": dict(shown_bulletin) if shown_bulletin else None,
        "latest": shown_bulletin is not None and shown_bulletin["number"] == sent[-1]["number"],
        "writing": await writing.now(session, house, incident["id"]) if incident["closed_at"] is None else [],
        "next_number": max((entry["number"] for entry in written), default=0) + 1,
        "me": visit.actor.account_id,
        "next_due": incidents.due_of(house, incident, playbook),
        "filters": filters,
        "help": help_rows(visit, help_open),
        "help_total": help_total,
        "possible": possible,
        "possible_total": possible_total,
        "reports": heard,
        "reports_total": heard_total,
        "reactions": board["reactions"] if board else 0,
        "timeline": await timeline(session, key, incident["id"], limit=30),
        "words": page_words,
        "audiences": {name: entry.label for name, entry in playbook.audiences.items()},
        "form": None,
        "errors": {},
        "typed_at": None,
        "now_field": time_field.of_moment(shown.now, house.zone),
    }
    # Answers come in between the reads: the sentence counts those whom the list below it names.
    counted = dict(incident) | ({"open_help": help_total} if department is None else {})
    return context | await _reach(session, house, visit, counted, shown_bulletin, board, filters, shown)


async def _reach(
    session: AsyncSession, house: House, visit: Visit, incident: Mapping[str, Any], bulletin: RowMapping | None,
    board: dict[str, Any] | None, filters: Filters, shown: Shown,
) -> dict[str, Any]:  # fmt: skip
    """Counts, bars, curve and people of the bulletin that is looked at."""
    if board is None or bulletin is None:
        return {
            "counts": None, "departments": [], "curve": None, "people": [], "more": None, "listed": 0,
            "coming": [],
            "account": page_words.account(None, 0),
        }  # fmt: skip
    asks = bulletin["asks"]
    counts = page_chart.tally(board["counts"] | {"total": board["total"]}, asks=asks)
    departments = [
        {"name": name, "counts": (mine := page_chart.tally(each, asks=asks)), "bar": page_chart.bar(mine)}
        for name, each in board["by_department"].items()
    ]
    curve = page_chart.curve(
        start=bulletin["sent_at"],
        now=incident["closed_at"] or shown.now,
        total=counts["total"],
        answers=await repository.answers_over_time(session, bulletin["id"]),
        sends=await page_reads.sends(session, bulletin["id"]),
    )
    people, more = await list_people(session, visit, incident["key"], bulletin, filters, LIST)
    return {
        "counts": counts,
        "bar": page_chart.bar(counts),
        "departments": departments,
        "curve": curve if asks else None,
        "people": people,
        "more": more,
        "coming": board["next"],
        "listed": how_many(board, visit.actor.department or filters.department, filters),
        "account": page_words.account(counts, incident["open_help"], incident["possible_help"], asks=asks),
    }


async def list_people(
    session: AsyncSession, visit: Visit, key: str, bulletin: RowMapping, filters: Filters, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """People of a bulletin as the list shows them, and where to go on."""
    statuses = page_words.filters(asks=bulletin["asks"])[filters.status][1]
    found, more = await service.recipients(
        session, key, bulletin["number"], status=",".join(statuses) or None,
        department=visit.actor.department or filters.department, q=filters.q or None, after=filters.after, limit=limit,
    )  # fmt: skip
    return [_person(entry) for entry in found], more


def _person(entry: dict[str, Any]) -> dict[str, Any]:
    tries = []
    for attempt in entry["attempts"]:
        said, failed = page_words.tried(attempt)
        tries.append({"said": said, "failed": failed, "at": attempt["updated_at"]})
    return entry | {"tries": tries}


def how_many(board: Mapping[str, Any], department: str | None, filters: Filters) -> int | None:
    """How many people the list holds in all; None when only a search can tell."""
    if filters.q:
        return None
    statuses = page_words.filters(asks=board["asks"])[filters.status][1] or STATUSES
    counts = board["counts"]
    if department:
        folded = " ".join(department.casefold().split())
        each = board["by_department"].items()
        counts = next((mine for name, mine in each if " ".join(name.casefold().split()) == folded), {})
    return sum(int(counts.get(status, 0)) for status in statuses)


def help_rows(visit: Visit, found: Sequence[page_reads.OpenHelp]) -> list[HelpRow]:
    """Open help requests as this visitor may see them."""
    return [
        HelpRow(
            entry,
            tel=entry.number if may_call(visit.actor, entry.taken_by_id) else None,
            masked=mask(entry.number) if entry.number else None,
        )
        for entry in found
    ]


async def timeline(session: AsyncSession, key: str, incident_id: int, *, limit: int) -> list[dict[str, Any]]:
    """What happened last, newest first, in sentences; runs of answers are one line."""
    found: list[dict[str, Any]] = []
    for entry in await page_reads.recent_timeline(session, key, incident_id, limit=limit):
        if entry["answers"]:
            found.append(
                {"at": entry["last_at"], "since": entry["first_at"], "actor": None, "note": None,
                 "text": "1 answer" if entry["answers"] == 1 else f"{entry['answers']:,} answers"}
            )  # fmt: skip
        found.append(
            {"at": entry["at"], "since": None, "note": entry["note"],
             "actor": None if entry["actor"] == entry["person"] else entry["actor"],
             "text": page_words.entry(entry["kind"], entry["data"], entry["person"])}
        )  # fmt: skip
    return found


def part(house: House, name: str, context: Mapping[str, Any]) -> str:
    """One live part of the board, its element included."""
    return render(house, f"board/{name}.html", context)
