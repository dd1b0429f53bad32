"""The muster command. Errors are one line on stderr and exit code 1; wrong usage is 2."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import typer

from app.commands import access, incidents, people, playbooks, running, upkeep
from app.commands.base import Failed
from app.kernel import logs
from app.kernel.errors import MusterError
from app.settings import SettingsError

# Every command under its name, in the order that the help shows; what it does is in app/commands/.
COMMANDS: dict[str, Callable[..., Any]] = {
    "up": running.up,
    "demo": running.demo,
    "web": running.web,
    "worker": running.worker,
    "simulator": running.simulator,
    "migrate": upkeep.migrate,
    "backup": upkeep.backup,
    "restore": upkeep.restore,
    "doctor": upkeep.doctor,
    "declare": incidents.declare,
    "board": incidents.board,
    "signin": access.signin,
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "playbooks": ("Playbook files.", {"check": playbooks.check, "new": playbooks.new}),
    "people": ("The directory.", {"import": people.import_file}),
    "bulletins": (
        "Write, approve and send bulletins.",
        {"draft": incidents.draft, "approve": incidents.approve, "send": incidents.send},
    ),
    "tokens": ("API tokens.", {"create": access.create_token}),
    "review": ("The incident's record.", {"export": incidents.export}),
    "audit": ("The append-only record.", {"verify": upkeep.verify_audit}),
}


def _assemble() -> typer.Typer:
    program = typer.Typer(
        name="muster",
        help="One message to everybody who must know, and everybody accounted for by name.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for name, command in COMMANDS.items():
        program.command(name)(command)
    for name, (help_text, commands) in GROUPS.items():
        group = typer.Typer(help=help_text, no_args_is_help=True)
        for inner, command in commands.items():
            group.command(inner)(command)
        program.add_typer(group, name=name)
    return program


cli = _assemble()


def main() -> None:
    """Entry point: turns every known fault into one line."""
    stays = set(sys.argv[1:2]) & {"up", "demo", "web", "worker", "simulator"}
    logs.set_up(level=logging.INFO if stays else logging.WARNING)
    sys.exit(run(cli))


def run(program: typer.Typer, arguments: list[str] | None = None) -> int:
    """The exit code of one command line."""
    try:
        result = typer.main.get_command(program).main(args=arguments, prog_name="muster", standalone_mode=False)
        return int(result or 0)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":  # not exported by the package
            typer.echo(error.format_message())
            return 2
        command = context.command_path if context else "muster"
        return _fail(f"{error.format_message()} (see: {command} --help)", 2)
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except (SettingsError, Failed) as error:
        return _fail(str(error))
    except MusterError as error:
        return _fail(error.line())
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    except Exception as error:
        if (line := _of_the_database(error)) is None:
            raise
        return _fail(line)


def _of_the_database(error: Exception) -> str | None:
    """One line for what the database said; None when it was not the database."""
    from sqlalchemy.exc import DBAPIError

    if not isinstance(error, DBAPIError):
        return None
    if error.connection_invalidated or "connect" in str(error.orig).lower():
        return "The database does not answer; start it, or check MUSTER_DATABASE_URL"
    return f"The database refused: {' '.join(str(error.orig).split())}"


def _fail(text: str, code: int = 1) -> int:
    typer.echo(logs.without_password(" ".join(text.split())), err=True)
    return code


if __name__ == "__main__":
    main()
