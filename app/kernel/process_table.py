"""The system's process list, by number and by title, without a package for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PROC = Path("/proc") if Path("/proc/self/cmdline").exists() else None


def command_of(pid: int) -> str:
    """The command line of a process: empty for one that has ended, even if nobody has collected it yet."""
    if _PROC is None:
        return _ps("-p", str(pid), "-o", "command=")
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def titled(beginning: str) -> list[int]:
    """The numbers of the processes whose command line begins so."""
    if _PROC is None:
        lines = [line.split(None, 1) for line in _ps("-axo", "pid=,command=").splitlines()]
        commands = {int(line[0]): line[1] for line in lines if len(line) == 2}
    else:
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        commands = {pid: command_of(pid) for pid in pids}
    return [pid for pid, command in commands.items() if command.startswith(beginning)]


def _ps(*arguments: str) -> str:
    done = subprocess.run(["ps", *arguments], capture_output=True, check=False)  # noqa: S603, S607 (the system's own)
    return done.stdout.decode(errors="replace")
