"""What people write beside a telephone number to say what kind it is, to be taken off. Pure."""

from __future__ import annotations

import re

LABELS: dict[str, str] = {
    "en": "mobile|mob|cell|cellular|cellphone|cell phone|mobile phone|telephone|phone|tel|ph|work|home|office|business|"
          "private|personal|direct|main|primary|company|landline|desk|whatsapp|sms|number|num|no|nr|w|h|m|c|t|p|o",
    "de": "mobil|handy|mobilfunk|mobiltelefon|telefon|fon|festnetz|privat|dienstlich|dienst|geschäftlich|büro|arbeit|"
          "zentrale|durchwahl|diensthandy",
    "fr": "portable|téléphone|tél|fixe|bureau|domicile|maison|travail|pro|perso|professionnel|personnel|gsm",
    "es": "móvil|movil|celular|cel|teléfono|telefono|fijo|casa|trabajo|oficina|particular",
    "it": "cellulare|telefono|fisso|ufficio|lavoro",
    "nl": "mobiel|telefoon|werk|thuis|vast|kantoor",
    "pt": "telemóvel|telemovel|telefone|fixo|trabalho|escritório|escritorio",
}  # fmt: skip
"""Language -> its labels, as written in lower case."""

_WORD = "|".join(sorted({label for labels in LABELS.values() for label in labels.split("|")}, key=len, reverse=True))
_BEFORE = re.compile(rf"[(\[]?\b(?:{_WORD})\b[)\]]?(?:\s*[.:)\]=-]+\s*|\s+|(?=\+))", re.IGNORECASE)
_BEHIND = re.compile(rf"(?<=[\d\s)])[\s,:-]*[(\[]?\b(?:{_WORD})\b\.?[)\]]?\s*$", re.IGNORECASE)
_BETWEEN = re.compile(rf"(?<=\d)\s*[(\[]?\b(?:{_WORD})\b\.?[)\]]?\s*:?\s*(?=[(+]*\d)", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_FAX = re.compile(r"\b(?:fax|telefax|téléfax)\b", re.IGNORECASE)


def without_labels(text: str) -> str:
    """The text without the labels before and behind it, however many: `Work mobile: 0170 1` is `0170 1`."""
    if not _LETTER.search(text):
        return text
    while found := _BEFORE.match(text):
        text = text[found.end() :].lstrip()
    while found := _BEHIND.search(text):
        text = text[: found.start()].rstrip()
    return text


def divided_at_labels(text: str) -> str:
    """The text with `;` for each label between two numbers: `0228 1 (home) 0170 2` is `0228 1;0170 2`."""
    return _BETWEEN.sub(";", text)


def says_fax(text: str) -> bool:
    return bool(_FAX.search(text))
