"""Large files over a line that is cut every few seconds, and beside a server that starts again."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.content import random_bytes
from tests.support.programs import Pair
from tests.support.proxy import Proxy
from tests.support.trees import File, build, differences
from tests.support.waiting import until

SIZE = 6_000_000
CUT_SECONDS = 1.2
"""Less than a third of what the file needs."""
BANDWIDTH = "1MiB"


@contextmanager
def repeatedly(act: Callable[[], object]) -> Iterator[None]:
    """While this lasts, something happens again and again."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(CUT_SECONDS):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.programs
@pytest.mark.case("C01", "C02")
def test_a_line_that_is_cut(pair: Pair) -> None:
    """The file arrives, hardly anything is sent twice, and nothing is left in staging."""
    server = pair.server()
    build(pair.source, {"large": File(random_bytes(SIZE)), **{f"small{number}": str(number) for number in range(20)}})
    with Proxy(pair.server_address) as proxy:
        client = pair.client(server=proxy.address, bandwidth_limit=BANDWIDTH, synced=False)
        with repeatedly(proxy.cut):
            until((pair.replica / "large").exists, "the large file", seconds=60)
        client.wait_until_in_sync()
        sent = proxy.sent
    until(lambda: not list(pair.place.glob(".*staging")), "the staging directory to be removed")
    metrics, served = client.metrics(), server.metrics()

    assert [] == differences(pair.source, pair.replica)
    assert metrics.value("dirsync_reconnects_total") >= 2
    assert sent < 1.5 * SIZE
    assert metrics.value("dirsync_resumed_bytes_total") == served.value("dirsync_resumed_bytes_total") > 0
    assert metrics.value("dirsync_logical_bytes_total") == served.value("dirsync_logical_bytes_total")
    assert metrics.value("dirsync_literal_bytes_total") == served.value("dirsync_literal_bytes_total")
    assert 0 == served.value("dirsync_kept_uploads") == served.value("dirsync_kept_upload_bytes")


@pytest.mark.programs
@pytest.mark.case("A11")
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_starts_again(pair: Pair, end: str) -> None:
    """What it had is not sent again, whether it ended well or not."""
    server = pair.server()
    build(pair.source, {"large": File(random_bytes(SIZE))})
    with Proxy(pair.server_address) as proxy:
        client = pair.client(server=proxy.address, bandwidth_limit=BANDWIDTH, synced=False)
        until(lambda: proxy.sent > SIZE // 2, "half of the file", seconds=30)
        getattr(server, end)()
        server = pair.server()
        until((pair.replica / "large").exists, "the large file", seconds=60)
        client.wait_until_in_sync()
        sent = proxy.sent

    assert [] == differences(pair.source, pair.replica)
    assert sent < 1.4 * SIZE
    assert server.metrics().value("dirsync_resumed_bytes_total") > SIZE // 4
