"""Everything that must hold for a playbook before it is saved, all at once, each problem at its place. Pure."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError

from app.directory.folding import fold
from app.playbooks.check_facts import fact_problems
from app.playbooks.check_scripts import MOST_SEGMENTS, script_problems
from app.playbooks.fields import parse_duration
from app.playbooks.problems import Path, Problem, did_you_mean, joined, listed, shown
from app.playbooks.schema import ANYONE, EVERYONE, SEVERITIES, SITES, STAGES, QuietHours
from app.playbooks.shape import shape_problems
from app.playbooks.view import View
from app.playbooks.worst_case import LINK_LENGTH, worst_case_sms
from app.playbooks.yaml_source import Source

__all__ = ["LINK_LENGTH", "MOST_SEGMENTS", "Known", "check", "worst_case_sms"]

LONG_QUIET: Final = timedelta(hours=12)

_CRITERIA: Final = ("departments", "sites", "titles", "shifts", "people", "everyone")


@dataclass(frozen=True)
class Known:
    """What the directory holds; None where it is not known. Names nobody has are warned about, not refused."""

    departments: frozenset[str] | None = None
    sites: frozenset[str] | None = None
    titles: frozenset[str] | None = None
    shifts: frozenset[str] | None = None
    people: frozenset[str] | None = None


def check(source: Source, *, link_length: int = LINK_LENGTH, known: Known | None = None) -> list[Problem]:
    """All problems of a playbook, errors and warnings, sorted by position. It may be used when none is an error.

    `link_length` is the length of a staff link in characters. Never raises, whatever was loaded.
    """
    problems = list(source.problems)
    if source.data is not None:
        view = View(source)
        sites = sorted(known.sites or ()) if known else ()
        problems += shape_problems(source)
        for part in (_identity, fact_problems, _severities, _ladders, _audiences, _stages, _languages, _waterline):
            problems += part(view)
        problems += _quiet_hours(view)
        problems += _holding(view)
        problems += script_problems(view, link_length=link_length, sites=sites)
        if known:
            problems += unknown_names(source, known)
    return sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.column, p.severity, p.what))


def _identity(view: View) -> Iterator[Problem]:
    slug, file = view.at("slug"), pathlib.PurePath(view.source.name)
    if isinstance(slug, str) and file.suffix in (".yaml", ".yml") and slug != file.stem:
        what = f'slug is "{shown(slug)}" but the file is called {shown(file.name)}; name both the same'
        yield view.source.problem(what, ("slug",))
    owner, departments = view.at("owner"), view.mapping("departments")
    if isinstance(owner, str) and departments and owner.strip() not in departments:
        hint = did_you_mean(owner, departments) or f"; name one of {listed(departments)}"
        yield view.source.problem(f'owner "{shown(owner)}" is not under departments{hint}', ("owner",))
    for name in departments:
        for number, _ in enumerate(view.items("departments", name, "commitments")):
            yield from _positive(view, ("departments", name, "commitments", number, "due"))
    yield from _positive(view, ("help_within",))


def _positive(view: View, path: Path) -> Iterator[Problem]:
    if _duration(view.at(*path)) == timedelta(0):
        yield view.source.problem(f"{path[-1]} is no time at all; write a duration above zero, such as 20m", path)


def _duration(value: Any) -> timedelta | None:
    try:
        return parse_duration(value)
    except ValueError:
        return None


def _lacking(view: View, path: Path, needed: Iterable[str], what: str) -> Iterator[Problem]:
    """The names that a mapping needs and does not have; silent where there is no mapping, which the shape reports."""
    there = view.at(*path)
    if isinstance(there, dict):
        missing = [name for name in needed if name not in there]
        if missing:
            yield view.source.problem(f"{path[-1]} lacks {joined(missing)}; add {what}", path, key=True)


def _severities(view: View) -> Iterator[Problem]:
    yield from _lacking(view, ("severities",), SEVERITIES, "each with means and cadence")
    for name in view.mapping("severities"):
        yield from _positive(view, ("severities", name, "cadence"))
    yield from _positive(view, ("min_interval",))


def _ladders(view: View) -> Iterator[Problem]:
    yield from _ladder(view, ("ladder",))
    shared = view.items("ladder")
    for name in view.mapping("severities"):
        own: Path = ("severities", name, "ladder")
        yield from _ladder(view, own)
        path: Path = own if view.items(*own) else ("ladder",)
        steps = view.items(*own) or shared
        last = _duration(view.at(*path, len(steps) - 1, "after")) if steps else None
        cadence = _duration(view.at("severities", name, "cadence"))
        if last and cadence and last >= cadence:
            what = (
                f"at {name} the next bulletin is due (cadence {view.at('severities', name, 'cadence')}) before this "
                "step is taken; take it sooner, or give that severity a ladder of its own"
            )
            yield view.source.problem(what, (*path, len(steps) - 1, "after"), warning=True)


def _ladder(view: View, path: Path) -> Iterator[Problem]:
    taken: dict[tuple[str, str], int] = {}
    before: tuple[timedelta, bool] | None = None
    for number, step in enumerate(view.items(*path)):
        if not isinstance(step, dict):
            continue
        at: Path = (*path, number)
        if number == 0 and step.get("tell") is not None and step.get("send") is None:
            what = (
                "a ladder begins with the person themselves; put a step with send: sms, email or voice before this one"
            )
            yield view.source.problem(what, (*at, "tell"))
        for key, again in (("send", "is tried twice"), ("tell", "is told twice")):
            name = step.get(key)
            if not isinstance(name, str):
                continue
            first = taken.setdefault((key, name), number)
            if first != number:
                each = "each channel" if key == "send" else "each of them"
                what = f"{shown(name)} {again} (first in step {first + 1}); use {each} once"
                yield view.source.problem(what, (*at, key))
        after = _duration(step.get("after", "0s"))
        if after is None:
            continue
        place: Path = (*at, "after") if "after" in step else at
        if number == 0 and after:
            what = "the first step is taken at once; write after: 0s, or leave after out"
            yield view.source.problem(what, place)
        elif before is not None and (after < before[0] or (after == before[0] and before[1] == ("tell" in step))):
            # A person may be tried and somebody told of it at the same moment.
            what = "each step comes later than the one before it, counted from handing over; raise after"
            yield view.source.problem(what, place)
        before = (after, "tell" in step)


def _quiet_hours(view: View) -> Iterator[Problem]:
    named = {name for name in view.items("quiet_hours", "except") if isinstance(name, str)}
    if named >= set(SEVERITIES):
        what = "except names every severity, so nothing ever waits; leave one out, or remove quiet_hours"
        yield view.source.problem(what, ("quiet_hours", "except"), warning=True)
    try:
        quiet = QuietHours.model_validate(view.at("quiet_hours"))
    except ValidationError:
        return  # left out, or of another shape, which is said elsewhere
    if quiet.length > LONG_QUIET:
        hours = f"{quiet.length / timedelta(hours=1):g}"
        what = f"they last {hours} hours of every day, and texts and calls wait that long; are from and to exchanged?"
        yield view.source.problem(what, ("quiet_hours",), warning=True)


def _audiences(view: View) -> Iterator[Problem]:
    for name, audience in view.mapping("audiences").items():
        if not isinstance(audience, dict):
            continue
        path: Path = ("audiences", name)
        given = [criterion for criterion in _CRITERIA if audience.get(criterion)]
        if not given:
            what = f"{shown(name)} names nobody; give departments, sites, titles, shifts or people, or everyone: true"
            yield view.source.problem(what, path, key=True)
        elif "everyone" in given and len(given) > 1:
            what = f"everyone: true already includes them; remove it, or remove {joined(given[:-1])}"
            yield view.source.problem(what, (*path, "everyone"), key=True)
        sites = audience.get("sites")
        if isinstance(sites, str) and sites.startswith("$"):
            yield from _sites_fact(view, sites, (*path, "sites"))


def _sites_fact(view: View, sites: str, path: Path) -> Iterator[Problem]:
    good = [name for name, fact in view.facts.items() if fact.from_ == SITES]
    name = sites.removeprefix("$")
    if name in good or (name in view.mapping("facts") and name not in view.facts):
        return
    declared = f"{shown(sites)} is a fact, but not" if name in view.mapping("facts") else f"{shown(sites)} is not"
    instead = f"write ${good[0]}" if good else f"declare it with type: choice and from: {SITES}"
    yield view.source.problem(f"{declared} a choice of the directory's sites; {instead}", path)


def _stages(view: View) -> Iterator[Problem]:
    yield from _lacking(view, ("stages",), STAGES, f"scripts there for {listed(view.audience_names()) or 'everyone'}")
    declared = view.audience_names()
    for stage in STAGES:
        scripts = view.mapping("stages", stage)
        if not isinstance(view.at("stages", stage), dict):
            continue
        yield from _lacking(view, ("stages", stage), declared, "sms, email, voice, say and do_not_say for each")
        for audience in scripts:
            if audience not in declared:
                hint = did_you_mean(audience, declared) or "; declare it there, or remove its script"
                what = f'"{shown(audience)}" is not under audiences{hint}'
                yield view.source.problem(what, ("stages", stage, audience), key=True)


def _languages(view: View) -> Iterator[Problem]:
    base = view.base_language()
    for audience in view.audience_names():
        for language, stages in view.languages_of(audience).items():
            first: Path = ("stages", stages[0], audience, "languages", language)
            if language == base:
                what = f"the scripts themselves are in {shown(base)} (language); remove this translation"
                yield view.source.problem(what, first, key=True, warning=True)
            missing = [stage for stage in STAGES if stage not in stages and stage in view.mapping("stages")]
            if missing:
                what = f"{shown(audience)} reads {shown(base)} at {joined(missing)}; translate those stages too"
                yield view.source.problem(what, first, key=True, warning=True)
            for stage in stages:
                path: Path = ("stages", stage, audience, "languages", language)
                lacking = [part for part in ("sms", "email", "voice", "say", "do_not_say") if not view.at(*path, part)]
                if lacking:
                    what = f"{shown(language)} lacks {joined(lacking)}, which stay in {shown(base)}; translate them too"
                    yield view.source.problem(what, path, key=True, warning=True)


def _waterline(view: View) -> Iterator[Problem]:
    yield from _lacking(view, ("waterline",), [ANYONE], "it, for every title that has no entry of its own")
    seen: dict[str, str] = {}
    for title, entry in view.mapping("waterline").items():
        path: Path = ("waterline", title)
        folded = " ".join(title.casefold().split())
        if folded in seen:
            what = f'"{shown(title)}" is the same title as "{shown(seen[folded])}"; keep one of the two'
            yield view.source.problem(what, path, key=True)
        seen.setdefault(folded, title)
        if isinstance(entry, dict) and not any(entry.get(part) for part in ("decide", "ask_first", "never")):
            yield view.source.problem(f"{shown(title)} says nothing; add decide, ask_first or never", path, key=True)


def _holding(view: View) -> Iterator[Problem]:
    yield from _lacking(view, ("holding",), [EVERYONE], "it, for every audience without a statement of its own")
    for name in view.holding_names():
        if name not in view.audience_names():
            hint = did_you_mean(name, [*view.audience_names(), EVERYONE]) or "; name an audience, or everyone"
            yield view.source.problem(f'"{shown(name)}" is not under audiences{hint}', ("holding", name), key=True)


def unknown_names(source: Source, known: Known) -> Iterator[Problem]:
    """A warning for each name in a playbook that could be loaded which nobody in the directory has."""
    view = View(source)
    for name in view.mapping("departments"):
        yield from _nobody(view, "department", name, known.departments, ("departments", name), key=True)
    for audience in view.audience_names():
        for criterion, there in (
            ("departments", known.departments),
            ("sites", known.sites),
            ("titles", known.titles),
            ("shifts", known.shifts),
            ("people", known.people),
        ):
            path: Path = ("audiences", audience, criterion)
            for number, value in enumerate(view.items(*path)):
                if isinstance(value, str):
                    one = "person" if criterion == "people" else criterion.removesuffix("s")
                    yield from _nobody(view, one, value, there, (*path, number))
    for title in view.mapping("waterline"):
        if title != ANYONE:
            yield from _nobody(view, "title", title, known.titles, ("waterline", title), key=True)


def _nobody(
    view: View, kind: str, name: str, there: Iterable[str] | None, path: Path, *, key: bool = False
) -> Iterator[Problem]:
    known: Sequence[str] = sorted(there or ())
    if there is None or fold(name) in {fold(one) for one in known}:
        return
    hint = did_you_mean(name, known) or f"; the directory has {listed(known) or 'none'}"
    yield view.source.problem(f'nobody has the {kind} "{shown(name)}"{hint}', path, key=key, warning=True)
