"""The long list behind the board's timeline: every entry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from app.access.api import HouseDep
from app.access.pages import Reading
from app.board import page_words
from app.incidents import service as incidents
from app.incidents import timeline
from app.web.inputs import Text
from app.web.templating import page

router = APIRouter()

ENTRIES = 200


@router.get("/incidents/{key}/timeline")
async def timeline_page(
    key: Text, request: Request, house: HouseDep, visit: Reading, after: Annotated[int, Query(ge=0, le=2**62)] = 0
) -> HTMLResponse:
    """Every entry, the oldest first."""
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
        found = await timeline.read(session, incident_id=incident["id"], key=key, after=after, limit=ENTRIES + 1)
    entries = []
    for entry in found[:ENTRIES]:
        data = entry["data"]
        person = data["person"]["name"] if "person" in data else None
        entries.append(
            {
                "at": entry["at"],
                "actor": None if entry["actor"] in ("system", person) else entry["actor"],
                "text": page_words.entry(entry["kind"], data, person),
                "note": data.get("text"),
            }
        )
    return page(
        request,
        "timeline.html",
        visit=visit,
        incident=dict(incident),
        entries=entries,
        first=after == 0,
        more=found[ENTRIES - 1]["seq"] if len(found) > ENTRIES else None,
    )
