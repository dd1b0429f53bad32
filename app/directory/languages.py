"""What an HR file says of a person's language, as the BCP 47 tag by which a message's words are chosen. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_SEVERAL = re.compile(r"\s*[,;/|\n]\s*")
_NO_LANGUAGE = re.compile(r"(?:und|mul|zxx|mis|root|x|q[a-t][a-z])(?:-|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spoken:
    """`tag` is the BCP 47 tag, None where there is none. `remark` says what to know about it, after the quoted cell."""

    tag: str | None
    remark: str | None = None


@lru_cache(maxsize=4096)
def read_language(text: str) -> Spoken:
    """The language that a cell means: a tag in any case and with `_`, or a name in any language (`Deutsch`)."""
    if (tag := _tag(text)) or not _SEVERAL.search(text):
        return Spoken(tag, None if tag else _unknown(text))
    known = [tag for piece in _SEVERAL.split(text) if (tag := _tag(piece))]
    if not known:
        return Spoken(None, _unknown(text))
    return Spoken(known[0], f"names several languages; {known[0]} is used")


def _tag(text: str) -> str | None:
    import langcodes  # heavy, and only needed here

    plain = re.split(r"[.@]", text.strip().replace("_", "-"), maxsplit=1)[0]
    if len(plain) < 2 or _NO_LANGUAGE.match(plain):
        return None
    if langcodes.tag_is_valid(plain):
        return langcodes.standardize_tag(plain)
    if _SEVERAL.search(text):
        return None
    try:
        return langcodes.find(" ".join(text.split())).to_tag()
    except LookupError:
        return None


def _unknown(text: str) -> str:
    import langcodes  # heavy, and only needed here

    said = "is not a language; write its BCP 47 tag, such as en, de or pt-BR"
    code = text.strip().upper()
    if not (len(code) == 2 and code.isascii() and code.isalpha()):
        return said
    # A country's code where a language's belongs: cz for cs, jp for ja.
    spoken = langcodes.Language.make(territory=code).maximize().language
    return f"{said}; for that country perhaps {spoken}" if spoken and spoken not in ("en", "und") else said
