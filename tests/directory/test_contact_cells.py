"""Several numbers or addresses in a cell, and words beside them."""

from __future__ import annotations

import pytest

from app.directory.contact_cells import Contacts, read_contacts, read_emails, read_numbers
from app.directory.labels import LABELS
from app.directory.numbers import NumberProblem, read_number

HOME, MOBILE = "+12065550100", "+12065550101"


@pytest.mark.parametrize(
    ("cell", "country", "numbers", "left"),
    [
        ("206 555 0100 / 206 555 0101", "US", [HOME, MOBILE], []),
        ("206 555 0100; 206 555 0101", "US", [HOME, MOBILE], []),
        ("206 555 0100, 206 555 0101", "US", [HOME, MOBILE], []),
        ("206 555 0100 | 206 555 0101", "US", [HOME, MOBILE], []),
        ("206 555 0100\n206 555 0101", "US", [HOME, MOBILE], []),
        ("206 555 0100 or 206 555 0101", "US", [HOME, MOBILE], []),
        ("+12065550100 +12065550101", None, [HOME, MOBILE], []),
        ("home 206 555 0100; cell: 206 555 0101", "US", [HOME, MOBILE], []),
        ("206 555 0100 (home), 206 555 0101 (work)", "US", [HOME, MOBILE], []),
        ("0170 1234567 und 0171 7654321", "DE", ["+491701234567", "+491717654321"], []),
        ("206 555 0100 / +1 206 555 0100", "US", [HOME], []),
        ("n/a / 206 555 0100", "US", [HOME], []),
        ("206 555 0100 / 555-0101", "US", [HOME], ["555-0101"]),
        ("+49 170 1234567 / 68", None, ["+491701234567"], ["68"]),
        ("0228/1234567; 0170/1234567", "DE", ["+492281234567", "+491701234567"], []),
        ("0228/1234567, 0170/1234567", "DE", ["+492281234567", "+491701234567"], []),
        ("0170/1234567 oder 0171/7654321", "DE", ["+491701234567", "+491717654321"], []),
        ("mobil: 0170 1234567 privat: 0228 1234567", "DE", ["+491701234567", "+492281234567"], []),
        ("020 7946 0018 (h) 07700 900123 (m)", "GB", ["+442079460018", "+447700900123"], []),
        ("07700 900123 / 900124", "GB", ["+447700900123"], ["900124"]),
        ("0228 1234-56/57", "DE", ["+49228123456"], ["57"]),
        # One number, however it is divided.
        ("030/123456", "DE", ["+4930123456"], []),
        ("0170/1234567", "DE", ["+491701234567"], []),
        ("0664/1234567", "AT", ["+436641234567"], []),
        ("+49 (0)30/901820", None, ["+4930901820"], []),
        ("206/555/0100", "US", [HOME], []),
        ("206 555\n0100", "US", [HOME], []),
    ],
)
def test_a_cell_gives_each_of_its_numbers_once(
    cell: str, country: str | None, numbers: list[str], left: list[str]
) -> None:
    found = read_numbers(cell, country)
    assert [number.e164 for number in found.usable] == numbers
    assert list(found.left) == left


@pytest.mark.parametrize("cell", ["206 555 0100,5", "206 555 0100;ext=5", "206 555 0100 x 5 / 206 555 0101"])
def test_an_extension_is_never_a_second_number(cell: str) -> None:
    with pytest.raises(NumberProblem, match="extension"):
        read_numbers(cell, "US")


def test_the_rest_behind_an_area_code_is_never_a_number_of_its_own() -> None:
    # In Austria 12345678901 alone would be somebody in Vienna.
    with pytest.raises(NumberProblem):
        read_numbers("0664/12345678901", "AT")


@pytest.mark.parametrize(
    "form", ["{}: 206 555 0100", "{} 206 555 0100", "206 555 0100 ({})", "206 555 0100 {}", "({}) 206 555 0100"]
)
def test_a_label_beside_a_number_is_taken_off(form: str) -> None:
    for label in (label for labels in LABELS.values() for label in labels.split("|")):
        assert read_number(form.format(label), "US").e164 == HOME, label
        assert read_number(form.format(label.title()), "US").e164 == HOME, label


def test_a_fax_is_nobodys_phone() -> None:
    with pytest.raises(NumberProblem, match="fax"):
        read_number("Fax: 206 555 0100", "US")
    assert [number.e164 for number in read_numbers("206 555 0100 / fax 206 555 0101", "US").usable] == [HOME]


def contacts(**cells: str) -> tuple[Contacts, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    found = read_contacts(
        cells, "DE", warn=lambda column, reason: told.append((column, reason)),
        drop=lambda column, reason: told.append((column, f"dropped: {reason}")),
    )  # fmt: skip
    return found, told


def shown(found: Contacts) -> tuple[str | None, str | None]:
    return found.mobile.e164 if found.mobile else None, found.phone.e164 if found.phone else None


LANDLINE, GERMAN = "+4930901820", "+491701234567"


@pytest.mark.parametrize(
    ("cells", "expected", "columns"),
    [
        ({"mobile": "030 901820 / 0170 1234567"}, (GERMAN, LANDLINE), ["mobile"]),
        ({"mobile": "0170 1234567 / 030 901820"}, (GERMAN, LANDLINE), ["mobile"]),
        ({"mobile": "030 901820 / 030 901821"}, (LANDLINE, "+4930901821"), ["mobile"]),
        ({"mobile": "030 901820 / 0170 1234567", "phone": "030 901829"}, (GERMAN, "+4930901829"), ["mobile"]),
        ({"mobile": "", "phone": "030 901820 / 0170 1234567"}, (GERMAN, LANDLINE), ["phone"]),
        ({"mobile": "0171 7654321", "phone": "030 901820; 0170 1234567"}, ("+491717654321", LANDLINE), ["phone"]),
        ({"mobile": "0170 1234567", "phone": "030 901820"}, (GERMAN, LANDLINE), []),
    ],
)
def test_the_mobile_is_the_first_that_can_be_texted_and_the_other_the_phone(
    cells: dict[str, str], expected: tuple[str, str], columns: list[str]
) -> None:
    found, told = contacts(**cells)
    assert shown(found) == expected
    assert [column for column, _ in told] == columns


def test_what_is_left_out_is_named() -> None:
    _, told = contacts(mobile="0170 1234567 / 030 901820 / 030 901821", phone="")
    assert told == [
        (
            "mobile",
            '"0170 1234567 / 030 901820 / 030 901821" holds several numbers; +491701234567 is used as the mobile, '
            "+4930901820 as the phone; +4930901821 was left out",
        )
    ]


def test_a_mobile_of_argentina_can_be_texted_in_either_spelling() -> None:
    for cell in ("+54 341 234 5678", "+54 9 341 234 5678"):
        found, told = contacts(mobile=cell)
        assert found.mobile
        assert (found.mobile.e164, found.mobile.can_text, told) == ("+5493412345678", True, [])
    found, _ = contacts(phone="+54 341 234 5678")
    assert found.phone
    assert (found.phone.e164, found.phone.can_text) == ("+543412345678", False)


@pytest.mark.parametrize(
    "cell",
    [
        "ann@example.com; b@example.com", "ann@example.com,b@example.com", "ann@example.com / b@example.com",
        "ann@example.com b@example.com", "ann@example.com\nb@example.com", "mailto:ann@example.com; b@example.com",
        "Ann Lee <ann@example.com>; b@example.com", "ann@example.com; b@",
    ],
)  # fmt: skip
def test_of_several_addresses_the_first_that_works_is_used(cell: str) -> None:
    found, told = contacts(email=cell)
    assert found.email == "ann@example.com"
    assert [column for column, _ in told] == ["email"]
    assert "left out" in told[0][1]


def test_an_address_with_a_name_or_a_stray_sign_is_that_address() -> None:
    for cell in (
        "Ann Lee <ann@example.com>",
        '"Lee, Ann" <ann@example.com>',
        "ann@example.com;",
        "mailto:ann@example.com",
    ):
        assert read_emails(cell).usable == ("ann@example.com",)
        assert contacts(email=cell)[1] == []


def test_half_an_address_is_never_somebody_elses() -> None:
    for cell in ("ann lee@example.com", "ann, lee@example.com", "ann/lee @example.com", "a@@b", "n/a"):
        found, told = contacts(email=cell)
        assert found.email is None, cell
        assert told[0][1].startswith("dropped")
