"""The process tree, with real processes and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.kernel.process_table import command_of
from tests.patience import patience

ROOT = Path(__file__).parents[2]
DEADLINE = patience(20)

pytestmark = pytest.mark.slow

CHILD = """
import os, signal, sys, time
name, diary = sys.argv[1:3]
def write(what):
    with open(diary, "a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")
def told(number, frame):
    write(f"got {signal.Signals(number).name}")
    if name != "stubborn":
        time.sleep(0.05)
        write("ended")
        os._exit(0)
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGINT, told)
write("began")
if name == "short-lived":
    sys.exit(3)
while True:
    time.sleep(60)
"""

TREE = """
import logging, sys
from app.kernel.errors import MusterError
from app.kernel.processes import Child, ProcessTree
logging.basicConfig(level=logging.DEBUG, format="%(message)s", stream=sys.stderr)
diary, names = sys.argv[1], sys.argv[2:]
def ready():
    with open(diary, "a") as file:
        file.write("tree ready 0\\n")
    if "refusing" in names:
        raise MusterError("nobody can be reached")
tree = ProcessTree(grace_seconds=1.0)
for name in names:
    argv = ["/nonexistent/program"] if name == "missing" else [sys.executable, "-c", CHILD, name, diary]
    tree.add(Child(name, argv, {"GREETING": "hello"}))
sys.exit(tree.run(ready))
"""


class Tree:
    def __init__(self, folder: Path, *names: str) -> None:
        self.diary = folder / "diary"
        self.diary.touch()
        self.errors = folder / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"CHILD = {CHILD!r}\n{TREE}", str(self.diary), *names],
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                process_group=0,
            )

    def lines(self) -> list[str]:
        """What was written so far, without process numbers."""
        return [line.rsplit(" ", 1)[0] for line in self.diary.read_text().splitlines()]

    def pid_of(self, name: str) -> int:
        """The number of the latest process of that name."""
        return int(
            [line for line in self.diary.read_text().splitlines() if line.startswith(f"{name} began")][-1].split()[2]
        )

    def wait_for(self, *lines: str) -> None:
        wait_until(lambda: all(line in self.lines() for line in lines))

    def ended(self) -> int:
        return self.process.wait(DEADLINE)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Callable[..., Tree]]:
    made: list[Tree] = []

    def begin(*names: str) -> Tree:
        made.append(Tree(tmp_path, *names))
        return made[-1]

    yield begin
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not command_of(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_children_in_reverse_order(tree: Callable[..., Tree], number: signal.Signals) -> None:
    one = tree("first", "second")
    one.wait_for("first began", "second began", "tree ready")
    one.process.send_signal(number)
    assert one.ended() == 0
    assert one.lines()[-4:] == ["second got SIGTERM", "second ended", "first got SIGTERM", "first ended"]


def test_ctrl_c_in_the_terminal_reaches_the_children_only_through_the_tree(tree: Callable[..., Tree]) -> None:
    one = tree("only")
    one.wait_for("only began")
    os.killpg(one.process.pid, signal.SIGINT)
    assert one.ended() == 0
    assert one.lines()[-2:] == ["only got SIGTERM", "only ended"]


def test_killed_child_is_started_again(tree: Callable[..., Tree]) -> None:
    one = tree("web", "worker")
    one.wait_for("web began", "worker began")
    web, worker = one.pid_of("web"), one.pid_of("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: one.pid_of("worker") != worker)
    assert one.pid_of("web") == web
    assert "worker has ended unexpectedly (by SIGKILL); starting it again in 0.2 s" in one.errors.read_text()
    one.process.terminate()
    assert one.ended() == 0
    assert one.lines()[-1] == "web ended"


def test_child_that_keeps_dying_is_started_again_after_longer_and_longer_pauses(tree: Callable[..., Tree]) -> None:
    one = tree("short-lived", "steady")
    wait_until(lambda: one.lines().count("short-lived began") >= 3)
    told = one.errors.read_text()
    assert "short-lived has ended unexpectedly (exit status 3); starting it again in 0.2 s" in told
    assert "starting it again in 0.4 s" in told
    assert one.lines().count("steady began") == 1
    one.process.terminate()
    assert one.ended() == 0


def test_program_that_is_missing_does_not_stop_the_others(tree: Callable[..., Tree]) -> None:
    one = tree("missing", "steady")
    one.wait_for("steady began")
    wait_until(lambda: "missing" in one.errors.read_text())
    one.process.terminate()
    assert one.ended() == 0


def test_child_that_ignores_the_request_is_ended_after_the_grace(tree: Callable[..., Tree]) -> None:
    one = tree("first", "stubborn")
    one.wait_for("first began", "stubborn began")
    stubborn = one.pid_of("stubborn")
    began = time.monotonic()
    one.process.terminate()
    assert one.ended() == 0
    assert time.monotonic() - began >= 1
    assert gone(stubborn)
    assert one.lines()[-1] == "first ended"


def test_paused_child_does_not_hold_up_the_end(tree: Callable[..., Tree]) -> None:
    one = tree("paused")
    one.wait_for("paused began")
    os.kill(one.pid_of("paused"), signal.SIGSTOP)
    one.process.terminate()
    assert one.ended() == 0
    assert gone(one.pid_of("paused"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the children look for themselves: see the next test")
def test_children_never_outlive_a_tree_that_is_killed(tree: Callable[..., Tree]) -> None:
    one = tree("first", "second")
    one.wait_for("first began", "second began")
    one.process.kill()
    one.ended()
    one.wait_for("first ended", "second ended")


def test_child_that_looks_for_its_parent_ends_when_the_parent_is_gone(tmp_path: Path) -> None:
    child = textwrap.dedent("""
        import asyncio, os
        from app.kernel.processes import watch_parent
        print(os.getpid(), flush=True)
        asyncio.run(watch_parent(seconds=0.05))
    """)
    parent = textwrap.dedent("""
        import os, subprocess, sys
        environment = {**os.environ, "_MUSTER_PARENT_PID": str(os.getpid())}
        subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment).wait()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", parent, child],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert not gone(pid)
        process.kill()
        wait_until(lambda: gone(pid))


async def test_process_started_by_hand_does_not_look_for_a_parent() -> None:
    from app.kernel.processes import watch_parent

    await watch_parent()


def test_failure_after_the_start_stops_everything_and_says_so(tree: Callable[..., Tree]) -> None:
    one = tree("refusing")
    assert one.ended() == 1
    assert "nobody can be reached" in one.errors.read_text()
    assert "Traceback" not in one.errors.read_text()
