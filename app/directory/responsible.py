"""Who can be told of others: commanders and department leads who are people here, and managers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row


@dataclass(frozen=True)
class Responsible:
    """`commanders`: people with an account that commands and a way to be told, by text or email.

    `led`, `unled`: departments with people in them, by whether such a person leads them. `managed`: people whose
    manager is here too.
    """

    commanders: int
    led: int
    unled: tuple[str, ...]
    managed: int

    @property
    def nobody_for_help(self) -> bool:
        """Whether nobody can be told of somebody who needs help: managers are not."""
        return not (self.commanders or self.led)


async def responsible(session: AsyncSession) -> Responsible:
    found = await row(
        session,
        """
        WITH held AS (
          SELECT a.role, a.department FROM account a
          JOIN person p ON p.employee_id = a.person_employee_id AND p.active WHERE a.disabled_at IS NULL
            AND EXISTS (
              SELECT FROM contact_point c WHERE c.person_id = p.id AND c.kind IN ('mobile', 'email') AND NOT EXISTS (
                SELECT FROM suppression x WHERE x.address = c.address
                  AND x.channel = CASE c.kind WHEN 'email' THEN 'email' ELSE 'sms' END))
        ), there AS (
          SELECT DISTINCT d.name FROM department d JOIN person p ON p.department_id = d.id AND p.active
        ), led AS (
          SELECT name, EXISTS (SELECT FROM held WHERE role = 'department_lead' AND department = name) AS so FROM there
        )
        SELECT (SELECT count(*) FROM held WHERE role IN ('commander', 'communications_lead', 'admin')) AS commanders,
               (SELECT count(*) FROM led WHERE so) AS led,
               (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM led WHERE NOT so) AS unled,
               (SELECT count(*) FROM person p JOIN person m ON m.id = p.manager_id AND m.active
                WHERE p.active) AS managed
        """,
        {},
    )
    assert found is not None
    return Responsible(found["commanders"], found["led"], tuple(found["unled"]), found["managed"])
