"""Probes: is the process alive, would a send go out, what is there to measure. None needs a token."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.access.api import HouseDep
from app.readiness import metrics, service

router = APIRouter(tags=["probes"])


@router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", summary="A send would go out", responses={503: {"description": "A send would not go out"}})
async def readyz(house: HouseDep, response: Response) -> dict[str, Any]:
    found = await service.ready(house)
    response.status_code = 200 if found["ready"] else 503
    return found


@router.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
async def prometheus(house: HouseDep) -> Response:
    return Response(await metrics.page(house), media_type=metrics.MEDIA_TYPE)
