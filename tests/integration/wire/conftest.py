"""The module's server and a bench on it."""

from tests.support.peers.serving import bench, open_bench, server, wire

__all__ = ["bench", "open_bench", "server", "wire"]
