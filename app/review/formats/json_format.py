"""The record whole, as JSON: the same names and shape as `app.review.record`, times in RFC 3339 UTC. Pure."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from app.review.record import Record
from app.review.times import rfc3339

NAME = "json"
MEDIA_TYPE = "application/json"


def render(record: Record) -> bytes:
    return json.dumps(record, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return vars(value)
