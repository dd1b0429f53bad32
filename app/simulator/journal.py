"""The append-only journal: one JSON object a line, written with one `os.write` before anything is answered.

A killed simulator therefore loses nothing that it had accepted: the bytes are the kernel's once `os.write` returns.
(They are not flushed to the disk: a power cut may lose the last moments, which a test stand can bear.)
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.simulator.config import SimulatorError

Event = dict[str, Any]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Journal:
    """An open journal file, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`. Raises SimulatorError when it cannot be written or another simulator holds it."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise SimulatorError(f"The simulator cannot write its journal {path}: {error.strerror}.") from None
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._fd)
                raise SimulatorError(
                    f"Another simulator already uses the journal {path}. Stop it, or name another journal."
                ) from None

    def replay(self) -> Iterator[Event]:
        """Every event, oldest first. A torn last line (killed while writing) is dropped from the file."""
        good = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                torn = not line.endswith(b"\n")
                try:
                    event = None if torn else json.loads(line)
                except ValueError:
                    event = None
                if not isinstance(event, dict):
                    if torn:
                        break
                    raise SimulatorError(
                        f"Line {number} of the simulator's journal {self.path} is damaged. "
                        "Move the file away to start anew."
                    )
                good += len(line)
                yield event
        os.ftruncate(self._fd, good)

    def append(self, event: Event) -> None:
        """Write one event. Raises OSError (full disk): then nothing may be answered as accepted."""
        line = (_encode(event) + "\n").encode("utf-8", "surrogatepass")
        written = os.write(self._fd, line)
        while written < len(line):
            written += os.write(self._fd, line[written:])

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Close the file; the lock goes with it."""
        os.close(self._fd)
