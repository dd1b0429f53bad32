"""The longest a text message can become: longest choices, texts at their length, link, code, DRILL. Pure.

A text fact counts as GSM-7 at its full length: what people type is checked again, really, when a bulletin is drafted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from app.channels.sms_text import compose_sms, encoding, segments, units
from app.playbooks.facts import LONGEST_TIME, format_digits, number_bounds, room, with_unit
from app.playbooks.problems import joined
from app.playbooks.schema import SITES, Fact, Playbook, Stage
from app.playbooks.stages import asks
from app.playbooks.template import BUILT_IN_LONGEST, ScriptTemplate, names

LINK_LENGTH: Final = 70
LONGEST_CODE: Final = "K7W"
_LINK_START: Final = "https://"
_WIDE: Final = "W"


def renderings(fact: Fact, sites: Sequence[str] = ()) -> list[str]:
    """The longest texts that a fact can become; several when one of them is outside GSM-7.

    `sites` are the directory's, where they are known; their names are cut to the fact's room in any case.
    """
    found = [fact.default] if fact.default is not None and not fact.required else []
    if fact.type == "text":
        found.append(_WIDE * min(int(fact.max or 0), 500))
    elif fact.type == "time":
        found.append(LONGEST_TIME)
    elif fact.type == "number":
        found.extend(_numbers(fact))
    elif fact.from_ == SITES:
        found.append(_WIDE * min(room(fact), 500))
        # Which names are chosen together is not known: as long as there is room, with one letter outside GSM-7.
        unusual = next((letter for name in sites for letter in name if encoding(letter) == "UCS-2"), "")
        if unusual:
            found.append((unusual + _WIDE * 500)[: min(room(fact), 500)])
    elif fact.choices:
        found.extend([joined(fact.choices)] if fact.many else fact.choices)
    return found or [""]


def _numbers(fact: Fact) -> list[str]:
    low, high = (Decimal(str(bound)) for bound in number_bounds(fact))
    step = Decimal(1).scaleb(-fact.decimals)
    return [
        with_unit(fact, format_digits(value))
        for value in (low, high, low + step, high - step)
        if low <= value <= high or value in (low, high)
    ]


def longest_sms(
    body: str,
    facts: Mapping[str, Fact],
    *,
    drill: bool = True,
    link_length: int = LINK_LENGTH,
    sites: Sequence[str] = (),
    asking: bool = True,
) -> str:
    """The script's longest text message. Names that are not declared stand as they are written."""
    used = list(dict.fromkeys(name for name in names(body) if name in facts))
    options = {name: renderings(facts[name], sites) for name in used}
    plain = {name: [o for o in found if encoding(o) == "GSM-7"] or found for name, found in options.items()}
    longest = {name: max(found, key=_utf16) for name, found in options.items()}
    choices = [{name: max(found, key=units) for name, found in plain.items()}, longest]
    # One value outside GSM-7 is enough to change the whole text, and the longest value may not be the one.
    for name, found in options.items():
        unusual = [option for option in found if encoding(option) == "UCS-2"]
        if unusual:
            choices.append(longest | {name: max(unusual, key=_utf16)})
    link = (_LINK_START + "x" * link_length)[:link_length]
    template = ScriptTemplate(body)
    code = LONGEST_CODE if asking else None
    texts = [
        compose_sms(template.safe_substitute({**BUILT_IN_LONGEST, **values}), link=link, code=code, drill=drill)
        for values in choices
    ]
    return max(texts, key=lambda text: (segments(text), units(text)))


def _utf16(text: str) -> int:
    return sum(2 if ord(c) > 0xFFFF else 1 for c in text)


def worst_case_sms(
    playbook: Playbook,
    stage: Stage,
    audience: str,
    language: str | None = None,
    *,
    drill: bool = True,
    link_length: int = LINK_LENGTH,
    sites: Sequence[str] = (),
) -> str:
    """The longest text message that a script can become. KeyError for an undeclared stage or audience."""
    script = playbook.script(stage, audience, language)
    return longest_sms(
        script.sms, playbook.facts, drill=drill, link_length=link_length, sites=sites, asking=asks(stage)
    )
