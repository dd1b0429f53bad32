"""Playbook files: check them, begin a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.base import AsJson, Failed, show
from app.settings import load


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; the playbooks folder if none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find everything wrong with playbook files, each at file:line:column."""
    from app.playbooks import service

    settings = load()
    wanted: list[Path] = []
    for path in paths or [settings.playbooks_dir]:
        if path.is_dir():
            wanted += service.files(path)
        else:
            wanted.append(path)
    if not wanted:
        raise Failed("There is no playbook file; name one, or set MUSTER_PLAYBOOKS_DIR")
    problems = service.check_files(wanted, link_length=len(settings.public_url) + len("/a/") + 20)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        show(
            [
                {"file": p.file, "line": p.line, "column": p.column, "severity": p.severity, "what": p.what}
                for p in problems
            ],
            True,
            "",
        )
    else:
        for problem in problems:
            typer.echo(str(problem), err=problem.severity == "error")
        if not errors:
            typer.echo(f"{len(wanted)} playbook{'s are' if len(wanted) > 1 else ' is'} in order.")
    if errors:
        raise typer.Exit(1)


def new(
    slug: Annotated[str, typer.Argument(help="Its name: a-z, 0-9 and single hyphens, such as power-cut.")],
    out: Annotated[
        Path | None, typer.Option(help="The file, or the folder to put it in; the playbooks folder if none.")
    ] = None,
) -> None:
    """Write a valid playbook to begin with, every part explained."""
    from app.playbooks import skeleton

    settings = load()
    try:
        path = skeleton.create(
            slug, out or settings.playbooks_dir, served_schema=f"{settings.public_url}/api/v1/playbooks/schema.json"
        )
    except ValueError as error:
        raise Failed(str(error)) from None
    typer.echo(f"Wrote {path}. Replace its words, then: muster playbooks check {path}")
