"""Errors as RFC 9457 problems: every refusal a JSON object with a kind, a plain sentence and the fields at fault."""

from __future__ import annotations

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.kernel.errors import (
    ALL_ERRORS,
    BadRequest,
    FieldError,
    Invalid,
    MusterError,
    NotFound,
    Unavailable,
    UnsupportedMedia,
)

log = logging.getLogger("muster.web")

MEDIA_TYPE = "application/problem+json"


class ProblemField(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `type` is `/problems/KIND`; `errors` names each field by its path."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemField] = []


WITH_BODY = (400, 413, 415)
"""What else an operation may answer that reads a JSON body."""


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for the problems that an operation with a token may answer with."""
    return problems_of(401, 403, 422, 503, *statuses)


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for exactly these."""
    titles = {kind.status: kind.title for kind in ALL_ERRORS}
    return {
        status: {
            "description": titles.get(status, "Problem"),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted(set(statuses))
    }


def problem(error: MusterError) -> JSONResponse:
    body: dict[str, Any] = {
        "type": f"/problems/{error.kind}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = [entry.as_dict() for entry in error.errors]
    body.update(error.extra)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if error.status == 503:
        headers["Retry-After"] = "5"
    return JSONResponse(body, error.status, headers, MEDIA_TYPE)


def validation_problem(error: RequestValidationError, content_type: str = "") -> MusterError:
    """FastAPI's own validation as ours: unreadable JSON is 400, another content type 415, the rest names its fields."""
    fields = []
    for entry in error.errors():
        if entry["type"] == "json_invalid":
            return BadRequest(NOT_JSON)
        path = [str(part) for part in entry["loc"]]
        kind = content_type.partition(";")[0].strip().lower()
        if path == ["body"] and entry["type"] != "missing" and kind and not kind.endswith(("/json", "+json")):
            return UnsupportedMedia(f"Send the body as application/json, not as {kind[:100]}.")
        if path and path[0] in ("body", "query", "path", "header") and len(path) > 1:
            path = path[1:]
        fields.append(FieldError(".".join(path), _plain(entry)))
    return Invalid("The input needs correcting.", fields)


NOT_JSON = "The body is not JSON. Send an object as application/json."

_PLAIN = {
    "missing": "is required",
    "extra_forbidden": "is not known here; remove it",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a list",
    "string_type": "must be text in quotes",
    "string_unicode": "holds characters that are no text; send plain Unicode",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "string_too_long": "is too long; use at most {max_length} characters",
    "too_long": "holds too many entries; give at most {max_length}",
    "less_than_equal": "is too large; use at most {le}",
    "greater_than_equal": "is too small; use at least {ge}",
    "timezone_aware": "needs its offset, such as 2026-03-02T03:05:00Z",
}
"""What the checks of shape say, in plain words that name what would be right."""


def _plain(entry: dict[str, Any]) -> str:
    kind = str(entry["type"])
    if kind in _PLAIN:
        return _PLAIN[kind].format_map(entry.get("ctx") or {})
    if kind.startswith("datetime"):
        return "is not a time; write it with its offset, such as 2026-03-02T03:05:00Z"
    return str(entry["msg"]).removeprefix("Value error, ")


_IN_THE_WAY = ("40001", "40P01", "55P03")
"""SQLSTATE: a transaction that could not be put in order with another, a deadlock, a lock not to be had in time."""


def translate(error: Exception) -> MusterError | None:
    """What a fault below means for the caller; None when it is nobody's known fault."""
    if isinstance(error, MusterError):
        return error
    if isinstance(error, (UnicodeEncodeError, UnicodeDecodeError)):
        return Invalid("The input holds characters that are no text (a lone surrogate). Send plain Unicode.")
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _IN_THE_WAY:
        return Unavailable("Somebody else changed the same thing at the same moment. Nothing was changed; try again.")
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout, ConnectionError)):
        return Unavailable("The database does not answer right now. Nothing was changed; try again in a few seconds.")
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", "") or "")
        if error.connection_invalidated or state.startswith(("08", "57", "53")):
            return Unavailable(
                "The database does not answer right now. Nothing was changed; try again in a few seconds."
            )
        if state.startswith("22") or (error.orig is not None and "NUL" in str(error.orig)):
            return Invalid("The input holds a value that cannot be stored (a NUL character or a number too large).")
    if isinstance(error, ValueError) and "null byte" in str(error).lower():
        return Invalid("The input holds a NUL character. Remove it.")
    return None


def install(app: FastAPI) -> None:
    """Answers every error of the API as a problem; pages install their own on top."""

    async def on_error(request: Request, error: Exception) -> Response:
        known = translate(error)
        if known is None:
            log.error("unexpected fault", exc_info=error, extra={"path": request.scope.get("path")})
            known = MusterError("Something went wrong on our side. It is recorded; try again, and tell the operator.")
        elif known.status >= 500:
            log.warning("refused: %s", type(error).__name__)
        return answer(request, known)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if wants_page(request) and any(entry["loc"][0] == "path" for entry in error.errors()):
            return answer(request, NotFound(_PLAIN_STATUS[404]))
        return answer(request, validation_problem(error, request.headers.get("content-type", "")))

    def answer(request: Request, error: MusterError) -> Response:
        page = getattr(app.state, "error_page", None)
        if page is not None and wants_page(request):
            shown: Response = page(request, error)
            return shown
        return problem(error)

    async def on_status(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = _from_status(error)
        response = answer(request, known)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        if error.status_code == 405 and (allowed := _allowed(app, request.scope["path"])):
            response.headers["Allow"] = allowed
        return response

    async def on_hanging_up(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)  # nobody is left to read it, and it is no fault of ours

    app.add_exception_handler(ClientDisconnect, on_hanging_up)
    app.add_exception_handler(MusterError, on_error)
    app.add_exception_handler(DBAPIError, on_error)
    app.add_exception_handler(PoolTimeout, on_error)
    app.add_exception_handler(UnicodeError, on_error)
    app.add_exception_handler(ValueError, on_error)
    app.add_exception_handler(ConnectionError, on_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_status)
    app.add_exception_handler(Exception, on_error)


def wants_page(request: Request) -> bool:
    """Pages answer errors as pages; the API, webhooks and probes as problems."""
    # Not by request.url, which cannot be made of a query that is no UTF-8; who asks is often answering such an error.
    path = request.scope["path"]
    if path.startswith(("/api/", "/webhooks/")) or path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        return False
    return "text/html" in request.headers.get("accept", "") or path.startswith("/a/")


def _allowed(app: FastAPI, path: str) -> str:
    """Every method that a path takes: the router alone names those of the first route that fits."""
    methods: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)), path):
            methods |= {name.upper() for name in operations}
    return ", ".join(sorted(methods))


_PLAIN_STATUS = {404: "There is nothing at this address.", 405: "This address does not take that method."}


def _from_status(error: HTTPException) -> MusterError:
    if error.status_code == 400 and "parsing the body" in str(error.detail):
        return BadRequest(NOT_JSON)
    for kind in ALL_ERRORS:
        if kind.status == error.status_code:
            return kind(_PLAIN_STATUS.get(error.status_code, str(error.detail)))
    found = type("HttpProblem", (MusterError,), {"status": error.status_code, "kind": "http", "title": error.detail})
    made: MusterError = found(f"{error.detail}.")
    return made


def describe(app: FastAPI) -> None:
    """Puts the problem's shape into the OpenAPI document, in place of the framework's own validation error."""
    make = app.openapi

    def with_problem() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            for name, schema in schemas["Problem"].pop("$defs", {}).items():
                schemas[name] = schema
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema or {}

    app.openapi = with_problem  # type: ignore[method-assign]  # the framework's documented way to extend it
