"""The review as a page to read and print, and as files to take away: the API's record, with its role and scope."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from app.access.api import HouseDep
from app.access.pages import Reading
from app.board.page_view import DONE
from app.incidents import service as incidents
from app.review import formats, reading
from app.review import service as reviews
from app.web.inputs import Text
from app.web.templating import page

router = APIRouter()

FILES = {"md": "Text (Markdown)", "csv": "Tables (CSV)", "json": "Everything (JSON)"}
"""The formats that are offered on the page, in words."""


@router.get("/incidents/{key}/review")
async def review(
    key: Text, request: Request, house: HouseDep, visit: Reading,
    format: Annotated[Text, Query(max_length=20)] = "", done: Annotated[Text, Query(max_length=20)] = "",
) -> Response:  # fmt: skip
    """The document; with `format` the file, as the API gives it."""
    if format:
        found = formats.find(format)
        name = f"{key}-review.{found.NAME}"
        return Response(
            await reviews.export(house, key, format),
            media_type=found.MEDIA_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
    record = await reviews.frozen(house, key)
    document = await asyncio.to_thread(reading.read, record)
    async with house.db.begin() as session:
        incident = await incidents.get(session, key)
    return page(
        request,
        "review.html",
        visit=visit,
        incident=dict(incident),
        document=Markup(document.html),  # noqa: S704 (made of escaped text by a renderer that takes no HTML)
        parts=document.parts,
        files=FILES,
        message=DONE.get(done, ""),
    )
