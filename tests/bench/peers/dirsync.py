"""dirsync, as its users run it; without fsync, as rsync does it, and as it is by default."""

import sys
from pathlib import Path

from tests.bench.machine.namespaces import SERVER_ADDRESS, Side
from tests.bench.peers.peer import Peer

_PROGRAMS = Path(sys.executable).parent


class Dirsync(Peer):
    """Without fsync and compression: what an rsync daemon does."""

    name = "dirsync"
    keeps_holes = True
    fsync = "never"
    compression = "none"
    listen = f"{SERVER_ADDRESS}:50051"

    def serve(self) -> None:
        """Start the server."""
        told: dict[str, str | Path] = {
            "DIRSYNC_SERVER_ROOT": self.destination,
            "DIRSYNC_SERVER_STATE_DIR": self.state / "server",
            "DIRSYNC_SERVER_LISTEN": self.listen,
            "DIRSYNC_SERVER_METRICS_LISTEN": "127.0.0.1:0",
            "DIRSYNC_SERVER_INSECURE": "true",
            "DIRSYNC_SERVER_FSYNC": self.fsync,
            "DIRSYNC_SERVER_LOG_FORMAT": "json",
        }
        server = self.start(Side.SERVER, _PROGRAMS / "dirsync-server", log="server.log", environment=_texts(told))
        self.wait_for(server, "server.log", b"rescan.completed")

    def sync(self) -> None:
        """``once``."""
        self.run(_PROGRAMS / "dirsync-client", "once", environment=self._client)

    def watch(self) -> None:
        """``run``."""
        client = self.start(Side.CLIENT, _PROGRAMS / "dirsync-client", log="client.log", environment=self._client)
        self.wait_for(client, "client.log", b"sync.completed")

    @property
    def _client(self) -> dict[str, str]:
        return _texts(
            {
                "DIRSYNC_CLIENT_SOURCE": self.source,
                "DIRSYNC_CLIENT_STATE_DIR": self.state / "client",
                "DIRSYNC_CLIENT_SERVER": self.listen,
                "DIRSYNC_CLIENT_METRICS_LISTEN": "127.0.0.1:0",
                "DIRSYNC_CLIENT_INSECURE": "true",
                "DIRSYNC_CLIENT_COMPRESSION": self.compression,
                "DIRSYNC_CLIENT_LOG_FORMAT": "json",
            }
        )


class DirsyncDurable(Dirsync):
    """With fsync, as by default."""

    name = "dirsync, fsync"
    is_variant = True
    fsync = "batch"


class DirsyncAuto(Dirsync):
    """With compression where it pays, as by default."""

    name = "dirsync, auto"
    is_variant = True
    compression = "auto"


def _texts(settings: dict[str, str | Path]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}
