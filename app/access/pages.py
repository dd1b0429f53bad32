"""Signing in and out, and how every page knows who is looking: a session cookie, a role, a token in every form."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.access import service
from app.access.matrix import Action, Actor
from app.kernel.errors import Unauthorized
from app.kernel.house import House
from app.web import csrf, links
from app.web.forms import Form, read_form
from app.web.templating import page, see

router = APIRouter()


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(_house)]

COOKIE = "muster_session"
_OURS = re.compile(r"/(incidents/[A-Za-z0-9-]+|declare)?")
"""Where a sign-in link may lead on to: never another site."""

SIGN_IN_FIRST = "You are not signed in, or your session has ended. Nothing was changed."


@dataclass(frozen=True)
class Visit:
    """Somebody signed in who looks at a page: who they are, and the token for this page's forms."""

    actor: Actor
    csrf: str

    def may(self, action: str) -> bool:
        """For templates: what the role may not do is not offered."""
        return self.actor.may(Action(action))


@dataclass(frozen=True)
class Posted:
    """A form that a signed-in person sent, its token checked."""

    visit: Visit
    form: Form

    @property
    def actor(self) -> Actor:
        return self.visit.actor


async def visit_of(house: House, secret: str | None) -> Visit | None:
    """Whose session this is; None without one, when it has ended, or when the person has left."""
    if not secret or len(secret) > 200:
        return None
    async with house.db.begin() as session:
        actor = await service.by_session(session, secret, house.clock)
    return Visit(actor, csrf.issue(house.signer, secret, house.clock.now())) if actor else None


async def maybe_visit(request: Request, house: HouseDep) -> Visit | None:
    return await visit_of(house, request.cookies.get(COOKIE))


MaybeVisit = Annotated[Visit | None, Depends(maybe_visit)]


def visiting(action: Action) -> Callable[..., Awaitable[Visit]]:
    """A dependency for pages that are looked at: 401 when signed out, 403 for a role that may not."""

    async def check(visit: MaybeVisit) -> Visit:
        if visit is None:
            raise Unauthorized(SIGN_IN_FIRST)
        service.require(visit.actor, action)
        return visit

    return check


def posting(action: Action) -> Callable[..., Awaitable[Posted]]:
    """The same for forms, whose token must be this session's."""

    async def check(request: Request, house: HouseDep, visit: MaybeVisit) -> Posted:
        form = await read_form(request)
        if visit is None:
            raise Unauthorized(SIGN_IN_FIRST)
        csrf.check(house.signer, request.cookies[COOKIE], form.text(csrf.FIELD), house.clock.now())
        service.require(visit.actor, action)
        return Posted(visit, form)

    return check


Reading = Annotated[Visit, Depends(visiting(Action.READ))]
Secret = Annotated[str, Path(max_length=200)]


@router.get("/sign-in/{secret}")
async def sign_in_page(secret: Secret, request: Request) -> HTMLResponse:
    """One button. Looks nothing up and uses nothing up: mail programs open links before people do."""
    return page(request, "sign_in.html")


@router.post("/sign-in/{secret}")
async def sign_in(
    secret: Secret, request: Request, house: HouseDep, goal: Annotated[str, Query(alias="next", max_length=200)] = "/"
) -> Response:
    """Uses the link up and goes on to `next`, when that is a page of ours."""
    goal = links.without_tail(goal, house.signer) or goal
    where = goal if _OURS.fullmatch(goal) else "/"
    try:
        async with house.db.begin() as session:
            fresh = await service.sign_in(session, house.clock, secret)
    except Unauthorized:
        if await visit_of(house, request.cookies.get(COOKIE)):
            return see(where)  # pressed twice: the first press has signed in
        raise
    answer = see(where)
    answer.set_cookie(
        COOKIE, fresh, max_age=service.SESSION_HOURS * 3600, path="/", httponly=True, samesite="lax",
        secure=house.base_url.startswith("https:"),
    )  # fmt: skip
    return answer


@router.post("/sign-out")
async def sign_out(
    request: Request, house: HouseDep, _posted: Annotated[Posted, Depends(posting(Action.READ))]
) -> Response:
    async with house.db.begin() as session:
        await service.sign_out(session, house.clock, request.cookies[COOKIE])
    answer = see("/")
    answer.delete_cookie(COOKIE, path="/")
    return answer
