"""Audiences as SQL: who is meant, which address each channel would use, and why somebody cannot be reached.

Each function gives one SELECT for use inside a larger statement (`INSERT ... SELECT ... FROM (...) AS m`). Values go
in as bind parameters, never as text; `prefix` is a name of ours that keeps the parameters of two uses apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.directory.folding import fold, fold_sql

_PREFIX = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class AudienceSpec:
    """Who belongs to one audience.

    Each criterion given must match; the values within one are alternatives. All are compared without regard to
    case, width and white space. `people` (the employer's ids) belong besides, whatever the criteria say. `everyone`
    means that no criterion is needed; without it an audience without criteria has only its `people`.
    """

    name: str
    departments: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    everyone: bool = False


_FOLDED_COLUMNS = {"sites": "site", "titles": "title", "shifts": "shift"}


def members_sql(specs: Sequence[AudienceSpec], prefix: str = "aud") -> tuple[str, dict[str, Any]]:
    """(SELECT, parameters): `person_id`, `audience`, `language` ('' when unknown) of the active people meant.

    Each person comes once, in the first audience that fits in the order given. Whoever has left never comes.
    """
    _check(prefix)
    names = f"{prefix}_names"
    parameters: dict[str, Any] = {names: [spec.name for spec in specs]}
    choices: list[str] = []
    used: set[str] = set()
    for number, spec in enumerate(specs):
        conditions: list[str] = []
        if spec.departments:
            key = f"{prefix}_{number}_departments"
            parameters[key] = [fold(value) for value in spec.departments]
            conditions.append(f"d.key = ANY(CAST(:{key} AS text[]))")
        for criterion, column in _FOLDED_COLUMNS.items():
            if values := getattr(spec, criterion):
                key = f"{prefix}_{number}_{criterion}"
                parameters[key] = list(values)
                used.add(column)
                conditions.append(f"{prefix}_{column}.key = ANY({_folded_array(key)})")
        if not conditions:
            conditions.append("true" if spec.everyone else "false")
        fits = " AND ".join(conditions)
        if spec.people:
            key = f"{prefix}_{number}_people"
            parameters[key] = list(spec.people)
            used.add("employee_id")
            fits = f"({fits}) OR {prefix}_employee_id.key = ANY({_folded_array(key)})"
        choices.append(f"WHEN {fits} THEN {number + 1}")
    if not choices:
        choices.append("WHEN false THEN 1")
    # Folding is dear and the distinct values are few: each is folded once, then compared by its key. OFFSET 0 keeps
    # the planner from folding per person after all, and from choosing an audience twice.
    folded = "".join(
        f" LEFT JOIN (SELECT {column} AS raw, {fold_sql(column)} AS key FROM"
        f" (SELECT DISTINCT {column} FROM person WHERE active) AS each_{column} OFFSET 0) AS {prefix}_{column}"
        f" ON {prefix}_{column}.raw = p.{column}"
        for column in sorted(used)
    )
    sql = f"""
        SELECT chosen.person_id, (CAST(:{names} AS text[]))[chosen.place] AS audience, chosen.language
        FROM (
          SELECT p.id AS person_id, coalesce(p.language, '') AS language, CASE {" ".join(choices)} END AS place
          FROM person p JOIN department d ON d.id = p.department_id{folded}
          WHERE p.active
          OFFSET 0
        ) AS chosen
        WHERE chosen.place IS NOT NULL"""
    return sql, parameters


def routes_sql(prefix: str = "route", among: str | None = None) -> str:
    """A SELECT of the usable route for each active person and channel: `person_id`, `channel`, `address`.

    An SMS goes to the first number, in the order of contact points, that can be texted and is not suppressed for
    SMS: so the `phone` only when there is no usable `mobile`. A call goes to the first number not suppressed for
    voice nor known to be out of service. Parameters: see `route_parameters`. `among` names a table or CTE with
    `person_id`: only those people are looked at, which for a few of many is far quicker than joining afterwards.
    """
    _check(prefix)
    meant = _among(among, "c.person_id")
    # One condition a channel and not a join table: on a table without statistics yet the planner stays with hashes.
    allowed = f"(CAST(:{prefix}_countries AS text[]) IS NULL OR c.country = ANY(CAST(:{prefix}_countries AS text[])))"
    return f"""
        SELECT DISTINCT ON (c.person_id, w.channel) c.person_id, w.channel, c.address
        FROM unnest(CAST(:{prefix}_channels AS text[])) AS w (channel)
        JOIN contact_point c ON CASE w.channel
          WHEN 'sms' THEN c.kind IN ('mobile', 'phone') AND c.can_text AND {allowed}
          WHEN 'voice' THEN c.kind IN ('mobile', 'phone') AND {allowed}
          WHEN 'email' THEN c.kind = 'email'
          ELSE false END
        JOIN person p ON p.id = c.person_id AND p.active
        WHERE NOT EXISTS (
            SELECT FROM suppression s WHERE s.address = c.address
              AND (s.channel = w.channel OR (w.channel = 'voice' AND s.reason = 'invalid'))){meant}
        ORDER BY c.person_id, w.channel, c.position"""


def route_parameters(
    channels: Sequence[str], countries: Sequence[str] | None, prefix: str = "route"
) -> dict[str, Any]:  # fmt: skip
    """`channels` that are installed; `countries` (ISO codes) that may be texted and called, None for any."""
    _check(prefix)
    return {
        f"{prefix}_channels": list(channels),
        f"{prefix}_countries": None if countries is None else list(countries),
    }


LEFT = "left"
OPTED_OUT = "opted out of texts and has no other address"
OUT_OF_SERVICE = "number is not in service"
OUTSIDE_COUNTRIES = "number is outside the countries that may be texted"
LANDLINE = "number is a landline and cannot be texted"
OPTED_OUT_OF_EMAIL = "opted out of email and has no other address"
EMAIL_REFUSED = "email address does not work"
NO_CONTACT = "no usable contact point"

REASONS: Mapping[int, str] = {
    1: LEFT, 2: OPTED_OUT, 3: OUT_OF_SERVICE, 4: OUTSIDE_COUNTRIES, 5: LANDLINE, 6: OPTED_OUT_OF_EMAIL,
    7: EMAIL_REFUSED, 8: NO_CONTACT,
}  # fmt: skip
"""In the order in which the first that fits is told: what the person chose, then what somebody can put right."""


def why_unreachable_sql(prefix: str = "route", among: str | None = None) -> str:
    """A SELECT of everybody without any route: `person_id`, `reason` (one of REASONS). All else as `routes_sql`.

    Whoever has left comes too, with the reason "left": join it to those who were meant.
    """
    _check(prefix)
    channels = f"CAST(:{prefix}_channels AS text[])"
    countries = f"CAST(:{prefix}_countries AS text[])"
    number = "c.kind IN ('mobile', 'phone')"
    texts = f"('sms' = ANY({channels}))"
    told = " ".join(f"WHEN {place} THEN '{reason}'" for place, reason in REASONS.items())

    return f"""
        SELECT found.person_id, CASE found.place {told} END AS reason
        FROM (
          SELECT p.id AS person_id, CASE WHEN NOT p.active THEN 1 ELSE coalesce(min(CASE
            WHEN {number} AND {texts} AND s.opted_out THEN 2
            WHEN {number} AND s.invalid THEN 3
            WHEN {number} AND {countries} IS NOT NULL AND c.country <> ALL({countries}) THEN 4
            WHEN {number} AND {texts} THEN 5
            WHEN c.kind = 'email' AND s.no_mail THEN 6
            WHEN c.kind = 'email' AND 'email' = ANY({channels}) THEN 7
          END), 8) END AS place
          FROM person p
          LEFT JOIN contact_point c ON c.person_id = p.id
          LEFT JOIN (
            SELECT address, bool_or(channel = 'sms' AND reason = 'opted_out') AS opted_out,
                   bool_or(channel = 'email' AND reason = 'opted_out') AS no_mail,
                   bool_or(reason = 'invalid') AS invalid
            FROM suppression GROUP BY address) AS s ON s.address = c.address
          WHERE NOT EXISTS (SELECT FROM ({routes_sql(prefix, among)}) AS route WHERE route.person_id = p.id)
            {_among(among, "p.id")}
          GROUP BY p.id
        ) AS found"""


def _folded_array(parameter: str) -> str:
    return f"ARRAY(SELECT {fold_sql('given.value')} FROM unnest(CAST(:{parameter} AS text[])) AS given (value))"


def _among(relation: str | None, column: str) -> str:
    if relation is None:
        return ""
    _check(relation)
    return f" AND {column} IN (SELECT person_id FROM {relation})"


def _check(prefix: str) -> None:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("a prefix is a lower-case name")
