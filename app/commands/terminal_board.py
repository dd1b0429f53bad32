"""The board in a terminal: for whoever runs an incident over SSH because the pages cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from app.board import service as boards
from app.deliveries import reasons
from app.incidents import service as incidents
from app.kernel.errors import NotFound
from app.kernel.house import House
from app.replies import help_requests

REFRESH_SECONDS = 2.0
MOST_PEOPLE = 15
"""So many names fit above the fold of an ordinary terminal; the rest is counted."""

COUNTS = (
    ("acknowledged", "acknowledged", "green"), ("need_help", "need help", "bold red"), ("cannot", "cannot", "yellow"),
    ("waiting", "told, no answer yet", ""), ("pending", "on the way", ""), ("uncertain", "uncertain", "yellow"),
    ("unreachable", "not reached", "bold red"), ("cancelled", "cancelled", "dim"),
)  # fmt: skip


async def look(house: House, key: str | None, number: int | None) -> dict[str, Any]:
    """Everything the board shows: incident, counts of the bulletin (None before the first), help, who is missing.

    Without a key it is the newest open incident. Raises NotFound.
    """
    async with house.db.begin() as session:
        if key is None:
            found = await incidents.page(session, status="open", limit=1) or await incidents.page(session, limit=1)
            if not found:
                raise NotFound("No incident has been declared yet; declare one with: muster declare SLUG")
            key = str(found[0]["key"])
        incident = await incidents.show(session, house, await incidents.get(session, key))
        board = await boards.latest_board(session, key) if number is None else await boards.board(session, key, number)
        requests = await help_requests.of_incident(session, key, limit=200)
        asked = [entry for entry in requests if entry["state"] != "closed"]
        missing: Sequence[Mapping[str, Any]] = []
        if board:
            status = "unreachable,uncertain,cannot,waiting" if board["asks"] else "unreachable,uncertain"
            missing, _ = await boards.recipients(session, key, board["bulletin"], status=status, limit=200)
    return {"incident": incident, "board": board, "help": asked, "missing": missing}


def drawn(seen: Mapping[str, Any]) -> Group:
    """The board as rich draws it. Whoever needs help is on top."""
    incident, board = seen["incident"], seen["board"]
    drill = "DRILL  " if incident["drill"] else ""
    parts: list[Any] = [
        Text(f"{drill}{incident['key']}  {incident['severity']}  {incident['status']}  {incident['title']}", "bold")
    ]
    if not board:
        return Group(*parts, Text("No bulletin has been sent yet."))
    for entry in seen["help"]:
        owner = f"assigned to {entry['owner']}" if entry["owner"] else "unassigned"
        where = ", ".join(part for part in (entry["department"], entry["site"], entry["number"]) if part)
        parts.append(Text(f"NEEDS HELP  {entry['name']} ({where}): {owner}", "bold red"))
        parts += [Text(f'            "{said["text"]}"') for said in entry["words"][:1] if said["text"]]
    counts = board["counts"]
    line = Text(f"Bulletin {board['bulletin']} ({board['stage']}), {board['total']} people: ")
    for name, said, style in COUNTS:
        if counts[name]:
            line.append(f"{counts[name]} {said if board['asks'] or name != 'waiting' else 'have it'}  ", style or None)
    parts += [line, _departments(board), _missing(seen["missing"])]
    return Group(*parts)


def _departments(board: Mapping[str, Any]) -> Table:
    table = Table("Department", box=None, pad_edge=False)
    shown = [(name, said) for name, said, _ in COUNTS if board["counts"][name]]
    for _, said in shown:
        table.add_column(said, justify="right")
    for department, mine in board["by_department"].items():
        table.add_row(Text(department), *(str(mine[name] or "") for name, _ in shown))
    return table


def _then(entry: Mapping[str, Any]) -> str:
    return f"{entry['next_step'].replace('_', ' ')} {entry['next_step_at'][11:16]}" if entry["next_step"] else ""


def _missing(people: Sequence[Mapping[str, Any]]) -> Table:
    order = {"unreachable": 0, "uncertain": 1, "cannot": 2, "waiting": 3}
    listed = sorted(people, key=lambda entry: (order[entry["status"]], entry["name"]))
    why_wide = Column("", min_width=len(reasons.NO_CONTACT))
    longest = max((len(_then(entry)) for entry in listed[:MOST_PEOPLE]), default=0)
    then_whole = Column("Next (UTC)", no_wrap=True, min_width=longest)
    table = Table("Not answered or not reached", "Department", why_wide, then_whole, box=None, pad_edge=False)
    for entry in listed[:MOST_PEOPLE]:
        why = entry["reason"] or entry["status"]
        table.add_row(Text(entry["name"]), Text(entry["department"]), Text(why), _then(entry))
    if len(listed) > MOST_PEOPLE:
        table.add_row(f"and {len(listed) - MOST_PEOPLE} more{' or so' if len(people) == 200 else ''}", "", "", "")
    return table


async def watch(house: House, key: str | None, number: int | None, *, console: Console, once: bool) -> None:
    """Draws the board again every two seconds until Ctrl-C; once when asked, or when nobody looks (a pipe)."""
    seen = await look(house, key, number)
    if once or not console.is_terminal:
        console.print(drawn(seen), width=None if console.is_terminal else 160)
        return
    with Live(drawn(seen), console=console, auto_refresh=False, screen=True) as live:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            live.update(drawn(await look(house, seen["incident"]["key"], number)), refresh=True)
