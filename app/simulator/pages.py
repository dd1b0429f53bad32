"""The pages to look at: a wall of phones, one phone as a chat, mailboxes. They work without JavaScript."""

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.simulator.calling import Switchboard
from app.simulator.control import KEY, choose_question, e164
from app.simulator.forms import LINK
from app.simulator.guard import known_host, same_site
from app.simulator.media import SAMPLES
from app.simulator.outside import Outside
from app.simulator.problems import DELIVERY
from app.simulator.world import CHOICES, Email, Phone, World

Row = TypeVar("Row")

HERE = Path(__file__).parent
PER_PAGE = 60
SHOW = {
    "all": "All phones",
    "answered": "Have answered",
    "waiting": "Not answered yet",
    "failed": "Not reached",
    "ringing": "Ringing now",
    "optedout": "Opted out",
}
SECURITY = {
    # Mail brings its own inline styles, in its sandboxed frame.
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CALL_WORDS = {
    "queued": "being dialled",
    "ringing": "ringing",
    "in-progress": "on the line",
    "completed": "ended",
    "busy": "busy",
    "no-answer": "not picked up",
    "failed": "failed",
    "canceled": "stopped by the caller",
}
RECEIPT = {
    "accepted": "accepted by the carrier",
    "queued": "queued",
    "sending": "on its way",
    "sent": "sent",
    "delivered": "delivered",
    "undelivered": "not delivered",
    "failed": "failed",
    "canceled": "cancelled",
}


def pieces(text: str) -> list[tuple[bool, str]]:
    """A text cut at its links: (is it a link, the piece), in order."""
    out: list[tuple[bool, str]] = []
    at = 0
    for found in LINK.finditer(text):
        link = found[0].rstrip(".,;:!?)]")
        out += [(False, text[at : found.start()]), (True, link)]
        at = found.start() + len(link)
    return [*out, (False, text[at:])]


def at_utc(moment: float) -> datetime:
    """Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(moment, UTC)


def state_of(phone: Phone) -> tuple[str, str]:
    """How a phone stands, as a key for colour and filter, and in words."""
    if phone.opted_out:
        return "optedout", "Opted out"
    asked = [text for text in phone.texts if text.asks]
    if asked and asked[-1].answered:
        how = asked[-1].answered
        return "answered", "Answered on the page" if how == "page" else f"Answered {how}"
    last = asked[-1] if asked else None
    if last is not None and last.status in ("undelivered", "failed"):
        return "failed", f"Not reached: {DELIVERY.get(last.error, 'failed').lower()}"
    if last is None and phone.refused:
        return "failed", "Refused by the carrier"
    if last is not None:
        return "waiting", "Not answered yet"
    return "idle", "Nothing to answer"


class Pages:
    """The HTML routes."""

    def __init__(self, world: World, outside: Outside, switchboard: Switchboard) -> None:
        self.world = world
        self.switchboard = switchboard
        self.outside = outside
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters.update(pieces=pieces, at_utc=at_utc, path=lambda text: quote(text, safe="@"))
        self._templates.globals.update(
            receipt_words=RECEIPT, call_words=CALL_WORDS, choices_known=CHOICES, delivery_words=DELIVERY
        )

    def routes(self) -> list[Route]:
        """The routes, each behind the host check."""
        return [
            Route("/", self._guarded(self.wall)),
            Route("/phones/{number}", self._guarded(self.phone)),
            Route("/phones/{number}", self._guarded(self.send), methods=["POST"]),
            Route("/phones/{number}/call", self._guarded(self.hold), methods=["POST"]),
            Route("/mail", self._guarded(self.mailboxes)),
            Route("/mail/{address}", self._guarded(self.mailbox)),
            Route("/simulator.css", self._static("simulator.css", "text/css")),
            Route("/simulator.js", self._static("simulator.js", "text/javascript")),
        ]

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                known_host(request, self.world.config.host)
                if request.method == "POST":
                    same_site(request)
                return await handler(request)
            except HTTPException as error:
                return self._page("problem.html", error.status_code, title="That did not work", said=error.detail)

        return guarded

    @staticmethod
    def _static(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def static(request: Request) -> Response:
            return FileResponse(HERE / "static" / name, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})

        return static

    def _page(self, template: str, status: int = 200, **words: object) -> HTMLResponse:
        config = self.world.config
        html = self._templates.get_template(template).render(
            {"auto": config.auto, "sender": config.sender, "section": "", **words}
        )
        return HTMLResponse(html, status, headers=SECURITY)

    @staticmethod
    def _paged(request: Request, rows: list[Row]) -> tuple[list[Row], dict[str, Any]]:
        pages = max(1, math.ceil(len(rows) / PER_PAGE))
        asked = request.query_params.get("page", "1")
        page = min(pages, max(1, int(asked) if asked.isdecimal() and len(asked) < 9 else 1))
        kept = {name: value for name, value in request.query_params.items() if name != "page"}

        def link(number: int) -> str:
            return "?" + urlencode({**kept, "page": number})

        words: dict[str, Any] = {
            "page": page,
            "pages": pages,
            "total": len(rows),
            "earlier": link(page - 1) if page > 1 else None,
            "later": link(page + 1) if page < pages else None,
        }
        return rows[(page - 1) * PER_PAGE : page * PER_PAGE], words

    async def wall(self, request: Request) -> Response:
        """Every phone that was texted: last text, unread, how it stands, its fate; newest first."""
        query = request.query_params.get("q", "").strip()[:100]
        show = request.query_params.get("show", "all")
        show = show if show in SHOW else "all"
        needle = query.casefold()
        states = {number: self._state(phone) for number, phone in self.world.phones.items()}
        tally = {key: sum(state[0] == key for state in states.values()) for key in SHOW}
        tally["all"] = len(states)
        found = [
            phone
            for phone in self.world.phones.values()
            if (show == "all" or states[phone.number][0] == show) and (not needle or self._mentions(phone, needle))
        ]
        found.sort(key=lambda phone: (-phone.last_at, phone.number))
        shown, paging = self._paged(request, found)
        return self._page(
            "wall.html", section="phones", title="Phones", phones=shown, states=states,
            query=query, show=show, choices=SHOW, tally=tally, known=len(states), **paging,
        )  # fmt: skip

    def _state(self, phone: Phone) -> tuple[str, str]:
        """As `state_of`; a call that rings, or that was answered with a key, goes before what the texts say."""
        calls = self.world.calls.by_to.get(phone.number, [])
        if calls and calls[-1].is_open:
            return "ringing", "On the line" if calls[-1].status == "in-progress" else "Ringing"
        pressed = [key for call in calls for key in call.pressed if key in "123"]
        if pressed and not phone.opted_out:
            return "answered", f"Answered {pressed[-1]} in a call"
        state = state_of(phone)
        return ("waiting", "Called, not answered") if calls and state[0] == "idle" else state

    @staticmethod
    def _mentions(phone: Phone, needle: str) -> bool:
        digits = "".join(char for char in needle if char.isdigit())
        if len(digits) >= 3 and digits in phone.number:
            return True
        return needle in phone.fate.key or any(needle in text.text.casefold() for text in phone.texts)

    async def phone(self, request: Request) -> Response:
        """One phone as a chat. Looking at it marks its texts as read."""
        number = e164(request.path_params["number"])
        phone = self.world.phones.get(number)
        if phone is None:
            return self._page(
                "problem.html", 404, title="No such phone",
                said=f"{number} has had no text yet. A phone appears here with its first text.",
            )  # fmt: skip
        phone.unread = 0
        failed = request.query_params.get("failed")
        return self._page(
            "phone.html",
            section="phones",
            title=number,
            phone=phone,
            state=self._state(phone),
            failed=failed,
            calls=self.world.calls.by_to.get(number, []),
        )

    async def send(self, request: Request) -> Response:
        """Send what was typed, or the quick answer that was pressed, and show the phone again."""
        number = e164(request.path_params["number"])
        form = await request.form()
        typed = form.get("quick") or form.get("body") or ""
        body = typed.strip()[:1600] if isinstance(typed, str) else ""
        kind = form.get("medium")
        media = (kind,) if isinstance(kind, str) and kind in SAMPLES else ()
        failed = ""
        if body or media:
            done = choose_question(self.world, number, body)
            incoming = self.outside.receive(number, body, done=done, media=media)
            status, _ = await self.outside.post_incoming(incoming)
            failed = "" if 200 <= status < 300 else f"?failed={status}"
        return RedirectResponse(f"/phones/{number}{failed}#end", 303)

    async def hold(self, request: Request) -> Response:
        """Pick up, press the key that was chosen, or hang up, and show the phone again."""
        number = e164(request.path_params["number"])
        form = await request.form()
        does, key = str(form.get("do", "")), str(form.get("key", ""))
        call = self.switchboard.ringing(number)
        if call is not None and (does in ("pick_up", "hang_up") or KEY.match(key)):
            await self.switchboard.does(call, "press" if key else does, key)
        return RedirectResponse(f"/phones/{number}#call", 303)

    async def mailboxes(self, request: Request) -> Response:
        """Every mailbox that has mail; newest first."""
        query = request.query_params.get("q", "").strip()[:100]
        needle = query.casefold()
        found = [
            box
            for box in self.world.mailboxes.values()
            if not needle or needle in box[-1].to.casefold() or any(needle in mail.subject.casefold() for mail in box)
        ]
        found.sort(key=lambda box: (-box[-1].at, box[-1].to))
        shown, paging = self._paged(request, found)
        return self._page(
            "mailboxes.html", section="mail", title="Mail", boxes=shown, query=query,
            known=len(self.world.mailboxes), **paging,
        )  # fmt: skip

    async def mailbox(self, request: Request) -> Response:
        """One mailbox, newest mail first, each shown as a mail program would."""
        address = request.path_params["address"]
        box: list[Email] = self.world.mailboxes.get(address.lower(), [])
        if not box:
            return self._page(
                "problem.html", 404, title="No such mailbox",
                said=f"No mail has come for {address}. A mailbox appears with its first mail.",
            )  # fmt: skip
        fate = self.world.mail_fate(address)
        return self._page(
            "mailbox.html", section="mail", title=box[-1].to, box=box[::-1][:50], fate=fate, count=len(box)
        )
