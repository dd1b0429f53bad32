"""How the API knows who is calling: a bearer token, a role, one transaction for one request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import service
from app.access.matrix import Action, Actor
from app.kernel.errors import Unauthorized
from app.kernel.house import House

bearer = HTTPBearer(auto_error=False, description="A token made with `muster tokens create`.")


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def get_house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(get_house)]


async def get_session(house: HouseDep) -> AsyncIterator[AsyncSession]:
    async with house.db.begin() as session:
        yield session


# scope="function": committed before the answer leaves, and never held open by a stream.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


def allow(action: Action) -> Callable[..., Awaitable[Actor]]:
    """A dependency that lets through who may do `action`: 401 without a valid token, 403 for another role."""

    async def check(session: SessionDep, credentials: Credentials) -> Actor:
        return await _actor(session, credentials, action)

    return check


def allow_long(action: Action) -> Callable[..., Awaitable[Actor]]:
    """As `allow`, for work that takes long and has transactions of its own: ours has ended before it begins, or the
    database would end it for doing nothing."""

    async def check(house: HouseDep, credentials: Credentials) -> Actor:
        async with house.db.begin() as session:
            return await _actor(session, credentials, action)

    return check


async def _actor(session: AsyncSession, credentials: HTTPAuthorizationCredentials | None, action: Action) -> Actor:
    if credentials is None:
        raise Unauthorized("Send a token: Authorization: Bearer TOKEN. Make one with: muster tokens create")
    actor = await service.by_token(session, credentials.credentials)
    service.require(actor, action)
    return actor


Reader = Annotated[Actor, Depends(allow(Action.READ))]
