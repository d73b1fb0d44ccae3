"""The module's server and a bench on it; the module's server of two tenants."""

from tests.support.peers.serving import bench, open_bench, server, wire
from tests.support.peers.tenants import lasting_world, world

__all__ = ["bench", "lasting_world", "open_bench", "server", "wire", "world"]
