"""What must hold for every text that is said to somebody. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from app.channels.sms_text import encoding, non_gsm_characters, segments, units
from app.playbooks.check_facts import undeclared
from app.playbooks.problems import Problem, joined
from app.playbooks.stages import asks
from app.playbooks.template import BUILT_INS, mistakes, names
from app.playbooks.view import Said, View
from app.playbooks.wording import plain_spelling, promises_of_a_fix_time, reserved_words_asked
from app.playbooks.worst_case import longest_sms, renderings

MOST_SEGMENTS: Final = 3
_CAPACITY: Final = {"GSM-7": MOST_SEGMENTS * 153, "UCS-2": MOST_SEGMENTS * 67}
_LINK: Final = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
_ANOTHER_ALPHABET: Final = 12
"""So many different characters outside GSM-7 are a language that needs them, not a curly quote to be mended."""

_FOR_STAFF: Final = ("sms", "subject", "body", "voice", "page")
_PROMISING: Final = ("sms", "subject", "body", "voice", "page", "say")


def script_problems(view: View, *, link_length: int, sites: Sequence[str]) -> Iterator[Problem]:
    """Unknown facts, reply words, promises, SMS that are too long, lines both to say and not to say."""
    for said in view.texts():
        yield from _names(view, said)
        if said.part in _FOR_STAFF:
            yield from _reply_words(view, said)
        if said.part in _PROMISING:
            yield from _promises(view, said)
        if said.part == "sms":
            yield from _length(view, said, link_length, sites)
            yield from _alphabet(view, said)
        if said.part == "voice" and (link := _LINK.search(said.text)):
            what = "voice is spoken, and nobody can press a spoken link; leave the link out"
            yield view.source.problem(what, said.path, at=view.source.find(said.path, link[0]))
    yield from _said_and_not_said(view)


def _names(view: View, said: Said) -> Iterator[Problem]:
    for piece, place, what in mistakes(said.text):
        yield view.source.problem(what, said.path, at=view.source.find(said.path, piece, place))
    declared = view.mapping("facts")
    for name in dict.fromkeys(names(said.text)):
        at = view.source.find(said.path, f"${{{name}}}")
        fact = view.facts.get(name)
        if name not in declared and name not in BUILT_INS:
            yield view.source.problem(undeclared(name, view), said.path, at=at)
        elif said.stage == "holding" and fact is not None and fact.type != "time":
            what = (
                f"${{{name}}} is not known yet when a holding statement goes out; "
                "use only times and built-in names in it"
            )
            yield view.source.problem(what, said.path, at=at)
        elif fact is not None and not fact.required and fact.default is None:
            what = f"${{{name}}} may have been left out, which leaves a hole here; give {name} a default"
            yield view.source.problem(what, said.path, at=at, warning=True)


def _reply_words(view: View, said: Said) -> Iterator[Problem]:
    for piece, place, word in reserved_words_asked(said.text):
        what = (
            f'"{" ".join(piece.split())}" asks for {word}, a word that carriers act on themselves; '
            "ask for 1, 2 or 3 (the SMS adds how to answer)"
        )
        yield view.source.problem(what, said.path, at=view.source.find(said.path, piece, place))


def _promises(view: View, said: Said) -> Iterator[Problem]:
    for piece, place in promises_of_a_fix_time(said.text):
        what = f'"{" ".join(piece.split())}" promises when it will be over; say when the next word comes instead'
        yield view.source.problem(what, said.path, at=view.source.find(said.path, piece, place), warning=True)


def _length(view: View, said: Said, link_length: int, sites: Sequence[str]) -> Iterator[Problem]:
    text = longest_sms(said.text, view.facts, link_length=link_length, sites=sites, asking=asks(said.stage))
    parts = segments(text)
    if parts <= MOST_SEGMENTS:
        return
    alphabet = encoding(text)
    over = max(units(text) - _CAPACITY[alphabet], 1)
    texts = [
        f"{name} ({int(view.facts[name].max or 0)})"
        for name in dict.fromkeys(names(said.text))
        if name in view.facts and view.facts[name].type == "text"
    ]
    instead = f" or lower max of {' or '.join(texts)}" if texts else ""
    why = ""
    if alphabet == "UCS-2":
        why = f" in UCS-2, because of {joined(non_gsm_characters(text)[:5])}"
    what = f"sms is {parts} parts at worst ({units(text)} characters{why}); shorten it by {over}{instead}"
    yield view.source.problem(what, said.path)


def _alphabet(view: View, said: Said) -> Iterator[Problem]:
    unusual = non_gsm_characters(said.text)
    if 0 < len(unusual) < _ANOTHER_ALPHABET:
        spelled = [f"{plain_spelling(c)} for {c}" for c in unusual if plain_spelling(c)]
        instead = f"write {', '.join(spelled)}" if spelled else "leave it out"
        what = (
            f"{joined([f'{c} (U+{ord(c):04X})' for c in unusual])} makes the whole SMS UCS-2, 67 characters a part "
            f"instead of 153; {instead}"
        )
        yield view.source.problem(what, said.path, at=view.source.find(said.path, unusual[0]), warning=True)
    for name in dict.fromkeys(names(said.text)):
        fact = view.facts.get(name)
        odd = [c for text in (renderings(fact) if fact else ()) for c in non_gsm_characters(text)]
        if odd:
            what = f"${{{name}}} can hold {odd[0]} (U+{ord(odd[0]):04X}), which makes the SMS UCS-2; spell it plainly"
            yield view.source.problem(what, said.path, at=view.source.find(said.path, f"${{{name}}}"), warning=True)


def _said_and_not_said(view: View) -> Iterator[Problem]:
    said_lines: dict[tuple[str, str, str | None], dict[str, Said]] = {}
    for said in view.texts():
        if said.part == "say":
            said_lines.setdefault((said.stage, said.audience, said.language), {})[_bare(said.text)] = said
    for said in view.texts():
        if said.part == "do_not_say":
            same = said_lines.get((said.stage, said.audience, said.language), {}).get(_bare(said.text))
            if same:
                line = view.source.position(same.path)[0]
                what = f"this line is also to be said (line {line}); keep it in one of the two lists"
                yield view.source.problem(what, said.path)


def _bare(line: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", line.casefold()).split())
