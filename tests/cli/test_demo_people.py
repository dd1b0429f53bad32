"""The people whom the demo makes responsible: they are there, they can be told, and their phones answer."""

from __future__ import annotations

import csv
from collections import Counter

from app import demo
from app.directory import numbers
from app.simulator.config import SimulatorConfig
from app.simulator.fates import fate_of


def test_the_demos_commander_and_leads_are_people_who_can_be_told() -> None:
    with demo.PEOPLE.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    ids = Counter(row["id"] for row in rows)
    people = {row["id"]: row for row in rows}
    for person, role, department in ((demo.COMMANDER, "commander", None), *demo.OTHERS):
        row = people[person]
        assert ids[person] == 1, person
        assert row["email"], person
        assert department in (None, row["department"]), (person, role)
        mobile = numbers.read_number(row["mobile"], "US").e164
        assert fate_of(mobile, auto=True, seed=SimulatorConfig.seed).key == "ok", person
    led = {department for _, role, department in demo.OTHERS if role == "department_lead"}
    assert led == {row["department"] for row in rows if row["id"].startswith("E") and row["department"]}
