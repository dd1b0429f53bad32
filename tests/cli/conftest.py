"""One embedded database for the commands' tests, in a folder with a short name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kernel import migrate
from app.kernel.postgres import EmbeddedPostgres
from tests import log_guard
from tests.api.company import CSV
from tests.cli.shell import Shell


@pytest.fixture(scope="package")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A migrated database with the small company in it, held open for as long as these tests run."""
    folder = Path(tempfile.mkdtemp(prefix="muster-cli-"))
    home = tmp_path_factory.mktemp("home")
    embedded = EmbeddedPostgres(folder / "data")
    url = embedded.start()
    try:
        migrate.upgrade(url)
        made = Shell.on(folder / "data", home, url)
        (home / "people.csv").write_text(CSV, encoding="utf-8")
        made.muster("people", "import", "people.csv", "--country", "US").fine()
        yield made
        for log in home.glob("*.log"):
            log_guard.GUARD.see(log.read_text(errors="replace"))
    finally:
        embedded.stop(discard=True)
        shutil.rmtree(folder, ignore_errors=True)
