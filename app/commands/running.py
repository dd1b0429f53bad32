"""Processes that stay: everything in one tree, the demo, web, worker and the pretend carrier."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

from app.commands.base import Failed, need_current
from app.settings import SIMULATOR_ACCOUNT_SID, SIMULATOR_SENDER, Settings, load


def up() -> None:
    """Web and worker in one process tree; with the simulator when no provider is set up."""
    from app import up as tree

    settings = load()

    def ready() -> None:
        typer.echo(f"Muster is at {settings.public_url} (make a sign-in link with: muster signin NAME --role admin)")
        if settings.simulated:
            typer.echo("No provider is set up: the simulator stands in, and nobody real is told anything.")

    raise typer.Exit(tree.run(settings, then=ready))


def demo() -> None:
    """A company of 600 is told about an outage and answers, in front of your eyes."""
    from app import up as tree

    settings = tree.demo_settings()

    def play() -> None:
        from app import demo as story

        story.play(load())

    typer.echo("Starting the demo: database, simulator, web and worker.")
    raise typer.Exit(tree.run(settings, auto=True, then=play))


def web() -> None:
    """The web process. Start as many as you like, behind one public URL."""
    from app.up import refuse_taken_port

    settings = load()
    refuse_taken_port(settings)
    _prepare(settings)
    settings.need_playbooks()
    from app import main as web_program  # heavy: after everything that can stop the start

    _run_loop(web_program.serve(settings))


def worker() -> None:
    """A worker process. Start as many as you like."""
    settings = load()
    _prepare(settings)
    from app import worker as worker_program  # heavy: after everything that can stop the start

    _run_loop(worker_program.serve(settings))


def _prepare(settings: Settings) -> None:
    from app.compose import open_database

    async def inner() -> None:
        async with open_database(settings) as (url, embedded):
            await need_current(url, embedded=embedded is not None)

    settings.secret()
    asyncio.run(inner())


def _run_loop(work: Any) -> None:
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop

        uvloop.run(work)


def simulator(
    auto: Annotated[bool, typer.Option("--auto", help="Its phones answer by themselves.")] = False,
    seed: Annotated[int, typer.Option(help="Who answers what, repeatably.")] = 1,
) -> None:
    """The pretend carrier: Twilio's wire protocol, SMTP, and phones to look at."""
    from app.simulator.config import SimulatorConfig, SimulatorError
    from app.simulator.server import run

    settings = load()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    account = settings.twilio if not settings.simulated else None
    try:
        run(
            SimulatorConfig(
                host=settings.simulator_host,
                http_port=settings.simulator_port,
                smtp_port=settings.simulator_smtp_port,
                account_sid=account.account_sid if account else SIMULATOR_ACCOUNT_SID,
                auth_token=account.auth_token if account else settings.simulator_token,
                sender=account.sender if account and account.sender.startswith("+") else SIMULATOR_SENDER,
                voice_sender=(account.voice_sender or "") if account else "",
                inbound_url=f"{settings.public_url}/webhooks/twilio/inbound",
                journal=settings.data_dir / "simulator.jsonl",
                auto=auto,
                seed=seed,
                speed=settings.time_scale,
            )
        )
    except SimulatorError as error:
        raise Failed(str(error)) from None
