"""Makes the pictures of the documentation: ``make screenshots``. Real pairs, and a real browser; takes some minutes.

With pngquant (a package of that name) the files are a third of the size.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.capabilities import Capability, has
from tests.pages.browser import browser
from tests.pages.states import STATES, PageState, work
from tests.support.running.programs import Client, Pair, Process
from tests.support.trees.content import random_bytes

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WORK_SECONDS = 150.0
"""How long a pair works before its picture is taken, so that its charts have something to show."""
REST_SECONDS = 35.0
"""How long any other pair stays as it is."""
PAUSE_SECONDS = 4.0
PHONE = 390, 844


def main() -> int:
    """Write one picture of each state, and one of a phone."""
    if not has(Capability.CHROMIUM):
        print(f"make screenshots {Capability.CHROMIUM.missing}", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    for state in STATES:
        with tempfile.TemporaryDirectory(prefix="dirsync-page-") as place:
            _take(state, Path(place))
    return 0


def _take(state: PageState, place: Path) -> None:
    pair = Pair(place / "pair")
    try:
        process = _busy(pair, state) if state.name == "in_sync" else state.make(pair)
        time.sleep(REST_SECONDS)
        with browser(place) as running:
            sizes = {state.name: (1200, 800), **({f"{state.name}-phone": PHONE} if state.name == "in_sync" else {})}
            for name, (width, height) in sizes.items():
                page = running.open(f"http://127.0.0.1:{process.http_port}/", width=width, height=height)
                page.wait_for(f"document.body?.dataset.state === '{state.name}'")
                (IMAGES / f"status-{name}.png").write_bytes(_small(page.screenshot()))
                print(f"docs/images/status-{name}.png")
    finally:
        pair.end()


def _small(png: bytes) -> bytes:
    """The picture with as few colours as nobody misses."""
    if shutil.which("pngquant") is None:
        return png
    command = ["pngquant", "--quality=80-100", "--strip", "--speed=1", "-"]
    return subprocess.run(command, input=png, check=True, capture_output=True).stdout


def _busy(pair: Pair, state: PageState) -> Process:
    """The pair after some minutes of work."""
    client = state.make(pair)
    assert isinstance(client, Client)
    until = time.monotonic() + WORK_SECONDS
    number = 0
    while time.monotonic() < until:
        number += 1
        (pair.source / f"photos/2026-08/new-{number:03}.jpg").write_bytes(
            random_bytes((number * 37) % 900 * 1024, number)
        )
        work(pair, client, number + 1)
        time.sleep(PAUSE_SECONDS)
    return client


if __name__ == "__main__":
    sys.exit(main())
