"""The record's export formats. A new one is a module here (NAME, MEDIA_TYPE, `render`) and one line in `_ALL`."""

from __future__ import annotations

from typing import Protocol

from app.kernel.errors import FieldError, Invalid, NotYet
from app.review.formats import csv_format, json_format, markdown
from app.review.record import Record


class Format(Protocol):
    """What a module here offers. NAME is also the file's ending."""

    NAME: str
    MEDIA_TYPE: str

    def render(self, record: Record) -> bytes: ...


_ALL: tuple[Format, ...] = (
    json_format,
    markdown,
    csv_format,
)

FORMATS: dict[str, Format] = {entry.NAME: entry for entry in _ALL}

COMING = ("xlsx", "pdf")
"""Known, and not available in this version."""

OFFERED = f"{', '.join(FORMATS)}; {' and '.join(COMING)} are to come"
"""What to choose from, for help texts."""


def find(name: str) -> Format:
    """The format of that name. Raises NotYet for one that is to come and Invalid for one that is not known."""
    if name in FORMATS:
        return FORMATS[name]
    usable = ", ".join(FORMATS)
    if name in COMING:
        raise NotYet(f"The review cannot be exported as {name} in this version; use one of {usable}.")
    raise Invalid(
        "The review cannot be exported.", [FieldError("format", f"{name[:20]!r} is not a format; use one of {OFFERED}")]
    )
