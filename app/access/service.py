"""Accounts, tokens, sign-in links and sessions."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import repository
from app.access.matrix import Action, Actor
from app.access.models import ROLES
from app.kernel import audit
from app.kernel.clock import Clock
from app.kernel.errors import FieldError, Forbidden, Invalid, Unauthorized
from app.kernel.ids import hash_secret, new_secret

SESSION_HOURS = 12
SIGN_IN_LINK_MINUTES = 60


async def by_token(session: AsyncSession, token: str) -> Actor:
    """Who holds this API token. Raises Unauthorized for an unknown, revoked or leaver's one."""
    actor = await repository.by_token(session, hash_secret(token))
    if actor is None:
        raise Unauthorized("This token is not valid here. Make one with: muster tokens create NAME --role ROLE")
    return actor


async def by_session(session: AsyncSession, secret: str, clock: Clock) -> Actor | None:
    return await repository.by_session(session, hash_secret(secret), clock.now())


def require(actor: Actor, action: Action) -> None:
    """Raises Forbidden unless the actor's role may do this."""
    if not actor.may(action):
        raise Forbidden(f"The role {actor.role} may not do this ({action.value.replace('_', ' ')}).")


def require_department(actor: Actor, department: str) -> None:
    """A department lead acts for the own department only."""
    if actor.role == "department_lead" and (actor.department or "").casefold() != department.casefold():
        raise Forbidden(f"A department lead acts for the own department ({actor.department}) only.")


async def create_account(
    session: AsyncSession,
    clock: Clock,
    *,
    name: str,
    role: str,
    person: str | None = None,
    department: str | None = None,
) -> int:
    """Makes an account; returns its id. Raises Invalid naming every wrong field."""
    errors: list[FieldError] = []
    if not name.strip():
        errors.append(FieldError("name", "say whose it is"))
    if role not in ROLES:
        errors.append(FieldError("role", f"{role!r} is no role; use one of {', '.join(ROLES)}"))
    if role == "department_lead" and not department:
        errors.append(FieldError("department", "a department lead needs a department"))
    elif department and role != "department_lead":
        errors.append(FieldError("department", "only a department_lead has a department"))
    elif department:
        spelled = await repository.department_known(session, department)
        if spelled is None:
            errors.append(FieldError("department", f"no department is called {department!r}; import people first"))
        department = spelled
    if person:
        active = await repository.person_known(session, person)
        if active is None:
            errors.append(FieldError("person", f"nobody has the id {person!r}"))
        elif not active:
            errors.append(FieldError("person", f"{person} has left"))
    if errors:
        raise Invalid("The account cannot be made.", errors)
    account_id = await repository.add_account(
        session, name=name.strip(), role=role, person=person, department=department, now=clock.now()
    )
    await audit.append(
        session, stream=audit.SYSTEM, at=clock.now(), actor="operator", kind="account.created",
        data={"account": account_id, "role": role},
    )  # fmt: skip
    return account_id


async def account_of(session: AsyncSession, clock: Clock, *, person: str, name: str) -> Actor:
    """The account in which somebody who followed their own link acts: theirs, or a new one that may only look."""
    found = await repository.by_person(session, person)
    if found is None:
        await create_account(session, clock, name=name, role="viewer", person=person)
        found = await repository.by_person(session, person)
    assert found is not None
    return found


async def create_token(
    session: AsyncSession,
    clock: Clock,
    *,
    name: str,
    role: str,
    person: str | None = None,
    department: str | None = None,
) -> str:
    """Makes an account with an API token; returns the token, which is stored only as its hash."""
    account_id = await create_account(session, clock, name=name, role=role, person=person, department=department)
    token = new_secret("muster_")
    await repository.add_token(session, account_id, hash_secret(token), clock.now())
    await audit.append(
        session, stream=audit.SYSTEM, at=clock.now(), actor="operator", kind="token.created",
        data={"account": account_id},
    )  # fmt: skip
    return token


async def create_sign_in(
    session: AsyncSession,
    clock: Clock,
    *,
    name: str,
    role: str,
    person: str | None = None,
    department: str | None = None,
) -> str:
    """Makes an account with a one-time sign-in secret, good for an hour; returns the secret."""
    account_id = await create_account(session, clock, name=name, role=role, person=person, department=department)
    secret = new_secret()
    await repository.add_sign_in_link(
        session, account_id, hash_secret(secret), clock.now() + timedelta(minutes=SIGN_IN_LINK_MINUTES)
    )
    return secret


async def sign_in(session: AsyncSession, clock: Clock, secret: str) -> str:
    """Uses a one-time link up; returns the session's secret. Raises Unauthorized when it is used or expired."""
    now = clock.now()
    account_id = await repository.use_sign_in_link(session, hash_secret(secret), now)
    if account_id is None:
        raise Unauthorized("This sign-in link was used before or is too old. Make another with: muster signin NAME")
    fresh = new_secret()
    await repository.add_session(session, account_id, hash_secret(fresh), now, now + timedelta(hours=SESSION_HOURS))
    await audit.append(session, stream=audit.SYSTEM, at=now, actor=f"account:{account_id}", kind="signed_in", data={})
    return fresh


async def sign_out(session: AsyncSession, clock: Clock, secret: str) -> None:
    await repository.end_session(session, hash_secret(secret), clock.now())


async def account_names(session: AsyncSession, ids: list[int]) -> dict[int, str]:
    """Names of accounts by id, for showing who did what."""
    return await repository.account_names(session, ids)


async def operator(session: AsyncSession, clock: Clock) -> Actor:
    """The account in whose name the command line acts; made when it is first needed."""
    found = await repository.operator(session)
    if found is None:
        await create_account(session, clock, name=repository.OPERATOR, role="admin")
        found = await repository.operator(session)
        assert found
    return found
