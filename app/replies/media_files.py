"""One medium of a field report, fetched from the carrier because a person asked for it, and given on as a file."""

from __future__ import annotations

from typing import Protocol

from fastapi.responses import Response

from app.channels.port import Fetched, NoMedium, ProviderDown
from app.kernel.errors import NotFound, Unavailable
from app.replies.reports import Report

ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "audio/amr": "amr",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "video/mp4": "mp4",
    "video/3gpp": "3gp",
    "application/pdf": "pdf",
    "text/vcard": "vcf",
}
"""Content types that go out under their own name; anything else is only bytes to whoever saves it."""


class Store(Protocol):
    """Where the media are."""

    async def medium(self, url: str) -> Fetched: ...


async def file(store: Store | None, report: Report, place: int) -> Response:
    """The medium at this place (1 is the first) as a download. Raises NotFound and Unavailable with the cause."""
    if not 1 <= place <= len(report.media):
        raise NotFound(f"Field report {report.id} came with {len(report.media)} files.")
    medium = report.media[place - 1]
    if store is None:
        raise Unavailable("No provider is set up that could be asked for this file.")
    try:
        found = await store.medium(medium.url)
    except NoMedium as error:
        raise NotFound(f"This file cannot be fetched: {error}.") from None
    except ProviderDown:
        raise Unavailable("The provider does not answer right now. Try again in a minute.") from None
    kind = medium.content_type.partition(";")[0].strip().lower()
    known = kind if kind in ENDINGS else "application/octet-stream"
    name = f"report-{report.id}-{place}.{ENDINGS.get(kind, 'bin')}"
    return Response(
        found.content,
        media_type=known,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store",
        },
    )
