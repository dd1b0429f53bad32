"""What every command needs: the opened program, one line for what went wrong, text or JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.settings import load

# Rooms are imported by the command that needs them: a start takes as long as what it starts.
if TYPE_CHECKING:
    from app.compose import Program

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(help="The incident's key.")]
Number = Annotated[int, typer.Argument(help="The bulletin's number within it.")]


class Failed(Exception):
    """Ends a command with one line and exit code 1."""


def with_program(work: Callable[[Program], Awaitable[T]], *, current: bool = True) -> T:
    """Runs `work` on the opened program. With `current`, an embedded database is brought up to date first."""
    settings = load()  # before anything heavy: a mistake in them is said at once
    from app.compose import open_program

    async def inner() -> T:
        async with open_program(settings, pool_size=4) as program:
            if current:
                await need_current(program.url, embedded=program.embedded is not None)
            return await work(program)

    return asyncio.run(inner())


async def need_current(url: str, *, embedded: bool) -> None:
    from app.kernel import migrate

    if not await asyncio.to_thread(migrate.is_current, url):
        if not embedded:
            raise Failed("The database's schema is not up to date; run: muster migrate")
        await asyncio.to_thread(migrate.upgrade, url)


def show(value: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str) if as_json else text)
