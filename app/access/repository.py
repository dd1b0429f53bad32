"""SQL of access."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.kernel.db import row, rows, run

# Whoever has left may do nothing: looked at each time, so that one fact ends every token and session.
_LIVE = """a.disabled_at IS NULL AND NOT EXISTS (
  SELECT FROM person p WHERE p.employee_id = a.person_employee_id AND NOT p.active)"""

_ACTOR = "a.id AS account_id, a.name, a.role, a.department, a.person_employee_id"


async def by_token(session: AsyncSession, token_hash: str) -> Actor | None:
    found = await row(
        session,
        f"""SELECT {_ACTOR} FROM api_token t JOIN account a ON a.id = t.account_id
            WHERE t.hash = :hash AND t.revoked_at IS NULL AND {_LIVE}""",
        {"hash": token_hash},
    )
    return Actor(**found) if found else None


async def by_session(session: AsyncSession, session_hash: str, now: datetime) -> Actor | None:
    found = await row(
        session,
        f"""SELECT {_ACTOR} FROM session s JOIN account a ON a.id = s.account_id
            WHERE s.hash = :hash AND s.ended_at IS NULL AND s.expires_at > :now AND {_LIVE}""",
        {"hash": session_hash, "now": now},
    )
    return Actor(**found) if found else None


async def by_person(session: AsyncSession, employee_id: str) -> Actor | None:
    """A person's account; the one that may do most when there are several."""
    found = await row(
        session,
        f"""SELECT {_ACTOR} FROM account a WHERE a.person_employee_id = :person AND {_LIVE}
            ORDER BY array_position(ARRAY['commander', 'communications_lead', 'department_lead', 'admin', 'viewer'],
                                    a.role), a.id LIMIT 1""",
        {"person": employee_id},
    )
    return Actor(**found) if found else None


async def add_account(
    session: AsyncSession,
    *, name: str, role: str, person: str | None, department: str | None, now: datetime,
) -> int:  # fmt: skip
    found = await row(
        session,
        """INSERT INTO account (name, role, person_employee_id, department, created_at)
           VALUES (:name, :role, :person, :department, :now) RETURNING id""",
        {"name": name, "role": role, "person": person, "department": department, "now": now},
    )
    assert found
    return int(found["id"])


async def add_token(session: AsyncSession, account_id: int, token_hash: str, now: datetime) -> None:
    await run(
        session,
        "INSERT INTO api_token (account_id, hash, created_at) VALUES (:account, :hash, :now)",
        {"account": account_id, "hash": token_hash, "now": now},
    )


async def add_sign_in_link(session: AsyncSession, account_id: int, link_hash: str, expires_at: datetime) -> None:
    await run(
        session,
        "INSERT INTO sign_in_link (account_id, hash, expires_at) VALUES (:account, :hash, :expires)",
        {"account": account_id, "hash": link_hash, "expires": expires_at},
    )


async def use_sign_in_link(session: AsyncSession, link_hash: str, now: datetime) -> int | None:
    """Uses the link up; the account's id, or None when it is unknown, used or expired."""
    found = await row(
        session,
        """UPDATE sign_in_link SET used_at = :now
           WHERE hash = :hash AND used_at IS NULL AND expires_at > :now RETURNING account_id""",
        {"hash": link_hash, "now": now},
    )
    return int(found["account_id"]) if found else None


async def add_session(
    session: AsyncSession, account_id: int, session_hash: str, now: datetime, expires_at: datetime
) -> None:
    await run(
        session,
        "INSERT INTO session (account_id, hash, created_at, expires_at) VALUES (:account, :hash, :now, :expires)",
        {"account": account_id, "hash": session_hash, "now": now, "expires": expires_at},
    )


async def end_session(session: AsyncSession, session_hash: str, now: datetime) -> None:
    await run(
        session,
        "UPDATE session SET ended_at = :now WHERE hash = :hash AND ended_at IS NULL",
        {"hash": session_hash, "now": now},
    )


async def account_names(session: AsyncSession, ids: list[int]) -> dict[int, str]:
    found = await rows(session, "SELECT id, name FROM account WHERE id = ANY(:ids)", {"ids": ids})
    return {entry["id"]: entry["name"] for entry in found}


async def person_known(session: AsyncSession, employee_id: str) -> bool | None:
    """Whether the person is active; None when nobody has that id."""
    found = await row(session, "SELECT active FROM person WHERE employee_id = :id", {"id": employee_id})
    return bool(found["active"]) if found else None


async def department_known(session: AsyncSession, name: str) -> str | None:
    """The department's own spelling; None when there is none."""
    found = await row(
        session, "SELECT name FROM department WHERE key = :key", {"key": " ".join(name.casefold().split())}
    )
    return str(found["name"]) if found else None


OPERATOR = "operator at the command line"


async def operator(session: AsyncSession) -> Actor | None:
    found = await row(
        session,
        f"""SELECT {_ACTOR} FROM account a WHERE a.name = :name AND a.role = 'admin' AND a.disabled_at IS NULL
            ORDER BY a.id LIMIT 1""",
        {"name": OPERATOR},
    )
    return Actor(**found) if found else None
