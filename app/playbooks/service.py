"""Playbooks as they are used: read from their folder, checked, kept as immutable revisions."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.errors import NotFound
from app.kernel.house import House
from app.playbooks import checks, repository
from app.playbooks.checks import Known as Known
from app.playbooks.checks import check
from app.playbooks.problems import Problem
from app.playbooks.schema import Playbook
from app.playbooks.yaml_source import Source, load

log = logging.getLogger("muster.playbooks")


@dataclass(frozen=True)
class Revision:
    """One immutable version of a playbook."""

    id: int
    slug: str
    revision: int
    sha256: str
    playbook: Playbook


@dataclass
class _Seen:
    """What the folder looked like when it was last read, and what was wrong in it."""

    stamp: tuple[tuple[str, int, int], ...] | None = None
    problems: tuple[Problem, ...] = ()


_seen: dict[Path, _Seen] = {}
_parsed: dict[tuple[int, str], Playbook] = {}


def files(folder: Path) -> list[Path]:
    """The playbook files in a folder, by name."""
    return sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yaml", ".yml") and path.is_file())


def check_files(paths: Iterable[Path], *, link_length: int) -> list[Problem]:
    """All problems of these files."""
    return [problem for path in paths for problem in check(load(path), link_length=link_length)]


def unknown_names(paths: Iterable[Path], known: Known) -> list[Problem]:
    """A playbook that is in order by itself may still address a department that the directory spells otherwise."""
    sources = [load(path) for path in paths]
    return [problem for source in sources if source.data is not None for problem in checks.unknown_names(source, known)]


async def sync(house: House) -> tuple[Problem, ...]:
    """Takes over what changed in the folder since it was last read; returns the problems of files that were refused.

    A file with errors changes nothing: its last good revision stays current. Cheap when nothing changed.
    """
    seen = _seen.setdefault(house.playbooks_dir, _Seen())
    if not await asyncio.to_thread(house.playbooks_dir.is_dir):
        # A command started elsewhere, or a folder that is away for a moment: what is known stays.
        log.warning("the playbooks folder is not there: %s", house.playbooks_dir)
        return seen.problems
    stamp = await asyncio.to_thread(_stamp, house.playbooks_dir)
    if seen.stamp == stamp:
        return seen.problems
    async with house.db.begin() as session:
        known = {(entry["slug"], entry["sha256"]) for entry in await repository.all_current(session)}
    read = await asyncio.to_thread(_read, house.playbooks_dir, house.link_length, known)
    async with house.db.begin() as session:
        for source, problems in read:
            if any(problem.severity == "error" for problem in problems) or source.data is None:
                continue
            playbook = Playbook.model_validate(source.data)
            changed = await repository.save(
                session,
                slug=playbook.slug,
                sha256=_sha256(source.text.encode()),
                title=playbook.title,
                content=json.loads(playbook.model_dump_json(by_alias=True, exclude_none=True)),
                source=source.text,
                now=house.clock.now(),
            )
            if changed:
                log.info("playbook loaded: %s", playbook.slug)
        await repository.remove_others(session, [name.rpartition(".")[0] for name, _, _ in stamp], house.clock.now())
    found = tuple(problem for _, problems in read for problem in problems if problem.severity == "error")
    for problem in found:
        log.error("playbook refused: %s", problem)
    seen.stamp, seen.problems = stamp, found
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    marks = []
    for path in files(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        marks.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(marks)


def _read(folder: Path, link_length: int, known: set[tuple[str, str]]) -> list[tuple[Source, list[Problem]]]:
    """The files that are not `known` (slug, hash) as they are."""
    found = []
    for path in files(folder):
        try:
            content = path.read_bytes()
        except OSError:
            source = load(path)  # says why it cannot be read
            found.append((source, list(source.problems)))
            continue
        if (path.stem, _sha256(content)) not in known:
            source, problems = _checked(str(path), content, link_length)
            found.append((source, list(problems)))
    return found


@functools.lru_cache(maxsize=64)
def _checked(name: str, content: bytes, link_length: int) -> tuple[Source, tuple[Problem, ...]]:
    """Reading YAML with positions takes half a second a file, and a folder is read again when one file changes."""
    source = load(content, name)
    return source, tuple(check(source, link_length=link_length))


def forget_folder(folder: Path) -> None:
    """Reads the folder anew at the next `sync`, whatever its files look like (another database, say)."""
    _seen.pop(folder, None)


async def current(session: AsyncSession, slug: str) -> Revision:
    """The current revision of a playbook. Raises NotFound."""
    found = await repository.current(session, slug)
    if found is None:
        known = ", ".join(entry["slug"] for entry in await repository.all_current(session)) or "none"
        raise NotFound(f"No playbook is called {slug!r}. There are: {known}.")
    return _revision(found)


async def all_current(session: AsyncSession) -> list[Revision]:
    return [_revision(entry) for entry in await repository.all_current(session)]


async def revision(session: AsyncSession, revision_id: int) -> Revision:
    """A revision by its id; incidents pin theirs."""
    found = await repository.revision(session, revision_id)
    if found is None:
        raise NotFound("That playbook revision does not exist.")
    return _revision(found)


async def revisions(session: AsyncSession, ids: Iterable[int]) -> dict[int, Revision]:
    """Several revisions at once, by id."""
    return {entry["id"]: _revision(entry) for entry in await repository.revisions(session, sorted(set(ids)))}


def _revision(found: Any) -> Revision:
    # A revision never changes, so parsing it once a process is enough; the hash guards against another database.
    key = (found["id"], found["sha256"])
    if key not in _parsed:
        _parsed[key] = Playbook.model_validate_json(json.dumps(found["content"]))
    return Revision(found["id"], found["slug"], found["revision"], found["sha256"], _parsed[key])
