"""What can be refused, and how it is said: each error knows its HTTP status and names what would be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One wrong input: `field` is a path such as `facts.next_update`, `message` says what would be right."""

    field: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "message": self.message}


class MusterError(Exception):
    """A refusal with a plain reason. The edges turn it into RFC 9457, an HTML page or one line on stderr."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, errors: Sequence[FieldError] = (), **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = extra

    def line(self) -> str:
        """One line for a terminal: the detail and every field."""
        named = "; ".join(f"{error.field}: {error.message}" for error in self.errors)
        text = f"{self.detail} {named}" if named else self.detail
        return " ".join(text.split())


class BadRequest(MusterError):
    status = 400
    kind = "bad-request"
    title = "The request cannot be read"


class Unauthorized(MusterError):
    status = 401
    kind = "unauthorized"
    title = "Sign in first"


class Forbidden(MusterError):
    status = 403
    kind = "forbidden"
    title = "Not allowed for this role"


class NotFound(MusterError):
    status = 404
    kind = "not-found"
    title = "Not found"


class NoSuchIncident(NotFound):
    """The incident itself: whatever is said to lie below it is not there either."""


class MethodNotAllowed(MusterError):
    status = 405
    kind = "method-not-allowed"
    title = "This address does not take that method"


class Conflict(MusterError):
    status = 409
    kind = "conflict"
    title = "This can't be done now"


class Changed(MusterError):
    """What the request was made from is no longer the present state. `changed` lists what came since."""

    status = 412
    kind = "changed"
    title = "Changed since you looked"


class TooLarge(MusterError):
    status = 413
    kind = "too-large"
    title = "The request is too large"


class UnsupportedMedia(MusterError):
    status = 415
    kind = "unsupported-media-type"
    title = "The content type is not understood"


class Invalid(MusterError):
    status = 422
    kind = "invalid"
    title = "The input needs correcting"


class NotYet(MusterError):
    status = 501
    kind = "not-available"
    title = "Not available in this version"


class Unavailable(MusterError):
    status = 503
    kind = "unavailable"
    title = "Not available right now"


ALL_ERRORS: tuple[type[MusterError], ...] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, Conflict, Changed, TooLarge, UnsupportedMedia,
    Invalid, NotYet, Unavailable,
)  # fmt: skip
