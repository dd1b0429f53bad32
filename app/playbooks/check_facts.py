"""What must hold for the facts that a playbook declares. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from app.playbooks.facts import validate_value
from app.playbooks.problems import Path, Problem, did_you_mean, joined, shown
from app.playbooks.schema import SITES, Fact
from app.playbooks.template import BUILT_INS, names
from app.playbooks.view import View

# Only for times, whose examples are never declared: any moment does.
_SOME_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)

_USED_BY: Final = {
    "max": ("text", "number", "choice"),
    "min": ("number",),
    "unit": ("number",),
    "decimals": ("number",),
    "choices": ("choice",),
    "many": ("choice",),
    "from_": ("choice",),
    "future": ("time",),
}
_LONGEST_TEXT: Final = 500
_SHORTEST_SITES: Final = 10


def fact_problems(view: View) -> Iterator[Problem]:
    """Wrong combinations, examples that the fact itself refuses, names that cannot be, facts that nothing uses."""
    for name in view.mapping("facts"):
        if name in BUILT_INS:
            what = f"{name} is built in ({BUILT_INS[name]}); give the fact another name"
            yield view.source.problem(what, ("facts", name), key=True)
    for name, fact in view.facts.items():
        path: Path = ("facts", name)
        for key, what in _rules(name, fact):
            at = (*path, key)
            yield view.source.problem(what, at if view.at(*at) is not None else path, key=view.at(*at) is None)
        yield from _example_problems(view, name, fact)
    yield from _unused(view)


def _rules(name: str, fact: Fact) -> Iterator[tuple[str, str]]:
    """What is wrong with one fact, and the key where it is wrong (or from which it is missing)."""
    for key, kinds in _USED_BY.items():
        if key in fact.model_fields_set and getattr(fact, key) not in (None, False, 0) and fact.type not in kinds:
            written = key.rstrip("_")
            yield written, f"{written} means nothing for a {fact.type}; it is for {joined(list(kinds))} only, remove it"
    if fact.default is not None and fact.required:
        yield "default", "default is never shown, since the fact is required; remove it, or add required: false"
    if fact.type == "text":
        yield from _text_rules(name, fact)
    elif fact.type == "number":
        yield from _number_rules(name, fact)
    elif fact.type == "choice":
        yield from _choice_rules(name, fact)


def _text_rules(name: str, fact: Fact) -> Iterator[tuple[str, str]]:
    if fact.max is None:
        yield "max", f"{name} needs max, its longest text in characters, such as max: 60"
    elif not (isinstance(fact.max, int) and 1 <= fact.max <= _LONGEST_TEXT):
        yield "max", f"max must be a whole number of characters from 1 to {_LONGEST_TEXT}, such as 60"
    elif fact.default is not None and len(fact.default) > fact.max:
        yield "default", f"default has {len(fact.default)} characters; shorten it to max ({fact.max}), or raise max"
    if fact.example is None:
        yield "example", f"{name} needs an example, a text that could be real"


def _number_rules(name: str, fact: Fact) -> Iterator[tuple[str, str]]:
    low = fact.min if fact.min is not None else 0
    if fact.max is None:
        yield "max", f"{name} needs max, its largest value, such as max: 1000"
    elif fact.max < low:
        yield "max", f"max ({fact.max}) is below min ({low}); raise max or lower min"
    if fact.example is None:
        yield "example", f"{name} needs an example, a number that could be real"


def _choice_rules(name: str, fact: Fact) -> Iterator[tuple[str, str]]:
    if fact.from_ == SITES:
        if fact.choices is not None:
            yield "choices", "choices come from the directory here; remove choices, or remove from"
        if fact.max is not None and not (isinstance(fact.max, int) and _SHORTEST_SITES <= fact.max <= _LONGEST_TEXT):
            yield "max", f"max must be a whole number of characters from {_SHORTEST_SITES} to {_LONGEST_TEXT}"
        return
    if fact.max is not None:
        yield "max", "max is for choices from the directory; the choices written here have their own length, remove it"
    if fact.choices is None:
        yield "choices", f"{name} needs choices, such as choices: [one, another], or from: {SITES}"
        return
    if fact.example is None:
        yield "example", f"{name} needs an example, one of its choices"


def _example_problems(view: View, name: str, fact: Fact) -> Iterator[Problem]:
    path: Path = ("facts", name)
    seen: dict[str, str] = {}
    for number, choice in enumerate(fact.choices or []):
        folded = " ".join(choice.casefold().split())
        if folded in seen:
            what = f'"{shown(choice)}" is the same choice as "{shown(seen[folded])}"; keep one of the two'
            yield view.source.problem(what, (*path, "choices", number))
        seen.setdefault(folded, choice)
    if fact.example is None:
        return
    if fact.type == "time" or fact.from_ == SITES:
        what = "example is never used here: one is made fresh from the clock or the directory; remove it"
        yield view.source.problem(what, (*path, "example"), warning=True)
        return
    if fact.max is None and fact.type != "choice":
        return
    _, wrong = validate_value(fact, fact.example, sites=(), now=_SOME_TIME)
    if wrong:
        yield view.source.problem(f"example {wrong}", (*path, "example"))


def _unused(view: View) -> Iterator[Problem]:
    used = {name for said in view.texts() for name in names(said.text)}
    for audience in view.mapping("audiences"):
        sites = view.at("audiences", audience, "sites")
        if isinstance(sites, str):
            used.add(sites.removeprefix("$"))
    for name in view.mapping("facts"):
        if name not in used and name not in BUILT_INS:
            what = f"{name} is declared but nothing uses it; use ${{{shown(name)}}} in a script, or remove it"
            yield view.source.problem(what, ("facts", name), key=True, warning=True)


def undeclared(name: str, view: View) -> str:
    """What to say of a name that no fact has."""
    known = [*view.mapping("facts"), *BUILT_INS]
    hint = did_you_mean(name, known) or f"; declare it under facts, or use one of {joined(known)}"
    return f"${{{shown(name)}}} is not a fact of this playbook{hint}"
