"""One measurement: what an action took, on the clock, in processors and memory, and on the wire."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.bench.compare import difference
from tests.bench.machine.namespaces import Network, Side
from tests.bench.machine.usage import Usage
from tests.bench.peers.peer import Peer, PeerFailed


class Row(NamedTuple):
    """One measurement of one program."""

    workload: str
    peer: str
    round: int
    seconds: float
    """Wall time; of a latency the median."""
    cpu_client: float
    cpu_server: float
    sent_bytes: int
    """Both ways, all headers counted."""
    peak_client: int
    peak_server: int
    wrong: str = ""
    """Why it does not count; empty if all is well."""
    p95_seconds: float = 0.0
    """Of a latency; 0 of everything else."""


Action = Callable[[], list[float] | None]
"""Does what is measured; gives the latencies, if those are what counts."""


def measure(network: Network, peer: Peer, workload: str, number: int, action: Action) -> Row:
    """Do it and measure it. A result that is wrong, or none, is told in the row."""
    os.sync()
    usage, before = Usage(network), network.crossed()
    started, wrong, latencies = time.perf_counter(), "", None
    try:
        latencies = action()
    except PeerFailed as failure:
        wrong = str(failure)
    seconds = time.perf_counter() - started
    after, used = network.crossed(), usage.stop()
    wrong = wrong or difference(peer.source, peer.destination)
    ordered = sorted(latencies or ())
    client, server = used[Side.CLIENT], used[Side.SERVER]
    return Row(
        workload,
        peer.name,
        number,
        ordered[len(ordered) // 2] if ordered else seconds,
        client.cpu_seconds,
        server.cpu_seconds,
        after.up - before.up + after.down - before.down,
        client.peak_bytes,
        server.peak_bytes,
        wrong,
        ordered[int(len(ordered) * 0.95)] if ordered else 0.0,
    )
