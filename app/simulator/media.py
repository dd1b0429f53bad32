"""What a pretend phone can send besides words: a few small files, the same each time, kept in no journal."""

from __future__ import annotations

import base64
from hashlib import md5

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAYCAIAAAAUMWhjAAAAMklEQVR42mP4dacCKzpho4EVkaqeYdSCUQuGgAXUMgiX+lELRi0Y"
    "ChaMFhWjFoxaoAEAAFg3THpQ5IsAAAAASUVORK5CYII="
)
SAMPLES: dict[str, bytes] = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0 a pretend photo \xff\xd9",
    "audio/amr": b"#!AMR\n a pretend sound",
    "video/mp4": b"\0\0\0\x18ftypmp42 a pretend video",
    "text/vcard": b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A pretend contact\r\nEND:VCARD\r\n",
    "text/html": b"<script>alert('a pretend page')</script>",
}
"""Content type -> what is served for it."""

MOST = 10
"""As many as a carrier takes with one text."""


def media_sid(message: str, place: int) -> str:
    """The id of a medium, the same whenever it is asked for."""
    return "ME" + md5(f"{message}:{place}".encode(), usedforsecurity=False).hexdigest()


def media_of(message: str, types: tuple[str, ...]) -> dict[str, str]:
    """Id -> content type of everything that came with a text."""
    return {media_sid(message, place): kind for place, kind in enumerate(types)}
