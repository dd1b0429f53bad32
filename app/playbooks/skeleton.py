"""A playbook to begin with: `skeleton.yaml` beside this file, a whole playbook itself, under another name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from app.playbooks.fields import Slug

_SKELETON: Final = Path(__file__).with_suffix(".yaml")
_SLUG: Final[TypeAdapter[str]] = TypeAdapter(Slug)
_ENDINGS: Final = (".yaml", ".yml")


def skeleton(slug: str, *, schema: str) -> str:
    """The text of a valid playbook called `slug`. `schema` is where an editor finds the JSON Schema, a path or address.

    Raises ValueError for a slug that a playbook cannot have.
    """
    try:
        _SLUG.validate_python(slug)
    except ValidationError:
        wrong = f"{slug[:80]!r} cannot be a playbook's name; use a-z, 0-9 and single hyphens, such as power-cut"
        raise ValueError(wrong) from None
    title = slug.replace("-", " ").capitalize()
    text = _SKELETON.read_text(encoding="utf-8")
    text = _with_line(text, "# yaml-language-server: .*", f"# yaml-language-server: $schema={schema}")
    # In quotes, because 2026 and true are names too.
    text = _with_line(text, "slug: skeleton *", f'slug: "{slug}"'.ljust(39) + " ")
    # A draft is valid, so it can be declared: whoever chooses a playbook must see that this one is not ready.
    return _with_line(text, "title: .*", f'title: "{title} (draft)"')


def _with_line(text: str, pattern: str, line: str) -> str:
    return re.sub(f"^{pattern}", line.replace("\\", r"\\"), text, count=1, flags=re.MULTILINE)


def create(slug: str, out: Path, *, served_schema: str) -> Path:
    """Writes a new playbook file: `out` itself, or SLUG.yaml in the folder `out`. The file that was written.

    An editor is pointed at the schema in a `docs` folder beside the file's folder, or at `served_schema`, the address
    under which a running Muster serves it. Raises ValueError with what would be right; nothing is ever overwritten.
    """
    folder = out.is_dir() or out.suffix not in _ENDINGS
    path = out / f"{slug}.yaml" if folder else out
    near = path.parent.resolve().parent / "docs" / "playbook.schema.json"
    schema = os.path.relpath(near, path.parent.resolve()) if near.is_file() else served_schema
    text = skeleton(slug, schema=Path(schema).as_posix() if near.is_file() else schema)
    if path.stem != slug:
        raise ValueError(f"{path} must be called {slug}{path.suffix}: a playbook's file bears its name")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is not a folder; make it, or name another with --out")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ValueError(f"{path} is there already and stays as it is; choose another name or folder") from None
    return path
