"""One telephone, written in several ways: whoever has it is found, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.directory import service
from app.directory.importing import Report
from app.directory.numbers import read_number
from app.directory.spellings import canonical, spellings
from app.kernel.clock import ManualClock
from app.kernel.db import Database, rows, run

Load = Callable[..., Awaitable[Report]]

MEXICO, MEXICO_BEFORE = "+525512345679", "+5215512345679"
ARGENTINA, ARGENTINA_AT_HOME = "+5493412345678", "+543412345678"
BRAZIL, BRAZIL_BEFORE = "+5511987654321", "+551187654321"


@pytest.mark.parametrize(
    ("one", "other"), [(MEXICO, MEXICO_BEFORE), (ARGENTINA, ARGENTINA_AT_HOME), (BRAZIL, BRAZIL_BEFORE)]
)
def test_each_spelling_leads_to_the_other(one: str, other: str) -> None:
    assert spellings(one) == (one, other)
    assert set(spellings(other)) == {one, other}


@pytest.mark.parametrize(
    ("written", "country", "kept"),
    [
        ("+52 1 55 1234 5679", None, MEXICO),
        ("+52 55 1234 5679", None, MEXICO),
        ("044 55 1234 5679", "MX", MEXICO),
        ("+55 11 8765-4321", None, BRAZIL),
        ("+54 9 341 234 5678", None, ARGENTINA),
        ("0341 15 234 5678", "AR", ARGENTINA),
        ("+39 06 12345678", None, "+390612345678"),
        ("06 12345678", "IT", "+390612345678"),
        ("+49 0170 1234567", None, "+491701234567"),
        ("+44 (0)7400 123456", None, "+447400123456"),
    ],
)
def test_the_import_keeps_one_form(written: str, country: str | None, kept: str) -> None:
    number = read_number(written, country)
    assert (number.e164, number.valid) == (kept, True)
    assert canonical(kept) == kept


@pytest.mark.parametrize(
    "address",
    ["+12065550100", "+447700900123", "+551133334444", "+551177654321", "ann@example.com", "12345", "+52", ""],
)
def test_most_have_one_spelling(address: str) -> None:
    assert spellings(address) == (address,)


async def found(db: Database, number: str) -> list[str]:
    async with db.begin() as session:
        return [person["id"] for person in await service.people_at(session, number)]


async def test_a_sender_is_found_by_any_spelling(load: Load, db: Database) -> None:
    await load(f"id,name,department,mobile\nM,Mia,IT,+52 1 55 1234 5679\nA,Ada,IT,{ARGENTINA}\nB,Bia,IT,{BRAZIL}\n")
    for number, who in {
        MEXICO: "M", MEXICO_BEFORE: "M", ARGENTINA: "A", ARGENTINA_AT_HOME: "A", BRAZIL: "B", BRAZIL_BEFORE: "B",
    }.items():  # fmt: skip
        assert await found(db, number) == [who]


async def test_a_number_kept_before_in_the_old_form_still_fits(load: Load, db: Database) -> None:
    await load(f"id,name,department,mobile\nM,Mia,IT,{MEXICO}\n")
    async with db.begin() as session:
        await run(session, "UPDATE contact_point SET address = :before", {"before": MEXICO_BEFORE})
    assert await found(db, MEXICO) == ["M"]


async def test_the_exact_number_comes_before_another_spelling(load: Load, db: Database) -> None:
    await load(f"id,name,department,mobile,phone\nA,Ada,IT,{ARGENTINA},\nB,Ben,IT,,{ARGENTINA_AT_HOME}\n")
    assert await found(db, ARGENTINA) == ["A"]
    assert await found(db, ARGENTINA_AT_HOME) == ["B"]


async def test_several_spellings_at_once_fit_nobody(load: Load, db: Database) -> None:
    await load(f"id,name,department,mobile\nM,Mia,IT,{MEXICO}\nN,Noe,IT,+525587654329\n")
    async with db.begin() as session:
        await run(
            session,
            """UPDATE contact_point SET address = :before WHERE person_id =
               (SELECT id FROM person WHERE employee_id = 'N')""",
            {"before": MEXICO_BEFORE},
        )
    assert await found(db, "+520445512345679") == []


async def test_stop_in_one_spelling_holds_for_all_and_start_ends_it(
    load: Load, db: Database, clock: ManualClock
) -> None:
    await load(f"id,name,department,mobile\nM,Mia,IT,{MEXICO}\nA,Ada,IT,{ARGENTINA}\n")
    async with db.begin() as session:
        for before in (MEXICO_BEFORE, ARGENTINA_AT_HOME):
            assert await service.suppress(session, before, "sms", "opted_out", clock.now())
            assert not await service.suppress(session, before, "sms", "opted_out", clock.now())
        people, _ = await service.list_people(session)
        assert [person["contact_points"][0]["suppressed"] for person in people] == [["opted_out"], ["opted_out"]]
        for kept in (MEXICO, ARGENTINA):
            assert await service.lift(session, kept, "sms", "opted_out")
        assert await rows(session, "SELECT address FROM suppression") == []
        # What the network says of one form says nothing of the other.
        await service.suppress(session, ARGENTINA_AT_HOME, "sms", "invalid", clock.now())
        assert len(await rows(session, "SELECT address FROM suppression")) == 1
