"""Makes pictures of Prometheus's own pages with our rules: ``make screenshots-prometheus``; takes two minutes.

A real pair works, then its source is emptied, so that one alert fires. Prometheus is that of the Debian package, whose
pages lie below ``/classic``; newer ones answer without that.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.capabilities import Capability, has
from tests.pages.__main__ import IMAGES
from tests.pages.browser import Browser, browser
from tests.support.outside.prometheus import Prometheus, prometheus
from tests.support.running.metrics import get
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build

PAGES = {"alerts": (1100, 1200), "rules": (1500, 1000), "targets": (1200, 560)}
"""Each page, and how much of it is shown."""
FILES = 40
HELD_SECONDS = 120.0
"""How long the alert may take: it fires a minute after the hold."""


def main() -> int:
    """Write one picture of each page."""
    for capability in (Capability.CHROMIUM, Capability.PROMETHEUS):
        if not has(capability):
            print(f"make screenshots-prometheus {capability.missing}", file=sys.stderr)
            return 1
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dirsync-prometheus-") as place:
        pair = Pair(Path(place) / "pair")
        try:
            _take(pair, Path(place))
        finally:
            pair.end()
    return 0


def _take(pair: Pair, place: Path) -> None:
    server = pair.server()
    build(pair.source, {f"photos/{number}.jpg": f"{number}" for number in range(FILES)})
    client = pair.client()
    with prometheus(
        place / "prometheus", {"dirsync-server": server.http_port, "dirsync-client": client.http_port}
    ) as running:
        for number in range(FILES):
            build(pair.source, {f"photos/{number}.jpg": f"edited {number}"})
            time.sleep(0.2)
        client.wait_until_in_sync()
        shutil.rmtree(pair.source / "photos")
        client.wait_for("guard.held")
        fires = 'ALERTS{alertname="DirsyncHeld", alertstate="firing"}'
        until(lambda: running.query(fires), "the alert fires", seconds=HELD_SECONDS)
        with browser(place) as shown:
            for name, (width, height) in PAGES.items():
                (IMAGES / f"prometheus-{name}.png").write_bytes(_picture(shown, running, name, width, height))
                print(f"docs/images/prometheus-{name}.png")


def _picture(shown: Browser, running: Prometheus, name: str, width: int, height: int) -> bytes:
    """What the page shows once it has what it is for."""
    path = next(path for path in (f"/classic/{name}", f"/{name}") if get(running.port, path).status == 200)
    page = shown.open(f"http://127.0.0.1:{running.port}{path}", width=width, height=height)
    page.wait_for("document.readyState === 'complete' && /[Dd]irsync/.test(document.body.innerText)")
    picture = page.screenshot()
    page.close()
    return picture


if __name__ == "__main__":
    sys.exit(main())
