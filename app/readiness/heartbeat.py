"""Tells an outside monitor about every minute that a send would go out. It is the monitor that notices silence."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import httpx2

from app.kernel.db import row, run
from app.kernel.house import House
from app.readiness import service

log = logging.getLogger("muster.heartbeat")

EVERY_SECONDS = 57.0
"""A little under a minute: monitors count whole ones, and we look every few seconds."""

TIMEOUT_SECONDS = 10.0

NAME = "heartbeat"


async def ping(house: House, url: str) -> bool | None:
    """Asks for the monitor's address when it is time and a send would go out; None when it was not.

    True when it answered 2xx. Never raises for what the monitor does.
    """
    async with house.db.begin() as session:
        due = await row(
            session,
            """SELECT NOT EXISTS (SELECT FROM heartbeat_ping WHERE name = :name
                 AND tried_at > clock_timestamp() - make_interval(secs => :every)) AS due""",
            {"name": NAME, "every": EVERY_SECONDS},
        )
    if due is None or not due["due"]:
        return None
    found = await service.ready(house)
    # Every ladder that ships begins with a text: while none goes out, whoever watches from outside must hear of it.
    if not found["ready"] or not found["checks"].get("sms", {"ok": True})["ok"]:
        return None
    ok = await _ask(url)
    async with house.db.begin() as session:
        await run(
            session,
            """INSERT INTO heartbeat_ping (name, tried_at, answered_at)
               VALUES (:name, clock_timestamp(), CASE WHEN :ok THEN clock_timestamp() END)
               ON CONFLICT (name) DO UPDATE
               SET tried_at = excluded.tried_at,
                   answered_at = coalesce(excluded.answered_at, heartbeat_ping.answered_at)""",
            {"name": NAME, "ok": ok},
        )
    return ok


async def _ask(url: str) -> bool:
    # Only the host is ever logged: the rest of a monitor's address is its secret.
    host = urlsplit(url).hostname
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, follow_redirects=True) as client:
            answer = await client.get(url, headers={"User-Agent": "muster"})
    except httpx2.HTTPError as error:
        log.warning("the outside monitor %s does not answer: %s", host, type(error).__name__)
        return False
    if not answer.is_success:
        log.warning("the outside monitor %s answers %s; check MUSTER_HEARTBEAT_URL", host, answer.status_code)
    return answer.is_success
