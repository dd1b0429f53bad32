"""Shapes shared by the JSON API's inputs and outputs."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.kernel.errors import FieldError, Invalid


def clean_text(value: str) -> str:
    """Text that can be stored and shown: no NUL, no lone surrogates."""
    if "\0" in value:
        raise ValueError("holds a NUL character; remove it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds characters that are no text; send plain Unicode") from None
    return value


Text = Annotated[str, AfterValidator(clean_text)]

Flag = Annotated[bool, Field(strict=True)]
"""true or false and nothing that looks like it: "yes" may stand for something else."""


def clean_json(value: Any) -> Any:
    """The same for a JSON value of any shape, to a sensible depth."""
    _walk(value, 0)
    return value


def _walk(value: Any, depth: int) -> None:
    if depth > 8:
        raise ValueError("is nested too deeply")
    if isinstance(value, str):
        clean_text(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            clean_text(str(key))
            _walk(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, depth + 1)


class Input(BaseModel):
    """A request body: unknown keys are refused, so that a typing mistake is never silently ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


def iso(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode_cursor(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str | None:
    """Raises Invalid for anything that is no cursor of ours."""
    if cursor is None or cursor == "":
        return None
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return clean_text(decoded.decode())
    except (binascii.Error, ValueError):
        raise Invalid(
            "The cursor is not one of ours.", [FieldError("cursor", "use next_cursor of the answer before")]
        ) from None
