"""The embedded PostgreSQL, with real servers, real processes and real kill -9."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from app.kernel import postgres_place
from app.kernel.postgres import EmbeddedPostgres, PostgresError
from app.kernel.process_table import command_of
from tests.databases import create_database, drop_database
from tests.patience import patience

ROOT = Path(__file__).parents[2]
DEADLINE = patience(30)

PROGRAM = """
import sys
from pathlib import Path
from app.kernel.postgres import EmbeddedPostgres, PostgresError
server = EmbeddedPostgres(Path(sys.argv[1]))
for line in sys.stdin:
    try:
        print("done", getattr(server, line.strip())(), flush=True)
    except PostgresError as error:
        print("refused", error, flush=True)
"""

pytestmark = pytest.mark.slow


class Program:
    """Another process that uses the server: told what to do on its standard input."""

    def __init__(self, data_dir: Path, python: str = sys.executable, user: int | None = None) -> None:
        packages = [path for path in sys.path if path.endswith("site-packages")]
        environment = {
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *packages]),
            "TMPDIR": str(data_dir.parent) if user else tempfile.gettempdir(),
        }
        self.process = subprocess.Popen(
            [python, "-c", PROGRAM, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            user=user,
            group=None if user is None else pwd.getpwuid(user).pw_gid,
            extra_groups=None if user is None else [],
        )

    def tell(self, what: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()

    def heard(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, what: str) -> str:
        self.tell(what)
        return self.heard()

    def start(self) -> str:
        answer = self.ask("start")
        assert answer.startswith("done postgresql://"), answer
        return answer.removeprefix("done ")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()
        self.process.wait(DEADLINE)


def postmaster(url: str) -> int:
    with psycopg.connect(url, connect_timeout=5) as connection:
        found = connection.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int").fetchone()
    assert found
    return int(found[0])


def remember(url: str, word: str) -> None:
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("TRUNCATE words")
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def remembered(url: str) -> str:
    with psycopg.connect(url, connect_timeout=5) as connection:
        found = connection.execute("SELECT word FROM words").fetchone()
    assert found
    return str(found[0])


def lives(pid: int) -> bool:
    return "postgres" in command_of(pid)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def clean_up(data_dir: Path) -> None:
    """Ends whatever server is left, and removes what it keeps outside the data directory."""
    home = data_dir / "postgres"
    socket_folder = home / "socket-folder"
    if socket_folder.exists():
        shutil.rmtree(socket_folder.read_text().strip(), ignore_errors=True)
    pointer = home / "place"
    folder = Path(pointer.read_text().strip()) if pointer.exists() else home
    recorded = folder / "cluster" / "postmaster.pid"
    if recorded.exists():
        pid = int(recorded.read_text().split()[0])
        if str(folder) in command_of(pid):
            os.kill(pid, signal.SIGQUIT)
            wait_until(lambda: not lives(pid))
    if folder != home:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data_dir = tmp_path_factory.mktemp("data") / "muster"
    yield data_dir
    clean_up(data_dir)


@pytest.fixture
def data_dir(made: Path) -> Iterator[Path]:
    """A data directory whose database was made once for this file, and whose server does not run."""
    yield made
    with EmbeddedPostgres(made) as url:
        pid = postmaster(url)
    wait_until(lambda: not lives(pid))


@pytest.fixture
def program(data_dir: Path) -> Iterator[Callable[[], Program]]:
    with ExitStack() as stack:

        def begin() -> Program:
            one = Program(data_dir)
            stack.callback(one.close)
            return one

        yield begin


def test_two_processes_share_one_server_and_the_last_one_out_stops_it(program: Callable[[], Program]) -> None:
    first, second = program(), program()
    pid = postmaster(first.start())
    url = second.start()
    assert postmaster(url) == pid
    assert first.ask("stop") == "done None"
    assert postmaster(url) == pid, "the second still uses it"
    assert second.ask("stop") == "done None"
    assert not lives(pid)


def test_processes_that_start_at_the_same_moment_get_the_same_server(program: Callable[[], Program]) -> None:
    programs = [program() for _ in range(4)]
    for one in programs:
        one.tell("start")
    urls = [one.heard().removeprefix("done ") for one in programs]
    pids = {postmaster(url) for url in urls}
    assert len(pids) == 1
    for one in programs:
        one.tell("stop")
    assert [one.heard() for one in programs] == ["done None"] * 4
    assert not any(map(lives, pids))


def test_kill_of_the_process_that_started_it_leaves_the_server_to_the_next(program: Callable[[], Program]) -> None:
    first, second = program(), program()
    url = first.start()
    pid = postmaster(url)
    remember(url, "kept")
    first.kill()
    assert lives(pid)
    assert postmaster(second.start()) == pid
    assert remembered(url) == "kept"
    second.ask("stop")
    assert not lives(pid), "a killed process holds no lock"


def test_kill_of_everything_loses_nothing_that_was_committed(program: Callable[[], Program]) -> None:
    first, second = program(), program()
    url = first.start()
    remember(url, "committed")
    pid = postmaster(url)
    os.kill(pid, signal.SIGKILL)
    first.kill()
    assert remembered(second.start()) == "committed"
    second.ask("stop")


def test_killed_server_is_started_again_once_for_all_who_notice(program: Callable[[], Program]) -> None:
    programs = [program() for _ in range(4)]
    urls = [one.start() for one in programs]
    url = urls[0]
    pid = postmaster(url)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not lives(pid))
    for one in programs:
        one.tell("ensure")
    assert [one.heard() for one in programs] == ["done None"] * 4
    again = postmaster(url)
    assert again != pid
    assert [one.ask("ensure") for one in programs] == ["done None"] * 4
    assert postmaster(url) == again
    for one in programs:
        one.ask("stop")
    assert not lives(again)


def test_server_is_started_again_although_its_starter_is_paused(program: Callable[[], Program]) -> None:
    starter, other = program(), program()
    url = starter.start()
    other.start()
    pid = postmaster(url)
    starter.process.send_signal(signal.SIGSTOP)  # so nobody collects the killed server: it stays as a zombie
    try:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not lives(pid))
        assert other.ask("ensure") == "done None"
        assert postmaster(url) != pid
    finally:
        starter.process.send_signal(signal.SIGCONT)
    assert starter.ask("stop") == "done None"
    assert other.ask("stop") == "done None"


def test_killed_server_whose_session_lingers_is_started_again(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    with server as url:
        remember(url, "kept")
        pid = postmaster(url)
        with psycopg.connect(url) as session:
            backend = session.info.backend_pid
            os.kill(backend, signal.SIGSTOP)  # it never notices that its server is gone
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not lives(pid))
            server.ensure()
            assert not lives(backend)
            assert remembered(url) == "kept"
        assert postmaster(url) != pid


def test_server_that_somebody_stopped_is_started_again(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)

    def started_again() -> bool:
        server.ensure()
        try:
            return postmaster(url) != pid
        except psycopg.OperationalError:
            return False  # it was still ending when we looked

    with server as url:
        pid = postmaster(url)
        os.kill(pid, signal.SIGINT)
        wait_until(started_again)


def test_paused_server_is_left_alone(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    with server as url:
        pid = postmaster(url)
        os.kill(pid, signal.SIGSTOP)
        try:
            server.ensure()
            assert lives(pid)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert postmaster(url) == pid


def test_stale_pid_file_with_the_number_of_another_program_is_no_obstacle(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as url:
        with psycopg.connect(url) as connection:
            found = connection.execute("SHOW data_directory").fetchone()
        assert found
        recorded = Path(found[0]) / "postmaster.pid"
        owner = recorded.stat()
        text = recorded.read_text()
    recorded.write_text(text.replace(text.split("\n")[0], str(os.getpid()), 1))
    os.chown(recorded, owner.st_uid, owner.st_gid)
    recorded.chmod(0o600)
    with EmbeddedPostgres(data_dir) as url:
        assert postmaster(url) != os.getpid()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as url:
        assert os.getsid(postmaster(url)) != os.getsid(0)


def test_nothing_listens_on_the_network_and_passwords_are_asked_for(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as url:
        with psycopg.connect(url) as connection:
            shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("listen_addresses", "fsync")]
            assert shown == [("",), ("on",)]
            rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
            assert rules == [("scram-sha-256",)]
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(url, password="guessed")
    password = data_dir / "postgres" / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_environment_for_another_server_changes_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "6000", "PGDATA": "/nowhere", "PGUSER": "other", "PGOPTIONS": "-c fsync=x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PGOPTIONS")
    with EmbeddedPostgres(data_dir) as url:
        assert postmaster(url)


def test_each_test_can_have_a_fresh_database(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as url:
        first = create_database(url, "first one")
        remember(first, "of the first")
        with pytest.raises(PostgresError, match="already exists"):
            create_database(url, "first one")
        second = create_database(url, "second", template="first one")
        assert remembered(second) == "of the first"
        drop_database(url, "first one")
        drop_database(url, "first one")
        drop_database(url, "second")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(first)


def test_discarded_database_is_removed_by_the_last_one_out(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first, second = EmbeddedPostgres(data_dir), EmbeddedPostgres(data_dir)
    first.start()
    url = second.start()
    cluster = postgres_place.find(data_dir / "postgres").cluster
    first.discard()
    assert postmaster(url), "the second still uses it"
    second.discard()
    assert not cluster.parent.exists()
    assert not (data_dir / "postgres").exists()


def test_stop_and_ensure_without_start_do_nothing(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.ensure()
    server.stop()
    with server as url:
        assert server.start() == url, "a second start is the same start"


def test_ensure_starts_and_asks_nobody_while_the_server_runs(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    costly: list[str] = []
    asking = True

    def hook(event: str, _: object) -> None:
        if asking and event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "socket.connect"):
            costly.append(event)

    with server:
        sys.addaudithook(hook)  # there is no taking it away again
        server.ensure()
        asking = False
    assert costly == []


def test_data_directory_with_a_long_name_and_spaces(tmp_path: Path) -> None:
    data_dir = tmp_path / ("a long name, with spaces " * 4) / ('and "another" that is long ' * 4)
    try:
        with EmbeddedPostgres(data_dir) as url:
            assert postmaster(url)
        with EmbeddedPostgres(data_dir) as again:
            assert again == url
    finally:
        clean_up(data_dir)


def test_missing_password_is_one_plain_line(data_dir: Path) -> None:
    password = data_dir / "postgres" / "password"
    aside = password.rename(password.with_name("aside"))
    try:
        with pytest.raises(PostgresError, match="password is missing"):
            EmbeddedPostgres(data_dir).start()
        password.write_text("wrong")
        with pytest.raises(PostgresError, match="bring back the file"):
            EmbeddedPostgres(data_dir).start()
        assert not postgres_place.find(data_dir / "postgres").pid_file.exists(), "no server is left that nobody uses"
    finally:
        aside.rename(password)


def test_file_in_place_of_the_data_directory_is_one_plain_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PostgresError) as caught:
        EmbeddedPostgres(tmp_path / "file" / "data").start()
    assert str(caught.value).startswith("MUSTER_DATA_DIR: ")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_server_of_root_runs_without_rights_and_no_folder_is_loosened(data_dir: Path) -> None:
    before = {path: path.stat().st_mode for path in (*data_dir.parents, data_dir)}
    with EmbeddedPostgres(data_dir) as url:
        status = Path(f"/proc/{postmaster(url)}/status")
        if status.exists():
            identity = dict(line.split(":", 1) for line in status.read_text().splitlines())
            assert "0" not in identity["Uid"].split()
            assert "0" not in identity["Groups"].split()
    assert {path: path.stat().st_mode for path in before} == before
    folder = Path((data_dir / "postgres" / "place").read_text().strip())
    assert folder.parent == Path("/var/lib/muster")
    assert stat.S_IMODE((folder / "cluster").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700
    assert {path.stat().st_uid for path in (folder, *folder.glob("postgresql-*/**/*"))} == {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_data_directory_made_again_does_not_find_the_old_database(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with EmbeddedPostgres(data_dir):
        old = Path((data_dir / "postgres" / "place").read_text().strip())
    try:
        shutil.rmtree(data_dir)
        with EmbeddedPostgres(data_dir) as url:
            assert postmaster(url)
        clean_up(data_dir)
        (data_dir / "postgres" / "place").write_text(f"{old.parent / 'gone'}\n")
        with pytest.raises(PostgresError, match="is not there"):
            EmbeddedPostgres(data_dir).start()
        (data_dir / "postgres" / "place").write_text("/etc\n")
        with pytest.raises(PostgresError, match="is not there"):
            EmbeddedPostgres(data_dir).start()
    finally:
        shutil.rmtree(old)


@pytest.fixture
def ordinary() -> Iterator[tuple[Path, Callable[[Path], Program]]]:
    """An ordinary user's home, and how to begin a program of theirs. Real even where the tests run as root."""
    if os.geteuid() != 0:
        home = Path(tempfile.mkdtemp(prefix="muster-test-"))
        python, user = sys.executable, None
    else:
        user = pwd.getpwnam("nobody").pw_uid
        wanted = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = [path for path in sys.path if path.endswith("site-packages")]
        for python in (sys.executable, f"/usr/bin/{wanted}", f"/usr/local/bin/{wanted}"):
            check = "import sys; sys.path[:0] = sys.argv[1:]; import psycopg; open(psycopg.__file__)"
            try:
                subprocess.run(
                    [python, "-c", check, *packages], check=True, user=user, group=user, extra_groups=[],
                    cwd="/", capture_output=True,
                )  # fmt: skip
                break
            except (OSError, subprocess.CalledProcessError):
                continue
        else:
            pytest.skip(f"no {wanted} here that an ordinary user may run with these packages")
        home = Path(tempfile.mkdtemp(prefix="muster-test-", dir="/tmp"))
        os.chown(home, user, -1)
    programs: list[Program] = []

    def begin(data_dir: Path) -> Program:
        programs.append(Program(data_dir, python, user))
        return programs[-1]

    yield home, begin
    for one in programs:
        one.close()
    shutil.rmtree(home)


def test_ordinary_user_needs_no_copy_and_nothing_outside_the_data_directory(
    ordinary: tuple[Path, Callable[[Path], Program]],
) -> None:
    home, begin = ordinary
    data_dir = home / "my data"
    program = begin(data_dir)
    url = program.start()
    pid = postmaster(url)
    assert Path(f"/proc/{pid}").stat().st_uid == home.stat().st_uid if Path("/proc/self/cmdline").exists() else True
    assert not (data_dir / "postgres" / "place").exists()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not lives(pid))
    assert program.ask("ensure") == "done None"
    assert postmaster(url) != pid
    assert program.ask("stop") == "done None"
    if os.geteuid() == 0:
        with pytest.raises(PostgresError, match="belongs to user nobody"):
            EmbeddedPostgres(data_dir).start()


def test_ordinary_user_with_a_long_path_gets_a_short_private_socket_folder(
    ordinary: tuple[Path, Callable[[Path], Program]],
) -> None:
    home, begin = ordinary
    data_dir = home / ("long " * 30)
    program = begin(data_dir)
    url = program.start()
    assert postmaster(url)
    folder = Path((data_dir / "postgres" / "socket-folder").read_text().strip())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    other = begin(data_dir)
    assert other.start() == url
    program.ask("stop")
    other.ask("stop")
    shutil.rmtree(folder)
    assert begin(data_dir).start(), "the folder is made again when a clean-up took it"
    shutil.rmtree(folder)


def test_data_directory_that_cannot_be_written_is_one_plain_line(
    ordinary: tuple[Path, Callable[[Path], Program]],
) -> None:
    home, begin = ordinary
    data_dir = home / "locked"
    data_dir.mkdir(mode=0o500)
    os.chown(data_dir, home.stat().st_uid, -1)
    answer = begin(data_dir).ask("start")
    assert answer.startswith("refused MUSTER_DATA_DIR: ")
    assert answer.endswith("cannot be written (Permission denied); use a folder that you own.")


def test_database_of_another_major_version_is_refused(data_dir: Path, tmp_path: Path) -> None:
    with EmbeddedPostgres(data_dir):
        pass
    home = data_dir / "postgres"
    place = postgres_place.find(home)
    version = place.cluster / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(PostgresError, match="made by PostgreSQL 17"):
            EmbeddedPostgres(data_dir).start()
    finally:
        version.write_text("18\n")


def test_many_threads_may_ask_at_once(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: server.start(), range(8)))) == 1
    server.stop()
