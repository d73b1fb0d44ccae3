"""What an unchanged tree costs: on the wire, counted outside of our own counters, and in what is imported."""

import pytest

from dirsync.limits import KIB
from tests.support.proxy import Proxy
from tests.support.running.programs import Pair
from tests.support.trees.trees import Spec, build

pytestmark = pytest.mark.programs

FILES: Spec = {f"d{number % 100}/f{number}": f"{number}" for number in range(10_000)}
HEAVY = {"numpy", "rich", "grpc_reflection", "prometheus_client", "watchdog", "zstandard", "asyncio", "email"}
SENDING = "dirsync_client.transfer.sender"
MODULES = 600
"""A fiftieth more than a ``once`` with nothing to do loads."""


def test_unchanged_tree_on_the_wire(pair: Pair) -> None:
    """A second ``once`` over 10,000 files exchanges less than 16 KiB, all headers and handshakes counted."""
    pair.server()
    build(pair.source, FILES)
    first = pair.once()
    with Proxy(pair.server_address) as proxy:
        second = pair.once(server=proxy.address)
        crossed = proxy.sent + proxy.received

    assert (0, 0) == (first.code, second.code)
    assert 10_100 == first.event("sync.completed")["files"]
    assert 0 == second.event("sync.completed")["files"]
    assert 0 < crossed < 16 * KIB


def test_unchanged_tree_imports(pair: Pair) -> None:
    """A ``once`` with nothing to do imports nothing heavy, and nothing that sends; one that compresses zstandard."""
    pair.server()
    watched = ["env", "PYTHONPROFILEIMPORTTIME=1"]
    build(pair.source, {"a": "text " * 10_000})
    busy = _imported(pair.once(prefix=watched).messages)
    idle = _imported(pair.once(prefix=watched).messages)

    assert {"zstandard"} == _packages(busy) & HEAVY
    assert set() == _packages(idle) & HEAVY
    assert {"grpc", "dirsync_client"} < _packages(idle)
    assert (True, False) == (SENDING in busy, SENDING in idle)
    assert len(idle) < MODULES


def _imported(lines: list[str]) -> set[str]:
    """Modules that were imported, or whose import was refused."""
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def _packages(names: set[str]) -> set[str]:
    """Packages of which a part was imported; the name alone is listed also where the import was refused."""
    return {name.partition(".")[0] for name in names if "." in name}
