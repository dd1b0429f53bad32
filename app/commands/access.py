"""Who may: API tokens and sign-in links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.base import with_program

# Rooms are imported by the command that needs them: a start takes as long as what it starts.
if TYPE_CHECKING:
    from app.compose import Program

Role = Annotated[str, typer.Option(help="admin, commander, communications_lead, department_lead or viewer.")]
PersonId = Annotated[str | None, typer.Option(help="The employer's id of the person whose it is.")]
DepartmentName = Annotated[str | None, typer.Option(help="A department lead's department.")]


def create_token(
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
