"""Reads what people write into contact columns: telephone numbers into E.164, mail addresses into their plain form."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult

from app.directory.labels import says_fax, without_labels
from app.directory.numbering_plan import classify
from app.directory.spellings import as_dialled_now, as_mobile

MAX_ADDRESS = 254
"""RFC 5321: the longest mail address that fits a path."""

_MAX_NUMBER_TEXT = 60

_CANNOT_TEXT = frozenset({
    PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST, PhoneNumberType.UAN, PhoneNumberType.VOICEMAIL,
})  # fmt: skip
"""Kinds that no person's text messages arrive at. North America does not tell fixed lines from mobiles and much of
VoIP takes texts, so both stay textable; the carrier's own refusal (30006, 21614) then marks the number."""

# Direction marks and zero-width signs that phones and web pages copy along with a number.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
_EXTENSION = re.compile(r"(?:(?:\bext|\bextn|\bextension|\bposte|\banexo|\bx|\dx)[\s.:=]*|[#,;]\s*)\d", re.IGNORECASE)
_EXPONENT = re.compile(r"^[+-]?\d+(?:[.,]\d+)?e\+?\d+$", re.IGNORECASE)
_ENDS_ROUND = re.compile(r"0{6}$")
"""A number that was shortened to six digits and written out again; counts only outside every plan."""
_ROUNDED = "was rounded by a spreadsheet; store the column as text and export it again"
_SHAPE = re.compile(r"^[(\[]?\+?[\s(\[]*\d[\d\s().\[\]/~\u2010-\u2015\u2212-]*$")


class ContactProblem(ValueError):
    """Why a text is no usable number or address: `reason` follows the quoted text, as in `"n/a" is not ...`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NumberProblem(ContactProblem):
    """Why a text is no usable telephone number."""


class EmailProblem(ContactProblem):
    """Why a text is no usable mail address."""


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number. `country` is an ISO code (`001` for numbers of no country).

    `valid` is false for a number of the right length that its numbering plan does not contain: it is used all the
    same, because plans change faster than software does.
    """

    e164: str
    country: str
    can_text: bool
    valid: bool


def known_country(code: str) -> bool:
    """Whether `code` (upper-case ISO) is a country whose national numbers can be read."""
    return code in phonenumbers.SUPPORTED_REGIONS


@lru_cache(maxsize=4096)  # one shop's number stands beside everybody who works there
def read_number(text: str, country: str | None) -> Number:
    """Reads an international number, or a national one of `country` (upper-case ISO code, or None).

    Raises NumberProblem when nothing can be dialled: no number, too short or long, an extension, two numbers.
    """
    plain = plain_number(text)
    if not plain:
        raise NumberProblem("is blank")
    if len(plain) > _MAX_NUMBER_TEXT:
        raise NumberProblem("is too long for a phone number")
    if _EXPONENT.match(plain):
        raise NumberProblem(_ROUNDED)
    if not _SHAPE.match(plain):
        if says_fax(plain):
            raise NumberProblem("is a fax number; give one that a person answers")
        if any(sign.isdigit() for sign in plain) and has_extension(plain):
            raise NumberProblem("has an extension, which cannot be dialled for a message; give the direct number")
        raise NumberProblem("is not a phone number")
    return _choose(plain, country)


def plain_number(text: str) -> str:
    """The text in plain signs and without labels (`Mobile:`, `(work)`)."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return without_labels(" ".join(text.split()))


def has_extension(text: str) -> bool:
    return bool(_EXTENSION.search(text))


def _choose(plain: str, country: str | None) -> Number:
    # `00` is how most of the world dials `+`. Tried second: in some countries it begins a national number.
    spellings = [plain]
    if plain.startswith("00"):
        spellings.append("+" + plain[2:])
    outside: tuple[PhoneNumber, str | None] | None = None
    problem = NumberProblem("is not a phone number")
    for spelling in spellings:
        try:
            number = as_dialled_now(phonenumbers.parse(spelling, country))
        except NumberParseException as error:
            problem = NumberProblem(_why_unreadable(error, plain, country))
            continue
        possible = phonenumbers.is_possible_number_with_reason(number)
        if possible != ValidationResult.IS_POSSIBLE:
            problem = NumberProblem(_why_impossible(possible))
            continue
        if (meant := _without_its_plus(plain, number)) is not None:
            number = meant
        region, kind = classify(number)
        outside = outside or (number, region)
        if kind != PhoneNumberType.UNKNOWN:
            return _number(number, region, kind, country)
    if outside is None:
        raise problem
    if _ENDS_ROUND.search(plain):
        raise NumberProblem(_ROUNDED)
    return _number(*outside, PhoneNumberType.UNKNOWN, country)


_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
_LEAST_ABROAD = 11
"""Digits of nearly every mobile with its country code; a fixed line of fewer that lost its 0 is that fixed line."""
_BEGINS_ITSELF = re.compile(r"[\s(\[]*[1-9]")


def _without_its_plus(plain: str, national: PhoneNumber) -> PhoneNumber | None:
    """The mobile that these digits are with a + before them, which spreadsheets take away; None when they are none.

    `491701234567` is +49 170 1234567 in Germany, although its plan has a fixed line of these digits: somebody else's.
    Raises NumberProblem when the mobile is one abroad: which of the two is meant, only who wrote it knows.
    """
    if not _BEGINS_ITSELF.match(plain) or classify(national)[1] in _MOBILE:
        return None
    digits = "".join(filter(str.isdigit, plain))
    try:
        other = as_dialled_now(phonenumbers.parse("+" + digits, None))
    except NumberParseException:
        return None
    if other == national or classify(other)[1] not in _MOBILE:
        return None
    if other.country_code == national.country_code:
        return other
    if len(digits) < _LEAST_ABROAD and classify(national)[1] != PhoneNumberType.UNKNOWN:
        return None
    either = [phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.E164) for one in (other, national)]
    raise NumberProblem(f"may be {either[0]} or {either[1]}; write it with + and the country code")


def _number(number: PhoneNumber, region: str | None, kind: int, country: str | None) -> Number:
    if region is None:
        # Outside its plan, and several countries share the prefix: ours if it is one of them, else the main one.
        sharing = phonenumbers.region_codes_for_country_code(number.country_code or 0)
        region = country if country in sharing else sharing[0] if sharing else "001"
    return Number(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        country=region,
        can_text=kind not in _CANNOT_TEXT,
        valid=kind != PhoneNumberType.UNKNOWN,
    )


def to_be_texted(number: Number) -> Number:
    """The same number as a mobile, where its country writes those in another way than its fixed lines."""
    if number.can_text or number.country != "AR":
        return number
    parsed = phonenumbers.parse(number.e164, None)
    mobile = as_mobile(parsed)
    return number if mobile is parsed else _number(mobile, *classify(mobile), None)


def _why_unreadable(error: NumberParseException, plain: str, country: str | None) -> str:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        if country is None and not plain.startswith(("+", "(+", "00")):
            return "has no country code; write it with + and the country code, or name the country of the file"
        return "begins with a country code that does not exist"
    if error.error_type == NumberParseException.TOO_LONG:
        return "is too long for a phone number"
    return "is too short for a phone number"


def _why_impossible(result: int) -> str:
    match result:
        case ValidationResult.TOO_LONG:
            return "is too long for a phone number; give one number a cell, with + and the country code if it is abroad"
        case ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return "lacks its area code"
        case ValidationResult.INVALID_COUNTRY_CODE:
            return "begins with a country code that does not exist"
        case ValidationResult.INVALID_LENGTH:
            return "has the wrong number of digits for a phone number of its country"
        case _:
            return "is too short for a phone number"


_LOCAL = re.compile(r"^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
_DOMAIN_LABEL = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")


def read_email(text: str) -> str:
    """The address in lower case, an internationalised domain in its ASCII form (`xn--...`), which any server takes.

    Raises EmailProblem for everything that a mail server would refuse, and for anything that could end a header.
    """
    # NFKC makes a full-width address plain before it is judged, so that nothing becomes a special sign afterwards.
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    if not plain:
        raise EmailProblem("is blank")
    if " " in plain or not plain.isprintable():  # every other space is not printable
        raise EmailProblem("is not an email address: it holds a space or a control character")
    local, at, domain = plain.partition("@")
    if not at or "@" in domain:
        raise EmailProblem("is not an email address: it needs exactly one @")
    if not local.isascii():
        raise EmailProblem("cannot be used: many mail servers refuse accented letters before the @")
    if not _LOCAL.match(local) or len(local) > 64:
        raise EmailProblem("is not an email address: the part before the @ cannot be right")
    labels = [_ascii_label(label) for label in domain.split(".")]
    if len(labels) < 2:
        raise EmailProblem("is not an email address: the part after the @ needs a dot, as in example.com")
    if labels[-1].isdigit() or not all(_DOMAIN_LABEL.match(label) for label in labels):
        raise EmailProblem("is not an email address: the part after the @ is no domain name")
    address = f"{local}@{'.'.join(labels)}"
    if len(address) > MAX_ADDRESS:
        raise EmailProblem(f"is longer than the {MAX_ADDRESS} characters an email address may have")
    return address


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    # IDNA 2008, which Python's own codec is not: that one would send mail for straße.example to strasse.example.
    if not all(sign == "-" or unicodedata.category(sign)[0] in "LM" or sign.isdecimal() for sign in label):
        return ""
    return "xn--" + label.encode("punycode").decode("ascii")


def mask(address: str) -> str:
    """The address as it may be shown to those who need not know it: `+1 *** *** 0154`, `j***@example.com`."""
    local, at, domain = address.partition("@")
    if at:
        return f"{local[:1]}***@{domain}"
    try:
        number = phonenumbers.parse(address, None)
    except NumberParseException:
        return "***"
    national = phonenumbers.national_significant_number(number)
    return f"+{number.country_code} *** *** {national[-4:] if len(national) > 7 else national[-2:]}"
