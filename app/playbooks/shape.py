"""Says in plain words where a playbook's shape is wrong: missing and unknown keys, wrong kinds of value. Pure."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.playbooks.problems import Path, Problem, did_you_mean, listed, shown
from app.playbooks.schema import Playbook
from app.playbooks.yaml_source import Source

_KEY_MARK: Final = "[key]"
_PATTERNS: Final = (
    ("(-[a-z0-9]+)*$", "must be of a-z, 0-9 and single hyphens, such as global-vendor-outage"),
    ("^[a-z][a-z0-9_]*$", "must begin with a-z and hold only a-z, 0-9 and _, such as what_is_down"),
    ("^[a-z]{2,3}", "must be a language tag, such as fr or pt-BR"),
)


def shape_problems(source: Source) -> Iterator[Problem]:
    """Everything that the schema refuses, each at its place."""
    try:
        Playbook.model_validate(source.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield _problem(source, detail)


def _problem(source: Source, detail: ErrorDetails) -> Problem:
    path: Path = detail["loc"]
    kind = detail["type"]
    if kind == "missing":
        missing = str(path[-1])
        field = _fields(path[:-1]).get(missing)
        about = f" ({field})" if field else ""
        where = f"{shown(path[-2])} lacks" if len(path) > 1 else "the playbook lacks"
        return source.problem(f"{where} {missing}; add {missing}:{about}", path[:-1], key=True)
    if kind == "extra_forbidden":
        known = _fields(path[:-1])
        hint = did_you_mean(str(path[-1]), known) or f"; known here are {listed(known, most=20)}"
        return source.problem(f'"{shown(path[-1])}" is not known here{hint}', path, key=True)
    is_key = bool(path) and path[-1] == _KEY_MARK
    if is_key:
        path = path[:-1]
    words = _WORDS.get(kind, _other)(detail)
    return source.problem(f"{_named(path)} {words}", path, key=is_key)


def _named(path: Path) -> str:
    """The last key of a path and what follows it: `symptoms[0]`."""
    named = ""
    for step in reversed(path):
        if not isinstance(step, int):
            return f"{shown(step)}{named}"
        named = f"[{step}]{named}"
    return f"the playbook{named}"


def _text(detail: ErrorDetails) -> str:
    value = detail["input"]
    if value is None:
        return "is empty; write a text"
    if isinstance(value, (dict, list)):
        return "must be one text; put quotes around it, or write it after >-"
    return f"must be text; put quotes around {shown(value)}"


def _mapping(detail: ErrorDetails) -> str:
    return "is empty; add its keys below it" if detail["input"] is None else "must be lines of key: value"


def _too_long(detail: ErrorDetails) -> str:
    longest = detail.get("ctx", {}).get("max_length", 0)
    value = detail["input"]
    length = len(value) if isinstance(value, (str, list, dict)) else 0
    unit = "characters" if isinstance(value, str) else "entries"
    return f"has {length} {unit}; shorten it to at most {longest}"


def _pattern(detail: ErrorDetails) -> str:
    pattern = str(detail.get("ctx", {}).get("pattern", ""))
    return next((words for sign, words in _PATTERNS if sign in pattern), f"must match {pattern}")


def _literal(detail: ErrorDetails) -> str:
    expected = str(detail.get("ctx", {}).get("expected", "")).replace("'", "")
    return f'is "{shown(detail["input"])}"; write {expected}'


def _own_words(detail: ErrorDetails) -> str:
    return str(detail.get("ctx", {}).get("error", detail["msg"]))


def _other(detail: ErrorDetails) -> str:
    return f"is not right: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


_WORDS: Final[dict[str, Callable[[ErrorDetails], str]]] = {
    "string_type": _text,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "list_type": lambda _: "must be a list, each line beginning with a hyphen, or [a, b]",
    "bool_type": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number without quotes",
    "too_short": lambda _: "is empty; add at least one entry, or remove it",
    "string_too_short": lambda _: "is empty; write a text",
    "string_too_long": _too_long,
    "too_long": _too_long,
    "string_pattern_mismatch": _pattern,
    "literal_error": _literal,
    "value_error": _own_words,
}


def _fields(path: Path) -> dict[str, str]:
    """The keys that the schema knows at a path, each with its description."""
    kind: Any = Playbook
    for step in path:
        kind = _inside(kind, step)
    kind = _bare(kind)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {
        field.alias or name: " ".join((field.description or "").split()).split(". ")[0].rstrip(".")
        for name, field in kind.model_fields.items()
    }


def _inside(kind: Any, step: str | int) -> Any:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if step in (name, field.alias):
                return field.annotation
        return None
    arguments = get_args(kind)
    return arguments[-1] if get_origin(kind) in (dict, list) else None


def _bare(kind: Any) -> Any:
    """A type without its Annotated and Optional."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType):
            kind = next(k for k in get_args(kind) if k is not type(None))
        else:
            return kind
