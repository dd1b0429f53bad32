"""Sets up `.venv` from the locks: `python3 requirements/install.py [dev] [chromium]`. `make` calls it.

`.venv/.whole` is written last and removed first, so an environment without it is one that was not finished: it is
made anew. It holds what the environment was made from; when that has changed, the environment follows. Only Python's
own library is used here: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
WHOLE = VENV / ".whole"

held: list[int] = []
"""The lock of `one_at_a_time`. What we start holds it too: if we are killed, it still writes into `.venv`."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Imports everything once, so that the first start finds bytecode of what it needs; compiling all of what is installed
# would take longer than the start itself.
WARM_UP = """
import contextlib, importlib, pkgutil, app
for module in pkgutil.walk_packages(app.__path__, "app.", onerror=lambda name: None):
    if not module.name.endswith("__main__"):
        with contextlib.suppress(BaseException):
            importlib.import_module(module.name)
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def main(wanted: set[str]) -> int:
    try:
        if not is_whole("dev" in wanted):
            with one_at_a_time():
                set_up("dev" in wanted)
        if "chromium" in wanted:
            find_browser()
    except SetUpError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"Set-up failed: {error.strerror}: {error.filename}")
        return 1
    except KeyboardInterrupt:
        say("Set-up was interrupted; the next make begins it anew.")
        return 130
    return 0


class SetUpError(Exception):
    """One plain line."""


def is_whole(dev: bool) -> bool:
    had, want = made_from(), wanted_from()
    return all(had.get(key) == want[key] for key in want if dev or key != "dev") and runs(had)


def made_from() -> dict[str, str]:
    """What the environment was made from: empty when there is none, or one that was not finished."""
    try:
        found = json.loads(WHOLE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def wanted_from() -> dict[str, str]:
    return {
        "folder": str(VENV),  # the commands in it hold its path
        "runtime": digest(LOCKS / "runtime.lock"),
        "dev": digest(LOCKS / "dev.lock"),
        "package": digest(ROOT / "pyproject.toml"),
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def runs(had: dict[str, str]) -> bool:
    """Whether the environment's Python is still there and still the one that it was made with."""
    return bool(had) and python_version() == had.get("python")


def python_version() -> str:
    """What the environment's Python says of itself: empty when it does not run, as after the system's was replaced."""
    try:
        return subprocess.run([PYTHON, "-V"], capture_output=True, check=True).stdout.decode().strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Holds off a second make in the same folder until this one has finished."""
    import fcntl  # not on Windows, where make is not either

    with (LOCKS / "runtime.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another make is setting up here; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        held.append(file.fileno())
        try:
            yield
        finally:
            held.clear()


def set_up(dev: bool) -> None:
    if is_whole(dev):  # another make has just done it
        return
    had, want = made_from(), wanted_from()
    keys = [key for key in ("folder", "runtime") if had.get(key) != want[key]]
    if dev and "dev" in had and had["dev"] != want["dev"]:
        keys.append("dev")
    if keys or not runs(had):
        had = {}
        make_environment()
        say("Installing what Muster needs; this takes about half a minute.")
        install(*locked("runtime.lock"))
    WHOLE.unlink(missing_ok=True)
    if dev and had.get("dev") != want["dev"]:
        say("Installing what the tests and checks need.")
        install(*locked("dev.lock"))
    if had.get("package") != want["package"]:
        install("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        run(str(PYTHON), "-I", "-c", WARM_UP)
    made = {key: value for key, value in want.items() if key != "dev" or dev or had.get("dev") == value}
    made["python"] = python_version()
    fresh = WHOLE.with_name(".whole.new")
    fresh.write_text(json.dumps(made), encoding="utf-8")
    fresh.replace(WHOLE)


def make_environment() -> None:
    try:
        import ensurepip
        import venv  # noqa: F401
    except ImportError:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetUpError(
            f"Python's venv module is missing; install the package python3-venv (for this Python: {name}), then run "
            "make again."
        ) from None
    if VENV.exists() or VENV.is_symlink():
        say("Making .venv anew: it was not finished, or was made from something else.")
        with contextlib.suppress(FileNotFoundError):
            WHOLE.unlink()
        if VENV.is_symlink():
            VENV.unlink()
        else:
            shutil.rmtree(VENV)
    shipped = shipped_pip(Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
    # Run from the file that it is shipped as: putting it into the environment first takes three times as long.
    if (
        shipped
        and run(sys.executable, "-I", "-m", "venv", "--without-pip", str(VENV)).returncode == 0
        and run(*pip_command(f"{shipped}/pip"), "install", "--no-compile", *locked("installers.lock")).returncode == 0
    ):
        return
    done = run(sys.executable, "-I", "-m", "venv", "--clear", str(VENV))
    if done.returncode != 0:
        raise SetUpError(f"A virtual environment cannot be made in {VENV}: {last_line(done)}")
    run(*pip_command("-m", "pip"), "install", *locked("installers.lock"))  # without it, slower: the older pip remains


def shipped_pip(*folders: Path) -> Path | None:
    """The pip that came with Python, as the one file that ensurepip would install; None where it is elsewhere."""
    return next((path for folder in folders for path in folder.glob("pip-*.whl")), None)


def install(*arguments: str) -> None:
    """Installs into the environment: with uv, which takes a tenth of the time, else with pip, which knows more.

    Raises SetUpError after pip's own words.
    """
    uv = (str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--no-config", "--python", str(PYTHON))
    if goes_straight() and run(*uv, *arguments, UV_HTTP_TIMEOUT="15", UV_HTTP_RETRIES="1").returncode == 0:
        return
    if run(*pip_command("-m", "pip"), "install", "--no-compile", *arguments, quiet=False).returncode != 0:
        raise SetUpError(
            "Set-up failed: pip could not install what the lock names. Run make again when that is mended."
        )


def goes_straight() -> bool:
    """Whether packages come from where they usually do. uv does not read pip's configuration, so else it is pip's."""
    if not (VENV / "bin" / "uv").exists():
        return False
    configured = run(*pip_command("-m", "pip"), "config", "list").stdout.decode(errors="replace").lower()
    return not any(f".{name}=" in configured for name in ("index-url", "no-index", "proxy"))


def locked(name: str) -> tuple[str, ...]:
    return ("--require-hashes", "--no-deps", "-r", str(LOCKS / name))


def pip_command(*what: str) -> tuple[str, ...]:
    return (str(PYTHON), "-I", *what, "-qq", "--disable-pip-version-check", "--no-input")


def run(*command: str, quiet: bool = True, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command without a terminal; with `quiet` its words are kept instead of shown."""
    # A user's wish to install elsewhere is not for an environment of its own.
    elsewhere = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_HASHES")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere} | variables
    return subprocess.run(  # noqa: S603
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=quiet, pass_fds=held, check=False
    )


def find_browser() -> None:
    """Sees to Chromium for the tests that need it: installed on Debian for root, otherwise one line says what is so."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    why = "Browser tests will be skipped: Chromium is not installed"
    if not (Path("/etc/debian_version").exists() and shutil.which("apt-get")):
        say(f"{why}. Install Chromium or Chrome to run them.")
        return
    if os.geteuid() != 0:
        say(f"{why}. As root: apt-get install chromium.")
        return
    say("Installing Chromium for the browser tests.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "chromium"]):
        done = subprocess.run(  # noqa: S603
            ["apt-get", *command],  # noqa: S607
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            say(f"{why}, and apt-get could not install it: {last_line(done)}")
            return


def last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with {done.returncode}"


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
