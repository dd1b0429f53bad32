"""Pure ASGI layers around the app: a limit on bodies, links as they were meant, headers that keep pages safe."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kernel.errors import TooLarge
from app.web import links
from app.web.problems import problem

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

DOCS_CSP = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The API's documentation starts itself by a line of script in its page."""


class BodyLimit:
    """Refuses a body over `limit` bytes with 413 before it is kept; `large` lists path prefixes with a larger limit."""

    def __init__(self, app: ASGIApp, limit: int, large: dict[str, int]) -> None:
        self.app, self.limit, self.large = app, limit, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next((size for path, size in self.large.items() if scope["path"].startswith(path)), self.limit)
        refusal = problem(TooLarge(f"The body may hold at most {limit:,} bytes."))
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            await refusal(scope, receive, send)
            return
        seen = 0
        started = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _Over
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _Over:
            if not started:
                await refusal(scope, receive, send)


class _Over(BaseException):
    """Passes through every handler between the reader and the limit."""


class CleanLinks:
    """Leads a link with a full stop or bracket behind it to the address that was meant, whatever the method."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clean = None
        if scope["type"] == "http":
            clean = links.without_tail(scope["path"], scope["app"].state.house.signer)
        if clean is None:
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        # 307 keeps method and body.
        where = Response(status_code=307, headers={"Location": f"{clean}?{query}" if query else clean})
        await where(scope, receive, send)


class SafeHeaders:
    """Headers that every answer bears."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                present = {name.lower() for name, _ in headers}
                extra = {
                    b"x-content-type-options": b"nosniff",
                    b"referrer-policy": b"no-referrer",
                    b"x-frame-options": b"DENY",
                    b"cross-origin-opener-policy": b"same-origin",
                }
                docs = scope["path"].startswith("/docs")
                extra[b"content-security-policy"] = (DOCS_CSP if docs else CSP).encode()
                if not scope["path"].startswith(("/static/", "/docs/static/")):
                    extra[b"cache-control"] = b"no-store"
                headers.extend((name, value) for name, value in extra.items() if name not in present)
            await send(message)

        await self.app(scope, receive, with_headers)
