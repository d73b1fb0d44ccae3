"""What idle sessions cost a server: ``python -m tests.load.idle --sessions 1000``.

Each session is of a namespace of its own, with an empty replica, and has a push stream open on which nothing comes.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from dirsync.rpc.channel import client_options
from dirsync.v1 import replica_service_pb2 as replica_pb
from tests.bench.machine.where import machine
from tests.support.peers.operations import commit
from tests.support.peers.wire import REPLICA, Wire
from tests.support.running.cluster import Cluster, token_of
from tests.support.running.figures import cpu_seconds, descriptors, resident_kib
from tests.support.running.programs import Server

OPEN_SECONDS = 3600.0
"""How long a stream may stay open."""


class Cost(NamedTuple):
    """What a number of idle sessions take beside what the server takes without any."""

    sessions: int
    namespace_kib: float
    """An open namespace without a session, each."""
    kib: float
    """A session, beside its namespace, each. So too the next ones."""
    descriptors: float
    threads: float
    total_mib: float
    """The whole server."""
    cpu_percent: float
    """Of a core, all together."""


def measure(place: Path, sessions: int, seconds: float, *, shared: bool = False) -> Cost:
    """Open the sessions, leave them alone for a while, and see what the server takes."""
    names = [f"idle-{number}" for number in range(sessions)]
    cluster = Cluster(place, names, shared=shared, max_sessions=1024, namespace_idle="1h")
    try:
        server = cluster.server()
        empty = _figures(server)
        for name in names:
            _open_namespace(server, name)
        before = _figures(server)
        with ExitStack() as stack:
            for name in names:
                wire = stack.enter_context(
                    Wire(server.address, token_of(name), seconds=OPEN_SECONDS, options=client_options())
                )
                push = wire.push(wire.open_session(namespace=name).session_id)
                push.send(commit()).receive()
                stack.callback(push.cancel)
            time.sleep(2)
            after, spent = _figures(server), cpu_seconds(server.pid)
            time.sleep(seconds)
            spent = cpu_seconds(server.pid) - spent
    finally:
        wrong = cluster.end()
    assert wrong == []
    kib, files, threads = ((now - then) / sessions for now, then in zip(after, before, strict=True))
    namespace_kib = (before[0] - empty[0]) / sessions
    return Cost(sessions, namespace_kib, kib, files, threads, after[0] / 1024, 100 * spent / seconds)


def _open_namespace(server: Server, name: str) -> None:
    with Wire(server.address, token_of(name)) as wire:
        request = replica_pb.ReplicaServiceGetStatusRequest(namespace=name)
        wire.ask(REPLICA + "GetStatus", request, replica_pb.ReplicaServiceGetStatusResponse)


def _figures(server: Server) -> tuple[int, int, int]:
    return resident_kib(server.pid), descriptors(server.pid), server.threads()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--shared", action="store_true", help="STORAGE=shared")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dirsync-idle-") as place:
        cost = measure(Path(place), arguments.sessions, arguments.seconds, shared=arguments.shared)
    print(f"{machine()}\n")
    print("| sessions | KiB each | descriptors each | threads each | KiB each namespace | server MiB | CPU % |")
    print("|---|---|---|---|---|---|---|")
    each = f"{cost.kib:.0f} | {cost.descriptors:.1f} | {cost.threads:.1f} | {cost.namespace_kib:.0f}"
    print(f"| {cost.sessions} | {each} | {cost.total_mib:.0f} | {cost.cpu_percent:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
