"""What somebody who needs help said about it: the person's own reports, and what was noted for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.channels.media import counted, read
from app.web.inputs import iso

MOST = 3
"""The latest so many reports of one person stand beside their request; the incident's list of reports has all."""


@dataclass(frozen=True)
class OwnWords:
    """`by` is None for the person's own words, else the name of whoever noted them. `media`: such as `1 picture`."""

    text: str
    media: str
    at: datetime
    via: str
    by: str | None

    def as_dict(self) -> dict[str, Any]:
        return {"text": self.text, "media": self.media, "at": iso(self.at), "via": self.via, "by": self.by}


HELP_WORDS = f"""(SELECT coalesce(jsonb_agg(to_jsonb(said) ORDER BY said.at DESC), '[]') FROM (
    (SELECT f.text, f.media, f.at, f.via, NULL AS by FROM field_report f
     WHERE f.incident_id = h.incident_id AND (f.person_id = h.person_id OR f.help_request_id = h.id)
     ORDER BY f.id DESC LIMIT {MOST})
    UNION ALL
    (SELECT k.note, '[]', k.at, k.via, noted.name FROM acknowledgment k JOIN account noted ON noted.id = k.account_id
     WHERE k.delivery_id = h.delivery_id AND k.response = 'need_help' AND k.note IS NOT NULL
     ORDER BY k.id DESC LIMIT 1)) said)"""
"""What the person of help request `h` said, newest first, for `words_of`."""


def words_of(kept: Sequence[Mapping[str, Any]]) -> tuple[OwnWords, ...]:
    """From what HELP_WORDS gives."""
    return tuple(
        OwnWords(
            text=one["text"],
            media=counted(read(one["media"])),
            at=datetime.fromisoformat(one["at"]),
            via=one["via"],
            by=one["by"],
        )
        for one in kept
    )
