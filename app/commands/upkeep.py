"""Looking after an installation: its schema, its copies, its readiness, the soundness of its record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.base import AsJson, Failed, show, with_program

# Rooms are imported by the command that needs them: a start takes as long as what it starts.
if TYPE_CHECKING:
    from app.compose import Program


def migrate() -> None:
    """Bring the database's schema up to date."""
    from app.kernel import migrate as schema

    async def work(program: Program) -> None:
        await asyncio.to_thread(schema.upgrade, program.url)

    with_program(work, current=False)
    typer.echo("The schema is up to date.")


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; one that is there is replaced.")],
) -> None:
    """Write the whole database to one file, while everything runs."""
    from app.kernel import backup as copies

    async def work(program: Program) -> int:
        try:
            return await asyncio.to_thread(copies.backup, program.url, file)
        except OSError as error:
            raise Failed(
                f"{file} cannot be written ({error.strerror}); name a file in a folder that is yours"
            ) from None

    size = with_program(work)
    typer.echo(f"{file} written, {size:,} bytes. It holds people's numbers: keep it where only you can read it.")
    typer.echo(
        "The secret key is not in it. Keep MUSTER_SECRET_KEY, or the file secret-key in the data directory, too."
    )


def restore(
    file: Annotated[Path, typer.Argument(help="A file that muster backup wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a database that is not empty.")] = False,
) -> None:
    """Make the database what a backup holds. Stop every web and worker first."""
    from app.kernel import backup as copies
    from app.kernel import migrate as schema

    async def work(program: Program) -> tuple[int, bool]:
        waiting = await asyncio.to_thread(copies.restore, program.url, file, force=force)
        return waiting, await asyncio.to_thread(schema.is_current, program.url)

    waiting, current = with_program(work, current=False)
    typer.echo(f"{file} restored.")
    if not current:
        typer.echo("It is of an earlier version; run: muster migrate")
    if waiting:
        typer.echo(
            f"{waiting} messages wait in it to be sent, and a worker will send them, also to people who got them "
            "after the backup. If that is not wanted, start the web alone and close those incidents first."
        )


def doctor(as_json: AsJson = False) -> None:
    """Can we reach people right now? Says what is missing and what to do; exit code 1 when a send would not go out."""
    from app.compose import make_mailbox, make_providers
    from app.readiness import doctor as examination

    async def work(program: Program) -> list[examination.Finding]:
        providers = make_providers(program.settings)
        try:
            settings = program.settings
            return await examination.examine(
                program.house, providers, program.url, mailbox=make_mailbox(settings), silent=settings.silent,
                real=settings.real,
            )  # fmt: skip
        finally:
            await providers.close()

    found = with_program(work, current=False)
    show(
        [{"name": entry.name, "ok": entry.ok, "detail": entry.detail} for entry in found],
        as_json,
        "\n".join([*(entry.line() for entry in found), examination.verdict(found)]),
    )
    if any(entry.stops for entry in found):
        raise typer.Exit(1)


def verify_audit(as_json: AsJson = False) -> None:
    """Recompute the record's chains; exit code 1 and the first bad entry when one does not hold."""
    from app.deliveries import proof
    from app.directory import versions
    from app.kernel import audit
    from app.replies import proof as replies

    async def work(program: Program) -> str | None:
        async with program.house.db.begin() as session:
            bad = await audit.verify(session) or await versions.verify(session)
            return bad or await proof.verify(session) or await replies.verify(session)

    bad = with_program(work)
    if bad and not as_json:
        raise Failed(bad)
    show({"ok": bad is None, "first_bad": bad}, as_json, "Every entry of the record holds.")
    if bad:
        raise typer.Exit(1)
