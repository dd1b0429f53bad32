"""Who may do what: one table of roles and actions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    READ = "read"
    """Playbooks, incidents, bulletins, boards, timelines, reviews, people with masked addresses."""
    READ_ADDRESSES = "read_addresses"
    """Phone numbers and email addresses in full; a department lead sees only the own department's."""
    IMPORT_PEOPLE = "import_people"
    RETRY_NUMBERS = "retry_numbers"
    """Lift the flag from a number that the network refused; a department lead only in the own department."""
    DECLARE = "declare"
    CHANGE_INCIDENT = "change_incident"
    DRAFT = "draft"
    APPROVE = "approve"
    SEND = "send"
    CANCEL = "cancel"
    OPT_OUT_FOR = "opt_out_for"
    """Opt an address out, and in again, on its holder's behalf; a department lead only in the own department."""
    ACKNOWLEDGE_FOR = "acknowledge_for"
    """On somebody's behalf; a department lead only for the own department."""
    TAKE_HELP = "take_help"


_EVERYBODY = frozenset({"admin", "commander", "communications_lead", "department_lead", "viewer"})
_LEADS = frozenset({"admin", "commander", "communications_lead"})

MATRIX: dict[Action, frozenset[str]] = {
    Action.READ: _EVERYBODY,
    Action.READ_ADDRESSES: frozenset({"admin", "commander", "department_lead"}),
    Action.IMPORT_PEOPLE: frozenset({"admin"}),
    Action.RETRY_NUMBERS: frozenset({"admin", "department_lead"}),
    Action.DECLARE: frozenset({"admin", "commander"}),
    Action.CHANGE_INCIDENT: frozenset({"admin", "commander"}),
    Action.DRAFT: _LEADS,
    Action.APPROVE: _LEADS,
    Action.SEND: _LEADS,
    Action.CANCEL: _LEADS,
    Action.OPT_OUT_FOR: _LEADS | {"department_lead"},
    Action.ACKNOWLEDGE_FOR: _LEADS | {"department_lead"},
    Action.TAKE_HELP: _LEADS | {"department_lead"},
}
"""Approving needs more than the right to try: the playbook says whose approval counts."""


@dataclass(frozen=True)
class Actor:
    """Who is acting. `department` is set for a department lead only."""

    account_id: int
    name: str
    role: str
    department: str | None = None
    person_employee_id: str | None = None

    def may(self, action: Action) -> bool:
        return self.role in MATRIX[action]

    @property
    def label(self) -> str:
        """How the record names the actor: the account's id, never a name."""
        return f"account:{self.account_id}"
