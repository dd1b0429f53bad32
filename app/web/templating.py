"""Pages from templates: one environment, escaped by default, with the few helpers that every page uses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.kernel.errors import MusterError, NoSuchIncident
from app.kernel.house import House
from app.web import times
from app.web.inputs import iso

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"

environment = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


@cache
def static(name: str) -> str:
    """The address of a static file, with its content's mark so that a browser never keeps an old one."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def number(value: float) -> str:
    """`1,204`."""
    return f"{value:,}"


def plural(count: int, one: str, many: str) -> str:
    """`1 person`, `1,204 people`."""
    return f"{count:,} {one if count == 1 else many}"


environment.globals["static"] = static
environment.filters["number"] = number
environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
environment.globals["plural"] = plural


class Shown:
    """Times as one page shows them: all from the same moment, in the house's zone. Takes datetimes or RFC 3339."""

    def __init__(self, house: House) -> None:
        self.now = house.clock.now()
        self.zone = house.zone

    def clock(self, moment: datetime | str, seconds: bool = False) -> str:
        """`14:20 UTC`, or `14:20:05 UTC`."""
        return times.clock(_moment(moment), zone=self.zone, now=self.now, seconds=seconds)

    def day(self, moment: datetime | str) -> Markup:
        """`7 Mar 2026` alone; the time of day stands in its title."""
        then = _moment(moment)
        return Markup('<time datetime="{iso}" title="{clock}">{day}</time>').format(
            iso=iso(then), clock=self.clock(then), day=times.day(then, zone=self.zone)
        )

    def at(self, moment: datetime | str | None) -> Markup:
        """`14:20 UTC, in 6 min`, marked up so that the script can count on."""
        if moment is None:
            return Markup("")
        then = _moment(moment)
        return Markup(
            '<time datetime="{iso}">{clock}</time>, <span class="rel" data-rel="{iso}">{relative}</span>'
        ).format(iso=iso(then), clock=self.clock(then), relative=times.relative(then, self.now))

    def ahead(self, moment: datetime | str) -> bool:
        """Whether it is still to come."""
        return _moment(moment) > self.now

    def ago(self, moment: datetime | str) -> Markup:
        """How far away alone; the absolute time stands in its title."""
        then = _moment(moment)
        return Markup('<time class="rel" datetime="{iso}" title="{clock}" data-rel="{iso}">{relative}</time>').format(
            iso=iso(then), clock=self.clock(then), relative=times.relative(then, self.now)
        )


def _moment(moment: datetime | str) -> datetime:
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def render(house: House, template: str, context: Mapping[str, Any]) -> str:
    """The template's text, with the clock of this moment and the mark of a simulated installation."""
    shown = context.get("shown") or Shown(house)
    given: dict[str, Any] = {
        "shown": shown,
        "simulated": house.simulated,
        "visit": None,
        "server_now": iso(shown.now),
    }
    return environment.get_template(template).render(given | dict(context))


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """An HTML page."""
    house: House = request.app.state.house
    return HTMLResponse(render(house, template, context), status)


def see(path: str) -> Response:
    """The answer to a POST that was done: look there. `path` is ours, never a visitor's."""
    return Response(status_code=303, headers={"Location": path})


_WHAT_TO_DO = {
    400: "Go back and try again from the page itself.",
    401: "Sign in, then open this address again.",
    403: "Ask someone with another role to do it, or go back.",
    404: "Check the address, or start from the first page.",
    409: "Look at the page again: it shows the current state.",
    413: "Send less text.",
    422: "Go back, correct it and send it again. What you typed is still there.",
    503: "Wait a few seconds and try again. Nothing was changed.",
}
_ELSE = "Try again in a minute."
_BACK = "Check the number in the address, or go back to the incident."


_BELOW_INCIDENT = re.compile(r"/incidents/(INC-\d{4}-\d{4,9})/.+", re.ASCII)


def error_page(request: Request, error: MusterError) -> Response:
    """What happened, what to do, whom to call, and the way back. Never shows what went wrong inside."""
    staff = request.scope["path"].startswith("/a/")
    below = None if isinstance(error, NoSuchIncident) else _BELOW_INCIDENT.fullmatch(request.scope["path"])
    response = page(
        request,
        "staff_error.html" if staff else "error.html",
        status=error.status,
        error=error,
        what_to_do=_BACK if below and error.status == 404 else _WHAT_TO_DO.get(error.status, _ELSE),
        signed_out=error.status == 401,
        of_incident=below[1] if below and error.status != 401 else None,
    )
    if error.status == 503:
        response.headers["Retry-After"] = "5"
    return response


def install(app: FastAPI) -> None:
    """Pages answer errors as pages."""
    app.state.error_page = error_page
