"""An incident from the terminal: declare, write, approve, send, watch, and take its record away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.base import AsJson, Failed, Key, Number, show, with_program

# Rooms are imported by the command that needs them: a start takes as long as what it starts.
if TYPE_CHECKING:
    from app.compose import Program


def declare(
    slug: Annotated[str, typer.Argument(help="The playbook.")],
    severity: Annotated[str | None, typer.Option(help="SEV1 to SEV4.")] = None,
    fact: Annotated[list[str] | None, typer.Option("--fact", help="NAME=VALUE, once for each.")] = None,
    title: Annotated[str | None, typer.Option(help="A sensible one when left out.")] = None,
    drill: Annotated[bool, typer.Option("--drill", help="A drill: every message says so.")] = False,
    as_json: AsJson = False,
) -> None:
    """Declare an incident."""
    from app.commands import operator

    incident = with_program(lambda program: operator.declare(program, slug, severity, fact or [], title, drill))
    show(incident, as_json, f"{incident['key']}  {incident['severity']}  {incident['title']}")


def draft(
    key: Key,
    stage: Annotated[str, typer.Option(help="investigating, identified, monitoring or resolved.")] = "investigating",
    fact: Annotated[list[str] | None, typer.Option("--fact", help="NAME=VALUE, overriding the latest.")] = None,
    audience: Annotated[list[str] | None, typer.Option("--audience", help="All when left out.")] = None,
    corrects: Annotated[
        int | None, typer.Option(help="The number of a sent bulletin that was wrong; goes to everybody who was told.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the next bulletin."""
    from app.commands import operator

    bulletin = with_program(lambda program: operator.draft(program, key, stage, fact or [], audience, corrects))
    show(bulletin, as_json, operator.describe(bulletin))


def approve(
    key: Key,
    number: Number,
    accept_warnings: Annotated[bool, typer.Option("--accept-warnings")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve a bulletin. Where the playbook wants somebody else than its author: with MUSTER_TOKEN set to theirs."""
    from app.commands import operator

    bulletin = with_program(lambda program: operator.approve(program, key, number, accept_warnings))
    show(bulletin, as_json, operator.describe(bulletin))


def send(
    key: Key,
    number: Number,
    confirm: Annotated[bool, typer.Option("--confirm", help="Yes, although it goes to many people.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send an approved bulletin to everybody in its audiences."""
    from app.commands import operator

    bulletin = with_program(lambda program: operator.send(program, key, number, confirm))
    show(bulletin, as_json, operator.describe(bulletin))


def board(
    key: Annotated[str | None, typer.Argument(help="The incident's key; the newest open one when left out.")] = None,
    bulletin: Annotated[int | None, typer.Option(help="The bulletin's number; the last that went out.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Who answered, who needs help and who could not be reached: live in the terminal, until Ctrl-C."""
    from rich.console import Console

    from app.commands import terminal_board

    if as_json:
        seen = with_program(lambda program: terminal_board.look(program.house, key, bulletin))
        show(seen, True, "")
    else:
        with_program(lambda program: terminal_board.watch(program.house, key, bulletin, console=Console(), once=once))


def export(
    key: Key,
    out: Annotated[Path, typer.Option("--out", help="The file to write; - for standard output.")],
    form: Annotated[str, typer.Option("--format", help="md, json, csv ...: docs/reference.md lists them.")] = "md",
) -> None:
    """Write the incident's record to a file."""
    from app.review import service

    async def work(program: Program) -> bytes:
        return await service.export(program.house, key, form)

    content = with_program(work)
    if str(out) == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise Failed(f"{out} cannot be written ({error.strerror}); name a file in a folder that is yours") from None
    typer.echo(f"{out} written, {len(content):,} bytes.")
