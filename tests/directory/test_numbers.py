"""What people write into contact columns, and what is made of it."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberType

from app.directory.numbering_plan import classify
from app.directory.numbers import EmailProblem, Number, NumberProblem, mask, read_email, read_number

US = Number("+12065550100", "US", can_text=True, valid=True)


@pytest.mark.parametrize(
    "text",
    [
        "+12065550100",
        "+1 206 555 0100",
        "(206) 555-0100",
        "[206] 555-0100",
        "206.555.0100",
        " 206 555 0100 ",
        "1-206-555-0100",
        "(+1) 206 555 0100",
        "206\N{NO-BREAK SPACE}555\N{NO-BREAK SPACE}0100",
        "206\N{NON-BREAKING HYPHEN}555\N{EN DASH}0100",
        "２０６－５５５－０１００",
        "＋１２０６５５５０１００",
        "٢٠٦٥٥٥٠١٠٠",
        "\N{LEFT-TO-RIGHT OVERRIDE}+1 206 555 0100\N{POP DIRECTIONAL FORMATTING}",
        "tel:+12065550100",
        "Mobile: 206 555 0100",
        "0012065550100",
    ],
)
def test_one_number_in_many_spellings(text: str) -> None:
    assert read_number(text, "US") == US


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("0033 6 12 34 56 78", "US", Number("+33612345678", "FR", True, True)),
        ("06 12 34 56 78", "FR", Number("+33612345678", "FR", True, True)),
        ("01 23 45 67 89", "FR", Number("+33123456789", "FR", False, True)),
        ("+44 (0)20 7946 0958", "US", Number("+442079460958", "GB", False, True)),
        ("0171 1234567", "DE", Number("+491711234567", "DE", True, True)),
        ("06 1234 5678", "IT", Number("+390612345678", "IT", False, True)),
        ("647 555 0183", "US", Number("+16475550183", "CA", True, True)),
        ("800 234 5678", "US", Number("+18002345678", "US", False, True)),
        ("+800 1234 5678", None, Number("+80012345678", "001", False, True)),
        ("+1 206 555 0100", None, US),
    ],
)
def test_country_and_kind_come_from_the_numbering_plan(text: str, country: str | None, expected: Number) -> None:
    assert read_number(text, country) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+33 6 39 98 00 07", Number("+33639980007", "FR", True, False)),
        ("(999) 999-9999", Number("+19999999999", "US", True, False)),
        ("0033 6 39 98 00 07", Number("+33639980007", "FR", True, False)),
    ],
)
def test_a_possible_number_outside_its_plan_is_usable_and_marked(text: str, expected: Number) -> None:
    assert read_number(text, "US") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is blank"),
        ("n/a", "is not a phone number"),
        ("TBD", "is not a phone number"),
        ("-", "is not a phone number"),
        ("+", "is not a phone number"),
        ("++1 206 555 0100", "is not a phone number"),
        ("206+5550100", "is not a phone number"),
        ("1-800-FLOWERS", "is not a phone number"),
        ("206 555 0100 or 206 555 0101", "is not a phone number"),
        ("+1 206 555", "is too short"),
        ("911", "is too short"),
        ("555-0100", "lacks its area code"),
        ("206 555 0100 / 206 555 0101", "too long"),
        ("9" * 61, "too long"),
        ("+999 123456", "country code that does not exist"),
        ("(206) 555-0100 x12", "has an extension"),
        ("206-555-0100 ext. 5", "has an extension"),
        ("206 555 0100;ext=5", "has an extension"),
        ("206 555 0100#5", "has an extension"),
        ("206 555 0100,5", "has an extension"),
        ("2.06555E+09", "rounded by a spreadsheet"),
    ],
)
def test_what_cannot_be_dialled_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(NumberProblem) as caught:
        read_number(text, "US")
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("text", "country", "meant"),
    [
        ("491701234567", "DE", "+491701234567"),
        ("49 (170) 123 4567", "DE", "+491701234567"),
        ("436641234567", "AT", "+436641234567"),
        ("0491 701234567", "DE", "+49491701234567"),
        ("1701234567", "DE", "+491701234567"),
        ("30 901820", "DE", "+4930901820"),
        ("298765432", "AU", "+61298765432"),  # with a + it would be a mobile of the Faroe Islands
        ("2065550101", "US", "+12065550101"),
    ],
)
def test_a_mobile_that_lost_its_plus_is_no_fixed_line_of_somebody_else(text: str, country: str, meant: str) -> None:
    assert read_number(text, country).e164 == meant


@pytest.mark.parametrize(
    ("text", "country"), [("447911123456", "DE"), ("33612345678", "DE"), ("12065550141", "DE"), ("491701234567", "AT")]
)
def test_a_mobile_abroad_that_lost_its_plus_is_asked_for(text: str, country: str) -> None:
    with pytest.raises(NumberProblem, match=rf"may be \+{text} or .* with \+ and the country code"):
        read_number(text, country)


@pytest.mark.parametrize(("text", "country"), [("12000000000", "US"), ("+12000000000", None)])
def test_a_shortened_number_that_was_written_out_again_is_nobodys(text: str, country: str | None) -> None:
    with pytest.raises(NumberProblem, match="rounded by a spreadsheet"):
        read_number(text, country)
    assert read_number("+491701000000", None).valid, "in its plan a round number may be somebody's"


def test_a_national_number_without_a_country_asks_for_it() -> None:
    with pytest.raises(NumberProblem) as caught:
        read_number("206 555 0100", None)
    assert "name the country of the file" in caught.value.reason


def test_country_and_kind_are_those_of_the_library_for_every_plan() -> None:
    rng = random.Random(5)
    numbers: list[PhoneNumber] = []
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for region in phonenumbers.region_codes_for_country_code(code):
            for kind in PhoneNumberType.values():
                example = (
                    phonenumbers.example_number_for_non_geo_entity(code)
                    if region == "001"
                    else phonenumbers.example_number_for_type(region, kind)
                )
                if example and example.national_number:
                    numbers += [
                        PhoneNumber(country_code=code, national_number=example.national_number + more)
                        for more in (0, 1, rng.randrange(10_000))
                    ]
        numbers += [PhoneNumber(country_code=code, national_number=rng.randrange(10**n)) for n in range(6, 13)]
    assert len(numbers) > 5000
    for number in numbers:
        expected = phonenumbers.region_code_for_number(number), phonenumbers.number_type(number)
        assert classify(number) == expected, number
        assert (expected[1] != PhoneNumberType.UNKNOWN) == phonenumbers.is_valid_number(number)


@given(st.text(max_size=70), st.sampled_from(["US", "FR", "JP", None]))
@example("+1" * 5000, "US")
@example("1" * 10_000, "US")
@example("+1 206 555 0100" + ";ext=" * 2000, None)
@example("\u0661" * 3000 + "\0", "FR")
def test_any_text_is_a_number_in_e164_or_a_problem(text: str, country: str | None) -> None:
    try:
        number = read_number(text, country)
    except NumberProblem:
        return
    assert number.e164[0] == "+"
    assert number.e164[1:].isascii()
    assert number.e164[1:].isdigit()
    assert 5 <= len(number.e164) <= 18
    assert read_number(number.e164, None).e164 == number.e164
    assert mask(number.e164) != number.e164


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A.B@Example.COM", "a.b@example.com"),
        ("  o'brien+x@mail.example.com ", "o'brien+x@mail.example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ａ＠ｂ．ｃｏｍ", "a@b.com"),
    ],
)
def test_mail_addresses_are_kept_in_their_plain_form(text: str, expected: str) -> None:
    assert read_email(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "a@b", "x@@example.com", "not-an-email", "@example.com", "a@", "a@.com", "a@b..com", "a@-b.com", "a@b.c_d",
        "a..b@example.com", ".a@example.com", "a@1.2.3.4", "a@[1.2.3.4]", '"a b"@example.com', "<a@example.com>",
        "a@example.com, b@example.com", "a b@example.com", "jörg@example.com", "x" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com", "a@" + "b." * 130 + "com", "a@☃.com", "a@example.com\nBcc: b@example.com",
        "a\r\nb@example.com", "a@example.com\0", "a@example\u2028.com",
    ],
)  # fmt: skip
def test_what_no_mail_server_takes_is_refused(text: str) -> None:
    with pytest.raises(EmailProblem):
        read_email(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_accepted_address_can_end_a_header(local: str, domain: str) -> None:
    try:
        address = read_email(f"{local}@{domain}")
    except EmailProblem:
        return
    assert address.isascii()
    assert address.isprintable()
    assert not set(address) & set(' ,;:<>()[]"\\')
    assert read_email(address) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+12065550154", "+1 *** *** 0154"),
        ("+33639980007", "+33 *** *** 0007"),
        ("+80012345678", "+800 *** *** 5678"),
        ("jane@example.com", "j***@example.com"),
        ("nonsense", "***"),
    ],
)
def test_masked_addresses_can_be_told_apart_but_not_used(address: str, shown: str) -> None:
    assert mask(address) == shown
