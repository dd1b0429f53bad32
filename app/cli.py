"""The muster command. Errors are one line on stderr and exit code 1; wrong usage is 2."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.kernel import logs
from app.kernel.errors import MusterError
from app.settings import SIMULATOR_ACCOUNT_SID, SIMULATOR_SENDER, Settings, SettingsError, load

# Rooms are imported by the command that needs them: a start takes as long as what it starts.
if TYPE_CHECKING:
    from app.compose import Program

T = TypeVar("T")

cli = typer.Typer(
    name="muster",
    help="One message to everybody who must know, and everybody accounted for by name.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
playbooks_group = typer.Typer(help="Playbook files.", no_args_is_help=True)
people_group = typer.Typer(help="The directory.", no_args_is_help=True)
bulletins_group = typer.Typer(help="Write, approve and send bulletins.", no_args_is_help=True)
tokens_group = typer.Typer(help="API tokens.", no_args_is_help=True)
review_group = typer.Typer(help="The incident's record.", no_args_is_help=True)
audit_group = typer.Typer(help="The append-only record.", no_args_is_help=True)
for name, group in (
    ("playbooks", playbooks_group), ("people", people_group), ("bulletins", bulletins_group), ("tokens", tokens_group),
    ("review", review_group), ("audit", audit_group),
):  # fmt: skip
    cli.add_typer(group, name=name)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Failed(Exception):
    """Ends a command with one line and exit code 1."""


def with_program(work: Callable[[Program], Awaitable[T]], *, current: bool = True) -> T:
    """Runs `work` on the opened program. With `current`, an embedded database is brought up to date first."""
    settings = load()  # before anything heavy: a mistake in them is said at once
    from app.compose import open_program

    async def inner() -> T:
        async with open_program(settings, pool_size=4) as program:
            if current:
                await _need_current(program.url, embedded=program.embedded is not None)
            return await work(program)

    return asyncio.run(inner())


async def _need_current(url: str, *, embedded: bool) -> None:
    from app.kernel import migrate

    if not await asyncio.to_thread(migrate.is_current, url):
        if not embedded:
            raise Failed("The database's schema is not up to date; run: muster migrate")
        await asyncio.to_thread(migrate.upgrade, url)


def show(value: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str) if as_json else text)


@cli.command()
def up() -> None:
    """Web and worker in one process tree; with the simulator when no provider is set up."""
    from app import up as tree

    settings = load()

    def ready() -> None:
        typer.echo(f"Muster is at {settings.public_url} (make a sign-in link with: muster signin NAME --role admin)")
        if settings.simulated:
            typer.echo("No provider is set up: the simulator stands in, and nobody real is told anything.")

    raise typer.Exit(tree.run(settings, then=ready))


@cli.command()
def demo() -> None:
    """A company of 600 is told about an outage and answers, in front of your eyes."""
    from app import up as tree

    settings = tree.demo_settings()

    def play() -> None:
        from app import demo as story

        story.play(load())

    typer.echo("Starting the demo: database, simulator, web and worker.")
    raise typer.Exit(tree.run(settings, auto=True, then=play))


@cli.command()
def web() -> None:
    """The web process. Start as many as you like, behind one public URL."""
    from app.up import refuse_taken_port

    settings = load()
    refuse_taken_port(settings)
    _prepare(settings)
    settings.need_playbooks()
    from app import main as web_program  # heavy: after everything that can stop the start

    _run_loop(web_program.serve(settings))


@cli.command()
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
            await _need_current(url, embedded=embedded is not None)

    settings.secret()
    asyncio.run(inner())


def _run_loop(work: Any) -> None:
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop

        uvloop.run(work)


@cli.command()
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
                inbound_url=f"{settings.public_url}/webhooks/twilio/inbound",
                journal=settings.data_dir / "simulator.jsonl",
                auto=auto,
                seed=seed,
                speed=settings.time_scale,
            )
        )
    except SimulatorError as error:
        raise Failed(str(error)) from None


@cli.command(name="migrate")
def migrate_command() -> None:
    """Bring the database's schema up to date."""
    from app.kernel import migrate

    async def work(program: Program) -> None:
        await asyncio.to_thread(migrate.upgrade, program.url)

    with_program(work, current=False)
    typer.echo("The schema is up to date.")


@cli.command(name="backup")
def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to write; one that is there is replaced.")],
) -> None:
    """Write the whole database to one file, while everything runs."""
    from app.kernel import backup

    async def work(program: Program) -> int:
        try:
            return await asyncio.to_thread(backup.backup, program.url, file)
        except OSError as error:
            raise Failed(
                f"{file} cannot be written ({error.strerror}); name a file in a folder that is yours"
            ) from None

    size = with_program(work)
    typer.echo(f"{file} written, {size:,} bytes. It holds people's numbers: keep it where only you can read it.")
    typer.echo(
        "The secret key is not in it. Keep MUSTER_SECRET_KEY, or the file secret-key in the data directory, too."
    )


@cli.command(name="restore")
def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that muster backup wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a database that is not empty.")] = False,
) -> None:
    """Make the database what a backup holds. Stop every web and worker first."""
    from app.kernel import backup, migrate

    async def work(program: Program) -> tuple[int, bool]:
        waiting = await asyncio.to_thread(backup.restore, program.url, file, force=force)
        return waiting, await asyncio.to_thread(migrate.is_current, program.url)

    waiting, current = with_program(work, current=False)
    typer.echo(f"{file} restored.")
    if not current:
        typer.echo("It is of an earlier version; run: muster migrate")
    if waiting:
        typer.echo(
            f"{waiting} messages wait in it to be sent, and a worker will send them, also to people who got them "
            "after the backup. If that is not wanted, start the web alone and close those incidents first."
        )


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Can we reach people right now? Says what is missing and what to do; exit code 1 when a send would not go out."""
    from app.compose import make_providers
    from app.readiness import doctor as examination

    async def work(program: Program) -> list[examination.Finding]:
        providers = make_providers(program.settings)
        try:
            settings = program.settings
            return await examination.examine(
                program.house, providers, program.url, silent=settings.silent, real=settings.real
            )
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


@playbooks_group.command("check")
def playbooks_check(
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


@playbooks_group.command("new")
def playbooks_new(
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


@people_group.command("import")
def people_import(
    file: Annotated[Path, typer.Argument(help="The CSV file.")],
    country: Annotated[str | None, typer.Option(help="ISO code that national numbers are read with.")] = None,
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
        raise Failed(f"{file} is not a file that can be read; name the CSV file")

    async def work(program: Program) -> Report:
        columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows read"), TimeElapsedColumn())
        console = Console(stderr=True)
        # Without a terminal nobody watches, and what is on stderr is for what went wrong.
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("reading", total=None)
            return await service.import_people(
                program.house.db, program.house.clock, file, country=country.upper() if country else None,
                complete=complete, force=force, dry_run=dry_run, actor="operator",
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


@cli.command()
def declare(
    slug: Annotated[str, typer.Argument(help="The playbook.")],
    severity: Annotated[str | None, typer.Option(help="SEV1 to SEV4.")] = None,
    fact: Annotated[list[str] | None, typer.Option("--fact", help="NAME=VALUE, once for each.")] = None,
    title: Annotated[str | None, typer.Option(help="A sensible one when left out.")] = None,
    drill: Annotated[bool, typer.Option("--drill", help="A drill: every message says so.")] = False,
    as_json: AsJson = False,
) -> None:
    """Declare an incident."""
    from app import operator_commands

    incident = with_program(
        lambda program: operator_commands.declare(program.house, slug, severity, fact or [], title, drill)
    )
    show(incident, as_json, f"{incident['key']}  {incident['severity']}  {incident['title']}")


@bulletins_group.command("draft")
def bulletins_draft(
    key: Annotated[str, typer.Argument(help="The incident's key.")],
    stage: Annotated[str, typer.Option(help="investigating, identified, monitoring or resolved.")] = "investigating",
    fact: Annotated[list[str] | None, typer.Option("--fact", help="NAME=VALUE, overriding the latest.")] = None,
    audience: Annotated[list[str] | None, typer.Option("--audience", help="All when left out.")] = None,
    corrects: Annotated[
        int | None, typer.Option(help="The number of a sent bulletin that was wrong; goes to everybody who was told.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the next bulletin."""
    from app import operator_commands as work

    bulletin = with_program(lambda program: work.draft(program.house, key, stage, fact or [], audience, corrects))
    show(bulletin, as_json, work.describe(bulletin))


@bulletins_group.command("approve")
def bulletins_approve(
    key: Annotated[str, typer.Argument()],
    number: Annotated[int, typer.Argument()],
    accept_warnings: Annotated[bool, typer.Option("--accept-warnings")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve a bulletin."""
    from app import operator_commands as work

    bulletin = with_program(lambda program: work.approve(program.house, key, number, accept_warnings))
    show(bulletin, as_json, work.describe(bulletin))


@bulletins_group.command("send")
def bulletins_send(
    key: Annotated[str, typer.Argument()], number: Annotated[int, typer.Argument()], as_json: AsJson = False
) -> None:
    """Send an approved bulletin to everybody in its audiences."""
    from app import operator_commands as work

    bulletin = with_program(lambda program: work.send(program.house, key, number))
    show(bulletin, as_json, work.describe(bulletin))


@cli.command()
def board(
    key: Annotated[str | None, typer.Argument(help="The incident's key; the newest open one when left out.")] = None,
    bulletin: Annotated[int | None, typer.Option(help="The bulletin's number; the last that went out.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Who answered, who needs help and who could not be reached: live in the terminal, until Ctrl-C."""
    from rich.console import Console

    from app import terminal_board

    if as_json:
        seen = with_program(lambda program: terminal_board.look(program.house, key, bulletin))
        show(seen, True, "")
    else:
        with_program(lambda program: terminal_board.watch(program.house, key, bulletin, console=Console(), once=once))


Role = Annotated[str, typer.Option(help="admin, commander, communications_lead, department_lead or viewer.")]
PersonId = Annotated[str | None, typer.Option(help="The employer's id of the person whose it is.")]
DepartmentName = Annotated[str | None, typer.Option(help="A department lead's department.")]


@tokens_group.command("create")
def tokens_create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    role: Role,
    person: PersonId = None,
    department: DepartmentName = None,
) -> None:
    """Make an API token; it is printed once, alone, and kept only as its hash."""
    from app.access import service

    async def work(program: Program) -> str:
        async with program.house.db.begin() as session:
            return await service.create_token(
                session, program.house.clock, name=name, role=role, person=person, department=department
            )

    typer.echo(with_program(work))


@cli.command()
def signin(
    name: Annotated[str, typer.Argument(help="Who signs in.")],
    role: Role = "viewer",
    person: PersonId = None,
    department: DepartmentName = None,
) -> None:
    """Print a link that signs one browser in, once, within an hour."""
    from app.access import service

    async def work(program: Program) -> str:
        async with program.house.db.begin() as session:
            secret = await service.create_sign_in(
                session, program.house.clock, name=name, role=role, person=person, department=department
            )
        return f"{program.settings.public_url}/sign-in/{secret}"

    typer.echo(with_program(work))


@review_group.command("export")
def review_export(
    key: Annotated[str, typer.Argument(help="The incident's key.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write; - for standard output.")],
    form: Annotated[str, typer.Option("--format", help="md, json or csv.")] = "md",
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


@audit_group.command("verify")
def audit_verify(as_json: AsJson = False) -> None:
    """Recompute the record's chains; exit code 1 and the first bad entry when one does not hold."""
    from app.kernel import audit

    async def work(program: Program) -> str | None:
        async with program.house.db.begin() as session:
            return await audit.verify(session)

    bad = with_program(work)
    if bad and not as_json:
        raise Failed(bad)
    show({"ok": bad is None, "first_bad": bad}, as_json, "Every entry of the record holds.")
    if bad:
        raise typer.Exit(1)


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
