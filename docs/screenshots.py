"""Takes the pictures of the documentation again: a demo in a folder of its own, seen through Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not installed, so no picture can be taken.", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="mst"))
    environment = os.environ | {
        "MUSTER_DATA_DIR": str(folder / "data"),
        "MUSTER_PORT": str(free_port()),
        "MUSTER_SIMULATOR_PORT": str(free_port()),
        "MUSTER_SIMULATOR_SMTP_PORT": str(free_port()),
        "MUSTER_TIME_SCALE": "30",
    }
    output = folder / "out"
    with output.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "demo"], env=environment, cwd=HERE.parent, stdout=out, stderr=out
        )
    try:
        link = wait_for_link(output)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 1500})
            page.goto(link)
            page.get_by_role("button").first.click()
            page.wait_for_url(re.compile(r"/incidents/"))
            time.sleep(8)  # people take their time to answer
            page.screenshot(path=HERE / "board.png")
            browser.close()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(40)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{HERE / 'board.png'} taken.")
    return 0


def wait_for_link(output: Path) -> str:
    """The sign-in link that the demo prints. Raises RuntimeError when it does not come."""
    ends = time.monotonic() + 90
    while time.monotonic() < ends:
        found = re.search(r"Sign in:\s+(\S+)", output.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(0.2)
    raise RuntimeError(f"the demo did not start: {output.read_text(encoding='utf-8', errors='replace')[-2000:]}")


if __name__ == "__main__":
    raise SystemExit(main())
