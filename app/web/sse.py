"""Server-sent events: their form on the wire, and an answer that streams them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse


def event(name: str, data: Any, *, event_id: str | None = None) -> bytes:
    """One event; `data` is JSON unless it is text already."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    lines = [f"event: {name}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    lines += [f"data: {line}" for line in text.splitlines() or [""]]
    return ("\n".join(lines) + "\n\n").encode()


KEEP_ALIVE = b": heartbeat\n\n"
"""A comment: whoever listens knows that the connection lives, and no event comes of it."""


def streamed(events: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(
        events, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
