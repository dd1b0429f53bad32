"""Pictures, sounds and files that come with a text: what is kept of them, and how they are counted in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = {"image": "picture", "audio": "sound", "video": "video"}
"""The first half of a content type -> what people call it; everything else is a file."""

MOST_MEDIA = 20
"""A carrier sends at most ten with one text."""

MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Medium:
    """One medium of a text: its content type as the carrier names it, and the carrier's own address of it.

    The medium itself stays with the carrier until a person asks for it.
    """

    content_type: str
    url: str

    @property
    def kind(self) -> str:
        return KINDS.get(self.content_type.partition("/")[0].strip().lower(), "file")

    def as_dict(self) -> dict[str, str]:
        return {"content_type": self.content_type, "url": self.url}


def clean(media: Sequence[Medium]) -> tuple[Medium, ...]:
    """As a database can keep them: no NUL, no half characters, no more and no longer than any carrier sends."""
    return tuple(Medium(_clean(one.content_type), _clean(one.url)) for one in media[:MOST_MEDIA])


def _clean(text: str) -> str:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "")[:MOST_CHARACTERS]


def read(kept: Sequence[Mapping[str, Any]]) -> tuple[Medium, ...]:
    """What a row keeps, as media again."""
    return tuple(Medium(str(one["content_type"]), str(one["url"])) for one in kept)


def counted(media: Sequence[Medium]) -> str:
    """`1 picture`, `2 pictures, 1 file`; '' for none."""
    kinds: dict[str, int] = {}
    for one in media:
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    return ", ".join(f"{many} {kind}{'' if many == 1 else 's'}" for kind, many in kinds.items())
