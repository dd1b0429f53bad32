"""What an SMS costs and what it looks like: encoding, segments, and the one form every text of ours has. Pure.

GSM-7 (3GPP TS 23.038): 160 characters alone, 153 in each part when split. UCS-2: 70 and 67, counted in UTF-16 units.
One character outside GSM-7 turns the whole text into UCS-2. `^ { } \\ [ ~ ] | €` and form feed count two in GSM-7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Encoding = Literal["GSM-7", "UCS-2"]

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("^{}\\[~]|€\f")

_ONE_PART: Final[dict[Encoding, int]] = {"GSM-7": 160, "UCS-2": 70}
_EACH_PART: Final[dict[Encoding, int]] = {"GSM-7": 153, "UCS-2": 67}

RESERVED_WORDS: Final = (
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT",
    "START", "UNSTOP", "YES", "HELP", "INFO",
)  # fmt: skip
"""Words that carriers answer or act on themselves: a text of ours never asks for one (Twilio's opt-out keywords)."""

HOW_TO_ANSWER: Final = "Reply 1 OK, 2 need help, 3 cannot"
_CODE: Final = re.compile(r"[A-Z0-9]{2,4}", re.ASCII)


def encoding(text: str) -> Encoding:
    """`GSM-7` when every character is in that alphabet, otherwise `UCS-2`."""
    return "GSM-7" if all(c in _BASIC or c in _EXTENSION for c in text) else "UCS-2"


def non_gsm_characters(text: str) -> list[str]:
    """The characters that force UCS-2, each once, in order of appearance."""
    return list(dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENSION))


def _width(character: str, alphabet: Encoding) -> int:
    if alphabet == "GSM-7":
        return 2 if character in _EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1


def units(text: str) -> int:
    """The length a carrier counts: septets in GSM-7 (extension characters two), UTF-16 units in UCS-2."""
    alphabet = encoding(text)
    return sum(_width(c, alphabet) for c in text)


def segments(text: str) -> int:
    """How many parts the text is billed as; an empty text is one part.

    A pair (escape and extension character, or two surrogates) is never split: when only its first half would fit,
    both go to the next part, so a part may end one unit short.
    """
    alphabet = encoding(text)
    widths = [_width(c, alphabet) for c in text]
    if sum(widths) <= _ONE_PART[alphabet]:
        return 1
    parts, used, room = 1, 0, _EACH_PART[alphabet]
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts


@dataclass(frozen=True)
class SmsParts:
    """The parts of one text. `link` is the person's staff page; `code` is 2 to 4 of A-Z and 0-9, None for news, which
    asks for no answer."""

    body: str
    link: str
    code: str | None
    drill: bool = False

    def text(self) -> str:
        """The whole text: body, link, code, how to answer; news ends with its link. A drill's begins and ends with
        DRILL.

        Raises ValueError for a code or a link that could not be read back from the text.
        """
        if self.code is not None and not _CODE.fullmatch(self.code):
            raise ValueError(f"a reply code is 2 to 4 of A-Z and 0-9, not {self.code!r}")
        if not self.link or any(c.isspace() for c in self.link):
            raise ValueError(f"a staff link has no spaces and is not empty, not {self.link!r}")
        said = " ".join(self.body.split())
        message = f"{said} {self.link}".lstrip()
        if self.code is not None:
            message += f" Code {self.code}. {HOW_TO_ANSWER}"
        return f"DRILL. {message} DRILL" if self.drill else message


def compose_sms(body: str, *, link: str, code: str | None, drill: bool) -> str:
    """`{body} {link} Code {code}. Reply 1 OK, 2 need help, 3 cannot`, with DRILL around it in a drill.

    Without a code it is news: `{body} {link}`.

    The body is trimmed and its runs of white space become one space. Raises ValueError as `SmsParts.text` does.
    """
    return SmsParts(body, link, code, drill).text()
