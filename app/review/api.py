"""The review over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from app.access.api import HouseDep, Reader, SessionDep
from app.review import formats, service
from app.web.inputs import Text
from app.web.problems import problem_responses

router = APIRouter(prefix="/api/v1/incidents/{key}", tags=["review"])

_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The incident record",
        "content": {
            entry.MEDIA_TYPE: {"schema": {"type": "object"} if entry.NAME == "json" else {"type": "string"}}
            for entry in formats.FORMATS.values()
        },
    }
}


@router.get(
    "/review",
    summary="The incident record",
    response_class=Response,
    responses={**problem_responses(404, 501), **_SHOWN},
)
async def review(
    key: Text,
    actor: Reader,
    session: SessionDep,
    house: HouseDep,
    format: Annotated[Text, Query(max_length=20, description=formats.OFFERED)] = "json",
) -> Response:
    found = formats.find(format)
    # The record is read in a transaction of its own, frozen at one moment. This one has done its work: holding its
    # connection meanwhile would let a few readers at once keep each other waiting for a second one.
    await session.commit()
    content = await service.export(house, key, format)
    return Response(
        content,
        media_type=found.MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{key}-review.{found.NAME}"'},
    )
