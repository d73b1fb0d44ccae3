"""The benchmark's own instruments, on a small tree: what crosses the cable and what processes take is counted."""

import argparse
from pathlib import Path

import pytest

from tests.bench.__main__ import PEERS, some_of
from tests.bench.machine.namespaces import Network
from tests.bench.measure import measure
from tests.bench.peers.dirsync import Dirsync
from tests.bench.peers.peer import Peer
from tests.bench.peers.rsync import Rsync
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import build

pytestmark = [pytest.mark.programs, pytest.mark.needs("netns"), pytest.mark.needs("rsync")]

SIZE = 60_000_000


def test_programs_can_be_chosen() -> None:
    """Each by its name, alone and among others; one that is not known is told."""
    choose = some_of(PEERS)

    assert list(PEERS) == choose(",".join(PEERS))
    assert ["rsync"] == choose("rsync")
    with pytest.raises(argparse.ArgumentTypeError, match="tar: not known; take some of dirsync,"):
        choose("rsync,tar")


@pytest.mark.parametrize("kind", [Dirsync, Rsync])
def test_measured(tmp_path: Path, kind: type[Peer]) -> None:
    """All of the content crosses once, and both ends take time and memory for it."""
    with Network() as network:
        peer = kind(tmp_path / "run")
        try:
            build(peer.source, {"d/f": random_bytes(SIZE)})
            peer.serve()
            row = measure(network, peer, "W1", 0, peer.sync)
        finally:
            peer.stop()

    assert not row.wrong
    assert SIZE < row.sent_bytes < 1.2 * SIZE
    assert row.seconds > 0
    assert min(row.peak_client, row.peak_server) > 1_000_000
    assert row.cpu_client + row.cpu_server > 0
