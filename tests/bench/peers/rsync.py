"""rsync with a daemon, and lsyncd, which starts it when something changes."""

import time

from tests.bench.machine.namespaces import SERVER_ADDRESS, Side
from tests.bench.peers.peer import Peer

_PORT = 8730
_TARGET = f"rsync://{SERVER_ADDRESS}:{_PORT}/destination/"


class Rsync(Peer):
    """With deltas, without compression."""

    name = "rsync"
    programs: tuple[str, ...] = ("rsync",)
    watches = False
    keeps_holes = True
    options: tuple[str, ...] = ()

    def serve(self) -> None:
        """Start the daemon."""
        settings = self.place / "rsyncd.conf"
        settings.write_text(
            f"use chroot = no\nuid = root\ngid = root\npid file = {self.place}/pid\n"
            f"[destination]\npath = {self.destination}\nread only = no\n"
        )
        command = ("rsync", "--daemon", "--no-detach", f"--config={settings}", f"--port={_PORT}")
        self.start(Side.SERVER, *command, f"--address={SERVER_ADDRESS}", log="server.log")
        time.sleep(0.3)

    def sync(self) -> None:
        """As a script would call it."""
        options = (*self.options, "--sparse") if self.is_sparse else self.options
        self.run("rsync", "-a", "--delete", "--no-whole-file", *options, f"{self.source}/", _TARGET)


class RsyncCompressed(Rsync):
    """With ``-z``."""

    name = "rsync -z"
    is_variant = True
    keeps_holes = False
    options = ("-z",)


class Lsyncd(Rsync):
    """Without a delay before it starts rsync."""

    name = "lsyncd"
    programs = ("rsync", "lsyncd")
    syncs_once = False
    watches = True

    def watch(self) -> None:
        """Start it."""
        settings = self.place / "lsyncd.lua"
        settings.write_text(
            "settings { nodaemon = true, insist = true, maxProcesses = 1 }\n"
            f'sync {{ default.rsync, source = "{self.source}/", target = "{_TARGET}", delay = 0, delete = true,\n'
            '  rsync = { archive = true, whole_file = false, _extra = { "--no-whole-file", "--modify-window=-1" } } }\n'
        )
        process = self.start(Side.CLIENT, "lsyncd", "-log", "Normal", settings, log="lsyncd.log")
        self.wait_for(process, "lsyncd.log", b"Startup of")
