"""The embedded PostgreSQL: started by the first process that needs it, shared by all, stopped by the last one out.

Three files in `DATA_DIR/postgres` hold `flock` locks, which end with the processes that hold them, however those end:

- `users.lock`, shared: held by each process that uses the server. Who can take it alone is the last one.
- `start.lock`, exclusive: held while starting, repairing or stopping.
- `server.lock`, exclusive: inherited by the server and so by each of its own processes. While it is taken, something
  of the server lives, even where the process list does not say so (a zombie, another container, a reused number).

A server that is only slow or paused is never killed: it may hold work that was promised to be kept.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import logging
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.kernel import postgres_place
from app.kernel.postgres_place import PORT, Place, PostgresError, write_private
from app.kernel.process_table import command_of, titled

__all__ = ["EmbeddedPostgres", "PostgresError"]

log = logging.getLogger("muster.postgres")

_ANSWER_SECONDS = 60  # for a server to answer; a start after a crash may take longer, while it says that it is starting
_RECOVERY_SECONDS = 900
_STOP_SECONDS = 60
_LINGER_SECONDS = 3  # for the processes of a killed server to notice and end by themselves
_LOG_BYTES = 10_000_000

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""The programs get none of the caller's: PG* variables and libraries of others would change how they run."""


class _State(enum.Enum):
    RUNS = "the server lives, whether or not it answers just now"
    REMAINS = "the server was killed, and some of its processes linger"
    ENDED = "nothing of it lives"


class EmbeddedPostgres:
    """One PostgreSQL in `data_dir/postgres`, for any number of processes. Blocking: call it in a thread.

    One that is not `durable` never waits for the disk, and a power cut may spoil it: for what can be made again.

    >>> with EmbeddedPostgres(Path(".muster")) as url:
    ...     psycopg.connect(url)
    """

    def __init__(self, data_dir: Path, *, database: str = "muster", durable: bool = True) -> None:
        self._home = data_dir.resolve() / "postgres"
        self._durable = "on" if durable else "off"
        self._database = database
        self._mutex = threading.Lock()
        self._leaving = threading.Event()
        self._users: int | None = None
        self._place: Place | None = None
        self._url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> str:
        """Attaches to the server, starting it if none runs; makes the database if it is missing.

        Returns `postgresql://muster:PASSWORD@/DATABASE?host=FOLDER&port=5432`. Raises PostgresError.
        """
        with self._mutex:
            if self._users is not None:
                return self._url
            self._leaving.clear()
            postgres_place.prepare(self._home.parent)
            users = _lock(self._home / "users.lock", fcntl.LOCK_SH, _RECOVERY_SECONDS)
            try:
                with self._alone():
                    self._place = postgres_place.find(self._home)
                    self._url = self._make_url(self._place)
                    try:
                        self._bring_up(self._place)
                    except BaseException:
                        self._take_back(users, self._place)
                        raise
            except BaseException as error:
                os.close(users)
                if isinstance(error, OSError):
                    raise PostgresError(f"The embedded database could not be started: {error}.") from error
                raise
            self._users = users
            return self._url

    def ensure(self) -> None:
        """Starts the server again if it has ended. Cheap when it has not: no connection is made.

        Any number of processes may call it at the same moment; one starts the server, the others wait for it.
        Raises PostgresError, after which it may be called again.
        """
        with self._mutex:
            if self._users is None or self._place is None:
                return
            try:
                if self._state(self._place) is _State.RUNS:
                    return
                with self._alone():
                    if self._state(self._place) is not _State.RUNS:
                        log.warning("the embedded database has ended; starting it again")
                        self._bring_up(self._place)
            except OSError as error:
                raise PostgresError(f"The embedded database could not be started again: {error}.") from error

    @property
    def folder(self) -> Path:
        """A folder on the disk that the database is on."""
        return self._place.cluster if self._place is not None else self._home

    def discard(self) -> None:
        """Like `stop`, and the last one out removes the database with every folder made for it. For tests."""
        self.stop(discard=True)

    def stop(self, *, discard: bool = False) -> None:
        """Lets go of the server; the last process to do so stops it and waits for its end. Never raises."""
        self._leaving.set()
        with self._mutex:
            if self._users is None or self._place is None:
                return
            try:
                with self._alone(seconds=15):
                    fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._shut_down(self._place)
                    if discard and self._state(self._place) is _State.ENDED:
                        postgres_place.remove(self._place)
            except (BlockingIOError, PostgresError):
                pass  # others still use it, or are starting it
            except OSError:
                log.warning("the embedded database's folder is gone: %s", self._home)
                if self._process is not None and self._process.poll() is None:
                    self._process.send_signal(signal.SIGINT)
            finally:
                os.close(self._users)
                self._users = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Starting

    @contextlib.contextmanager
    def _alone(self, seconds: float = _RECOVERY_SECONDS) -> Iterator[None]:
        held = _lock(self._home / "start.lock", fcntl.LOCK_EX, seconds)
        try:
            yield
        finally:
            os.close(held)

    def _make_url(self, place: Place) -> str:
        path = self._home / "password"
        if not path.exists():
            if place.cluster.exists():
                raise PostgresError(
                    f"The database's password is missing ({path}); bring that file back, or set MUSTER_DATA_DIR to a "
                    "new folder."
                )
            write_private(path, secrets.token_urlsafe(24))
        password = path.read_text(encoding="utf-8").strip()
        host = quote(str(place.socket), safe="/")
        return f"postgresql://muster:{quote(password)}@/{quote(self._database)}?host={host}&port={PORT}"

    def _bring_up(self, place: Place) -> None:
        """Returns when the server answers. The caller holds the start lock."""
        for _ in range(3):
            if self._state(place) is _State.ENDED:
                place.check_version()
                # The server would take a number that another program has now for itself, and refuse to start.
                for stale in (place.pid_file, place.socket_lock):
                    stale.unlink(missing_ok=True)
                postgres_place.forget_old_programs(place)
                if not place.cluster.exists():
                    self._make_cluster(place)
                self._launch(place)
            if self._wait_for_answer(place):
                return
            self._clear_remains(place)
        raise PostgresError(f"The embedded database does not start: {self._last_words()}")

    def _take_back(self, users: int, place: Place) -> None:
        """Stops a server that this process started but cannot use, unless others have come meanwhile."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._shut_down(place)

    def _make_cluster(self, place: Place) -> None:
        for old in place.cluster.parent.glob("cluster.*"):  # of a start that was interrupted
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()
        fresh = place.cluster.with_name(f"cluster.{secrets.token_hex(4)}")
        fresh.mkdir(mode=0o700)
        place.hand_over(fresh)
        password = place.cluster.with_name(f"cluster.password.{secrets.token_hex(4)}")
        write_private(password, (self._home / "password").read_text(encoding="utf-8"))
        place.hand_over(password)
        command = [
            str(place.programs / "bin" / "initdb"), f"--pgdata={fresh}", "--username=muster", f"--pwfile={password}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", "--no-instructions",
            # Many rounds protect words that people choose. Ours is random, and each connection would pay for them.
            "--set=scram_iterations=1",
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 (our own programs and paths)
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                cwd=fresh, env=_ENVIRONMENT, umask=0o077,
                user=place.user, group=place.group, extra_groups=place.extra_groups,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise PostgresError(
                "The embedded database could not be made within 5 minutes; is the disk slow?"
            ) from error
        finally:
            password.unlink()
        if done.returncode != 0:
            lines = [line for line in done.stdout.decode(errors="replace").splitlines() if "error:" in line]
            reason = lines[-1] if lines else f"initdb ended with {done.returncode}"
            raise PostgresError(f"The embedded database could not be made: {reason}.")
        fresh.rename(place.cluster)

    def _launch(self, place: Place) -> None:
        """Starts the server in a session of its own: Ctrl-C in the terminal is for us, and we stop it last."""
        log_path = self._home / "postgres.log"
        with contextlib.suppress(FileNotFoundError):
            if log_path.stat().st_size > _LOG_BYTES:
                log_path.replace(log_path.with_name("postgres.log.1"))
        folders = str(place.socket).replace('"', '""')
        settings = {
            "listen_addresses": "", "port": str(PORT), "unix_socket_directories": f'"{folders}"',
            "unix_socket_permissions": "0700", "cluster_name": place.name, "update_process_title": "on",
            "max_connections": "200", "shared_buffers": "128MB", "fsync": self._durable,
            "synchronous_commit": self._durable, "full_page_writes": self._durable, "timezone": "UTC",
            "lc_messages": "C", "logging_collector": "off", "log_destination": "stderr",
            "log_timezone": "UTC", "log_line_prefix": "%m [%p] ",
            # Statements and details of an error would put people's names and numbers into a plain file.
            "log_error_verbosity": "terse", "log_min_error_statement": "panic",
        }  # fmt: skip
        command = [str(place.programs / "bin" / "postgres"), "-D", str(place.cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        alive = _lock(self._home / "server.lock", fcntl.LOCK_EX, 5)
        try:
            with open(log_path, "ab", opener=_private_file) as output:
                self._log_start = output.seek(0, os.SEEK_END)
                self._process = subprocess.Popen(  # noqa: S603 (our own programs and paths)
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(alive,),
                    start_new_session=True, cwd=place.cluster, env=_ENVIRONMENT, umask=0o077,
                    user=place.user, group=place.group, extra_groups=place.extra_groups,
                )  # fmt: skip
        finally:
            os.close(alive)  # the server's own copy keeps the lock
        # Collected at once when it ends: a zombie keeps its number, and would look alive to the next start.
        threading.Thread(target=self._process.wait, name="postgres", daemon=True).start()

    def _wait_for_answer(self, place: Place) -> bool:
        """True when the server answers, False when it has ended. Raises when it is there but never answers."""
        began = time.monotonic()
        while True:
            try:
                self._ask()
                return True
            except psycopg.Error as error:
                reason = " ".join(str(error).split())
            if "authentication failed" in reason:
                raise PostgresError(
                    f"The embedded database refuses its password; bring back the file {self._home / 'password'} that "
                    "belongs to it."
                )
            if self._state(place) is not _State.RUNS:
                return False
            limit = _RECOVERY_SECONDS if "starting up" in reason or "recovery" in reason else _ANSWER_SECONDS
            if time.monotonic() - began > limit:
                raise PostgresError(
                    f"The embedded database is there (process {_recorded_pid(place)}) but does not answer; it may be "
                    "paused or very busy."
                )
            if self._leaving.wait(0.02):
                raise PostgresError("The embedded database was not waited for: the program is stopping.")

    def _ask(self) -> None:
        """SELECT 1, and the database made if it is missing. Raises psycopg.Error."""
        with psycopg.connect(self._url, dbname="postgres", autocommit=True, connect_timeout=5) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self._database]).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database)))

    def _last_words(self) -> str:
        """Why the server ended, from its log."""
        own = f"[{self._process.pid}] " if self._process else "]"
        with contextlib.suppress(OSError), (self._home / "postgres.log").open("rb") as file:
            file.seek(self._log_start)
            for line in reversed(file.read(_LOG_BYTES).decode(errors="replace").splitlines()):
                if own in line and ("FATAL:" in line or "PANIC:" in line):
                    return f"{line.split(':  ', 1)[-1]}."
        return f"see {self._home / 'postgres.log'}."

    # Knowing what lives, and ending it

    def _state(self, place: Place) -> _State:
        pid = _recorded_pid(place)
        if pid is not None and f"cluster_name={place.name}" in command_of(pid):
            return _State.RUNS
        try:
            # Shared, so that many may look at once.
            os.close(_lock(self._home / "server.lock", fcntl.LOCK_SH, 0))
        except PostgresError:
            # It writes its number while starting and removes it before ending, so a number of nobody means killed.
            return _State.RUNS if pid is None else _State.REMAINS
        return _State.ENDED

    def _clear_remains(self, place: Place) -> None:
        """Waits for the processes of a killed server to end, and ends those that do not: none can start before."""
        began = time.monotonic()
        while self._state(place) is _State.REMAINS:
            waited = time.monotonic() - began
            left = titled(f"postgres: {place.name}: ") if waited > _LINGER_SECONDS else []
            for pid in left:
                log.warning("ending process %d, left over from a database server that was killed", pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if waited > 4 * _LINGER_SECONDS:
                raise PostgresError(
                    f"The embedded database was killed, and something of it still holds {self._home / 'server.lock'}; "
                    "end the processes named postgres, then start again."
                )
            time.sleep(0.05)

    def _shut_down(self, place: Place) -> None:
        pid = _recorded_pid(place)
        if pid is None or self._state(place) is not _State.RUNS:
            return
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGINT)  # fast: sessions are ended, everything is written down
        deadline = time.monotonic() + _STOP_SECONDS
        while self._state(place) is not _State.ENDED:
            if time.monotonic() > deadline:
                log.warning("the embedded database (process %d) was told to stop, but has not ended yet", pid)
                return
            time.sleep(0.01)


def _lock(path: Path, kind: int, seconds: float) -> int:
    """Opens `path` and locks it; closing the descriptor lets go. Raises PostgresError when it stays taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise PostgresError(
                    f"Another process has held {path} for {seconds:.0f} s; end it, then start again."
                ) from None
            time.sleep(0.01)
        except BaseException:
            os.close(descriptor)
            raise


def _private_file(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _recorded_pid(place: Place) -> int | None:
    """The number that the server wrote down when it started, or None."""
    try:
        return int(place.pid_file.read_text(encoding="ascii").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
