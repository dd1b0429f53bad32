"""Entity tags: which state of an incident or a bulletin somebody holds (RFC 9110, 8.8.3 and 13.1). Pure.

A tag is `"VERSION-DIGEST"`. The digest is of the whole answer, so that a tag stands for exactly one answer. The version
is the number of the timeline's entry that last changed what people decide about; it alone guards a change, because
figures that move by themselves (recipients, estimates, open help requests) must not refuse anybody's press.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from app.kernel.errors import BadRequest

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_OURS = re.compile(r'"(\d{1,18})-[0-9a-f]{16}"', re.ASCII)

ETAG_HEADER = {"ETag": {"description": "The state that this answer shows; for If-Match", "schema": {"type": "string"}}}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "As the tag in If-None-Match says"}}


@dataclass(frozen=True)
class Seen:
    """The state that somebody acts on: one of these versions, or (`page`) the timeline up to the only one of them."""

    versions: frozenset[int] = frozenset()
    anything: bool = False
    page: bool = False

    def holds(self, version: int) -> bool:
        """Whether that is still the present state, which has this version."""
        return self.anything or version in self.versions or (self.page and version <= max(self.versions, default=-1))

    def last_known(self, version: int) -> int | None:
        """From where to tell what changed; None when no version of ours was named."""
        return max((known for known in self.versions if known < version), default=None)


def seen_on_page(text: str) -> Seen | None:
    """What a form's hidden field `seen` says; None without one."""
    return Seen(frozenset({int(text)}), page=True) if text.isascii() and text.isdigit() and len(text) < 19 else None


def of(answer: Mapping[str, Any]) -> str:
    """The tag of an incident or a bulletin as the API shows it."""
    digest = hashlib.sha256(json.dumps(answer, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return f'"{answer.get("version", 0)}-{digest}"'


def tags(values: Sequence[str], header: str) -> list[str] | None:
    """Every tag of a header, or None for `*`. Raises BadRequest for what is neither."""
    joined = ", ".join(values).strip()
    if joined == "*":
        return None
    if not _LIST.fullmatch(joined):
        raise BadRequest(
            f"{header} is no entity tag. Send the ETag of the answer before as it came, quotes included, such as "
            f'{header}: "7-0123456789abcdef"; several with commas between; or * alone.'
        )
    return re.findall(_TAG, joined)


def seen_by(request: Request) -> Seen | None:
    """What If-Match says; None without it. Weak tags never match (RFC 9110, 13.1.1). Raises BadRequest."""
    values = request.headers.getlist("if-match")
    if not values:
        return None
    listed = tags(values, "If-Match")
    if listed is None:
        return Seen(anything=True)
    return Seen(frozenset(int(match[1]) for tag in listed if (match := _OURS.fullmatch(tag))))


def answered(request: Request, response: Response, answer: dict[str, Any]) -> Any:
    """The answer with its tag; to a GET whose If-None-Match holds that tag, 304 and nothing more."""
    tag = of(answer)
    values = request.headers.getlist("if-none-match")
    if values and request.method == "GET":
        try:
            listed = tags(values, "If-None-Match")
        except BadRequest:
            listed = []
        if listed is None or tag in [known.removeprefix("W/") for known in listed]:
            return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return answer
