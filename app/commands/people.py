"""The directory, from the HR system's export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.base import AsJson, Failed, show, with_program

# Rooms are imported by the command that needs them: a start takes as long as what it starts.
if TYPE_CHECKING:
    from app.compose import Program


def import_file(
    file: Annotated[Path, typer.Argument(help="The file: CSV or .xlsx.")],
    country: Annotated[str | None, typer.Option(help="ISO code that national numbers are read with.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; otherwise the first.")] = None,
    complete: Annotated[bool, typer.Option("--complete", help="The file is everybody.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Deactivate many all the same.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over the HR export."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from app.directory import service
    from app.directory.importing import Report

    if country is not None and not (len(country) == 2 and country.isascii() and country.isalpha()):
        wrong = f"{country!r} is not a country; use an ISO code such as US or FR"
        raise typer.BadParameter(wrong, param_hint="--country")
    if not file.is_file():
        raise Failed(f"{file} is not a file that can be read; name a CSV or .xlsx file")

    async def work(program: Program) -> Report:
        columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows read"), TimeElapsedColumn())
        console = Console(stderr=True)
        # Without a terminal nobody watches, and what is on stderr is for what went wrong.
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("reading", total=None)
            return await service.import_people(
                program.house.db, program.house.clock, file, country=country.upper() if country else None,
                sheet=sheet, complete=complete, force=force, dry_run=dry_run, actor="operator",
                progress=lambda rows: progress.update(task, completed=rows),
            )  # fmt: skip

    report = with_program(work)
    lines = [
        f"line {issue.line}, {issue.id or '(no id)'}, {issue.column}: {issue.reason}"
        for issue in (*report.rejected, *report.warnings)
    ]
    lines.append(
        f"{'Would be: ' if dry_run else ''}{report.created} created, {report.updated} updated, "
        f"{report.unchanged} unchanged, {report.deactivated} deactivated; {len(report.rejected)} rows rejected, "
        f"{len(report.warnings)} warnings"
    )
    show(report.as_dict(), as_json, "\n".join(lines))
