"""Reads a playbook file safely and remembers where everything stands in it.

YAML 1.2, and of it only what a playbook needs: mappings with text keys, lists, scalars. Tags, anchors, aliases and
directives are refused (they are how YAML files become programs or grow to gigabytes), size, depth and number of
values are limited. Whatever the bytes are, the answer is a `Source` with problems, never an exception.
"""

from __future__ import annotations

import math
import pathlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from app.playbooks.problems import Path, Problem, shown

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 20
MAX_NODES: Final = 10_000
MAX_LINE: Final = 10_000  # the YAML scanner is quadratic in the length of some lines
MAX_DIGITS: Final = 30

# C0 and C1 controls, halves of surrogate pairs, non-characters: no text of a playbook needs one.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_INT: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip

_HINTS: Final = (
    ("'\\t'", "indent with spaces, not tabs"),
    ("quoted scalar", "close the quotes, and double a quote inside single quotes"),
    ("flow", "close every [ with ] and every { with }"),
    ("", "quote a text that holds a colon and a space, or begins with a sign such as [ { & * ! | > % @"),
)


@dataclass(frozen=True)
class Source:
    """A file as read: plain data (dict, list, str, int, float, bool, None), problems so far, and positions.

    `data` is None when nothing could be read. Where a part was refused, the rest is still there.
    """

    name: str
    text: str
    data: Any
    problems: tuple[Problem, ...]
    _values: Mapping[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    _keys: Mapping[Path, int] = field(default_factory=dict, repr=False)
    _line_starts: tuple[int, ...] = field(default=(0,), repr=False)

    def position(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """1-based line and column of the value at `path` (of its key when `key`), or of the nearest thing around it."""
        if key and path in self._keys:
            return self._at(self._keys[path])
        while path and path not in self._values:
            path = path[:-1]
        return self._at(self._values.get(path, (0, 0))[0])

    def find(self, path: Path, needle: str, nth: int = 0) -> tuple[int, int]:
        """Where the `nth` occurrence of `needle` stands inside the text at `path`; else where that text begins."""
        start, end = self._values.get(path, (0, 0))
        at = start - 1
        for _ in range(nth + 1):
            at = self.text.find(needle, at + 1, end)
            if at < 0:
                return self.position(path)
        return self._at(at)

    def problem(
        self, what: str, path: Path = (), *, key: bool = False, at: tuple[int, int] | None = None, warning: bool = False
    ) -> Problem:
        """A problem at the value at `path`, at its key, or at a position found before."""
        line, column = at or self.position(path, key=key)
        return Problem(self.name, line, column, what, path, "warning" if warning else "error")

    def _at(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._line_starts, index)
        return line, index - self._line_starts[line - 1] + 1


def load(source: pathlib.Path | bytes | str, name: str | None = None) -> Source:
    """Reads a playbook from a file, from bytes, or from a text (a `str` is always the text itself).

    `name` is how problems name the file; for a path it is that path. When it ends in .yaml or .yml, `check` compares
    it with the slug. Never raises for what is read.
    """
    if isinstance(source, pathlib.Path):
        shown_name = name or str(source)
        try:
            with source.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or "it cannot be opened").lower()
            return _refused(shown_name, f"the file cannot be read ({reason}); name a readable YAML file")
        return _load_bytes(raw, shown_name)
    if isinstance(source, bytes):
        return _load_bytes(source, name or "playbook")
    if len(source) > MAX_BYTES:
        return _too_large(name or "playbook")
    return _load_text(source, name or "playbook")


def _refused(name: str, what: str, line: int = 1, column: int = 1, text: str = "") -> Source:
    return Source(name, text, None, (Problem(name, line, column, what),))


def _too_large(name: str) -> Source:
    return _refused(name, f"the file is larger than {MAX_BYTES:,} bytes; a playbook is a few hundred lines")


def _load_bytes(raw: bytes, name: str) -> Source:
    if len(raw) > MAX_BYTES:
        return _too_large(name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace").removeprefix("\ufeff")
        starts = _line_starts(before)
        what = "the file is not UTF-8 text; save it as UTF-8"
        return _refused(name, what, len(starts), len(before) - starts[-1] + 1)
    return _load_text(text, name)


def _line_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in _LINE_END.finditer(text)))


def _load_text(text: str, name: str) -> Source:
    text = text.removeprefix("\ufeff")
    starts = _line_starts(text)
    bad = _UNPRINTABLE.search(text)
    if bad:
        line = bisect_right(starts, bad.start())
        what = f"character U+{ord(bad[0]):04X} is not text; remove it (is this a text file?)"
        return _refused(name, what, line, bad.start() - starts[line - 1] + 1, text)
    for line, (start, end) in enumerate(zip(starts, (*starts[1:], len(text)), strict=True), 1):
        if end - start > MAX_LINE:
            return _refused(name, f"the line is longer than {MAX_LINE:,} characters; fold it", line, 1, text)
    return _Reader(text, name, starts).read()


class _StopReadingError(Exception):
    """Reading cannot go on; the problem is already noted."""


class _Reader:
    """Builds data from the parser's events, so that nothing is ever constructed from a tag or expanded."""

    def __init__(self, text: str, name: str, starts: tuple[int, ...]) -> None:
        self.text = text
        self.name = name
        self.starts = starts
        self.problems: list[Problem] = []
        self.values: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, int] = {}
        self.nodes = 0
        self.last_index = self.before_index = 0

    def read(self) -> Source:
        root: dict[str, Any] = {}
        events = self._events()
        try:
            documents = 0
            for event in events:
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    if event.version or event.tags:
                        self._note(event, "a %YAML or %TAG line is not used in playbooks; remove it")
                    if documents > 1:
                        self._note(event, "a second document begins here; write one playbook a file, without ---")
                        break
                elif isinstance(event, (AliasEvent, ScalarEvent, MappingStartEvent, SequenceStartEvent)):
                    root["data"] = self._value(event, events, ())
        except _StopReadingError:
            pass
        except Exception as error:  # the parser is fed anything: a stray IndexError in it must not reach a person
            self._syntax(error)
        data = root.get("data")
        if not self.problems and not isinstance(data, dict):
            what = "the file holds no playbook; begin with slug: and title:"
            self.problems.append(Problem(self.name, 1, 1, what))
        return Source(
            self.name, self.text, data if isinstance(data, dict) else None, tuple(self.problems),
            self.values, self.keys, self.starts,
        )  # fmt: skip

    def _events(self) -> Iterator[Event]:
        for event in YAML(typ="safe", pure=True).parse(self.text):
            self.before_index, self.last_index = self.last_index, event.end_mark.index
            yield event

    def _place(self, index: int) -> tuple[int, int]:
        index = min(max(index, 0), len(self.text))
        line = bisect_right(self.starts, index)
        return line, index - self.starts[line - 1] + 1

    def _note(self, event: Event, what: str, path: Path = ()) -> None:
        line, column = self._place(event.start_mark.index)
        self.problems.append(Problem(self.name, line, column, what, path))

    def _syntax(self, error: Exception) -> None:
        mark = None
        reason = ""
        if isinstance(error, MarkedYAMLError):
            reason = " ".join(part for part in (error.context, error.problem) if part)
            # What was never closed is mended where it begins, not at the end of the file.
            unclosed = "end of stream" in reason or "stream end" in reason
            marks = (error.context_mark, error.problem_mark)
            mark = next((m for m in (marks if unclosed else reversed(marks)) if m is not None), None)
        line, column = self._place(mark.index) if mark is not None else self._place(self.last_index)
        note = f" ({' '.join(_reason_shown(reason).split())})" if reason else ""
        hint = next((hint for sign, hint in _HINTS if sign in reason), _HINTS[-1][1])
        self.problems.append(Problem(self.name, line, column, f"this is not YAML{note}; {hint}"))

    def _value(self, first: Event, events: Iterator[Event], path: Path) -> Any:
        """The value that begins with `first`. Recursion is bounded by MAX_DEPTH."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._note(first, f"more than {MAX_NODES:,} values; a playbook is a few hundred lines", path)
            raise _StopReadingError
        if len(path) > MAX_DEPTH:
            self._note(first, f"nested deeper than {MAX_DEPTH} levels; a playbook needs seven", path)
            raise _StopReadingError
        start, end = first.start_mark.index, first.end_mark.index
        # The parser places a value that is not there at whatever comes next; people look behind the key.
        self.values[path] = (start, end) if end > start else (self.before_index, self.before_index)
        if isinstance(first, AliasEvent):
            self._note(first, "an alias (*) is not allowed; write the text out here", path)
            return None
        if getattr(first, "anchor", None) is not None:
            self._note(first, "an anchor (&) is not allowed; remove it and write the text out where it is needed", path)
        if getattr(first, "tag", None) is not None:
            self._note(first, "a tag (!) is not allowed; remove it, or put the text in quotes", path)
        if isinstance(first, MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(first, SequenceStartEvent):
            items: list[Any] = []
            for event in events:
                if isinstance(event, SequenceEndEvent):
                    break
                items.append(self._value(event, events, (*path, len(items))))
            return items
        return self._scalar(first, path) if isinstance(first, ScalarEvent) else None

    def _mapping(self, events: Iterator[Event], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = self._key(event, events, path)
            value_event = next(events)
            if key is None:
                self._value(value_event, events, (*path, "?"))
            elif key in found:
                first_line = self._place(self.keys[(*path, key)])[0]
                what = f'"{shown(key)}" is here twice (first in line {first_line}); keep one of the two'
                self._note(event, what, (*path, key))
                self._value(value_event, events, (*path, "?"))
            else:
                self.keys[(*path, key)] = event.start_mark.index
                found[key] = self._value(value_event, events, (*path, key))
        return found

    def _key(self, event: Event, events: Iterator[Event], path: Path) -> str | None:
        if isinstance(event, ScalarEvent) and event.value:
            self._value(event, events, (*path, "?"))
            return self._clean(event, str(event.value), path)
        self._note(event, "a key must be one plain word or text; write key: value", path)
        self._value(event, events, (*path, "?"))
        return None

    def _scalar(self, event: ScalarEvent, path: Path) -> Any:
        value = str(event.value)
        plain = bool(event.implicit and event.implicit[0])
        if not plain:
            return self._clean(event, value, path)
        if value in _WORDS:
            return _WORDS[value]
        if _FLOAT.fullmatch(value):
            if len(value) > MAX_DIGITS:
                self._note(event, f"a number of more than {MAX_DIGITS} characters; put quotes around it", path)
                return None
            number = int(value) if _INT.fullmatch(value) else float(value)
            if not math.isfinite(number):
                self._note(event, "a number beyond any measure; put quotes around it", path)
                return None
            return number
        return self._clean(event, value, path)

    def _clean(self, event: Event, value: str, path: Path) -> str:
        # An escape such as "\ud800" makes what the file itself may not hold.
        bad = _UNPRINTABLE.search(value)
        if bad is None:
            return value
        self._note(event, f"the text holds U+{ord(bad[0]):04X}, which is not text; remove that escape", path)
        return _UNPRINTABLE.sub("?", value)


def _reason_shown(reason: str) -> str:
    """The parser's own words, printable and at most 120 characters."""
    return "".join(c if c.isprintable() else "?" for c in reason)[:120]
