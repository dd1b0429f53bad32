"""A playbook's raw data, looked at without trusting its shape, so that one mistake never hides another. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.playbooks.problems import Path
from app.playbooks.schema import EVERYONE, STAGES, Fact, Playbook
from app.playbooks.yaml_source import Source

TOO_LONG = 5000
"""Texts longer than any field allows are reported once, for their length, and not looked into."""


@dataclass(frozen=True)
class Said:
    """One text of a script. `part` is sms, subject, body, voice, page, say, do_not_say or paper."""

    text: str
    part: str
    path: Path
    stage: str
    audience: str
    language: str | None


class View:
    """Whatever of the playbook can be read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.facts: dict[str, Fact] = {}
        for name, raw in self.mapping("facts").items():
            try:
                self.facts[name] = Fact.model_validate(raw)
            except ValidationError:
                continue

    def at(self, *path: str | int) -> Any:
        """The value at a path, or None."""
        value = self.source.data
        for step in path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return value

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """The mapping at a path; empty when there is none."""
        value = self.at(*path)
        return value if isinstance(value, dict) else {}

    def items(self, *path: str | int) -> list[Any]:
        """The list at a path; empty when there is none."""
        value = self.at(*path)
        return value if isinstance(value, list) else []

    def playbook(self) -> Playbook | None:
        """The whole, when its shape is right."""
        try:
            return Playbook.model_validate(self.source.data)
        except ValidationError:
            return None

    def texts(self) -> Iterator[Said]:
        """Every text that is said to somebody: of the stages, their translations, and the holding statements."""
        for stage in self.mapping("stages"):
            if stage not in STAGES:
                continue
            for audience in self.mapping("stages", stage):
                path: Path = ("stages", stage, audience)
                yield from self._script(path, stage, audience, None)
                for language in self.mapping(*path, "languages"):
                    yield from self._script((*path, "languages", language), stage, audience, language)
        for audience in self.mapping("holding"):
            yield from self._script(("holding", audience), "holding", audience, None)

    def _script(self, path: Path, stage: str, audience: str, language: str | None) -> Iterator[Said]:
        for part in ("sms", "voice", "page", "paper"):
            yield from self._said((*path, part), part, stage, audience, language)
        for part in ("subject", "body"):
            yield from self._said((*path, "email", part), part, stage, audience, language)
        for part in ("say", "do_not_say"):
            for number in range(len(self.items(*path, part))):
                yield from self._said((*path, part, number), part, stage, audience, language)

    def _said(self, path: Path, part: str, stage: str, audience: str, language: str | None) -> Iterator[Said]:
        text = self.at(*path)
        if isinstance(text, str) and text.strip() and len(text) <= TOO_LONG:
            yield Said(text, part, path, stage, audience, language)

    def audience_names(self) -> list[str]:
        return list(self.mapping("audiences"))

    def languages_of(self, audience: str) -> dict[str, list[str]]:
        """The stages at which an audience's script has a translation, by language."""
        found: dict[str, list[str]] = {}
        for stage in STAGES:
            for language in self.mapping("stages", stage, audience, "languages"):
                found.setdefault(language, []).append(stage)
        return found

    def base_language(self) -> str:
        language = self.at("language")
        return language if isinstance(language, str) else "en"

    def holding_names(self) -> list[str]:
        return [name for name in self.mapping("holding") if name != EVERYONE]
