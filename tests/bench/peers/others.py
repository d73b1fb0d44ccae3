"""Programs that work both ways, told to work one way: unison and syncthing."""

import re
import subprocess
import time

from tests.bench.compare import difference
from tests.bench.machine.namespaces import CLIENT_ADDRESS, SERVER_ADDRESS, Side
from tests.bench.peers.peer import SYNC_SECONDS, Peer, PeerFailed


class Unison(Peer):
    """One run of it."""

    name = "unison"
    programs = ("unison",)
    watches = False

    def serve(self) -> None:
        """Start its server."""
        home = str(self.state / "server")
        command = ("unison", "-socket", "5555", "-listen", SERVER_ADDRESS)
        self.start(Side.SERVER, *command, log="server.log", environment={"UNISON": home, "HOME": home})
        time.sleep(0.5)

    def sync(self) -> None:
        """The source wins."""
        home = str(self.state / "client")
        self.run(*self.command, environment={"UNISON": home, "HOME": home}, good=(0, 1))

    @property
    def command(self) -> tuple[str, ...]:
        """How it is called."""
        destination = f"socket://{SERVER_ADDRESS}:5555/{self.destination}"
        told = ("-ui", "text", "-batch", "-auto", "-times", "-perms", "-1", "-confirmbigdel=false", "-silent")
        return ("unison", str(self.source), destination, "-force", str(self.source), *told)


class UnisonRepeated(Unison):
    """Its live mode without a helper that Debian does not have: it looks every second."""

    name = "unison, each second"
    syncs_once = False
    watches = True

    def watch(self) -> None:
        """Sync, and go on."""
        self.sync()
        home = str(self.state / "client")
        told = (*self.command, "-repeat", "1")
        self.start(Side.CLIENT, *told, log="client.log", environment={"UNISON": home, "HOME": home})
        time.sleep(3)


class Syncthing(Peer):
    """A folder that is sent only and received only, with the least delay that it takes, without fsync."""

    name = "syncthing"
    programs = ("syncthing",)
    syncs_once = False

    def serve(self) -> None:
        """Make both configurations, and start the side of the destination."""
        ids = {side: self._generate(side) for side in Side}
        for side, path, kind in (
            (Side.CLIENT, self.source, "sendonly"),
            (Side.SERVER, self.destination, "receiveonly"),
        ):
            self._configure(side, ids, str(path), kind)
        self._start(Side.SERVER)
        time.sleep(3)

    def watch(self) -> None:
        """Start the other side; it says nowhere that it is done, so the directories are compared."""
        self._start(Side.CLIENT)
        deadline = time.monotonic() + SYNC_SECONDS
        while difference(self.source, self.destination):
            if time.monotonic() > deadline:
                raise PeerFailed("the first sync is not done")
            time.sleep(1)
        time.sleep(2)

    def _generate(self, side: Side) -> str:
        home = self.state / side.value
        subprocess.run(["syncthing", "generate", f"--home={home}"], check=True, capture_output=True)
        found = re.search(r'<device id="([A-Z0-9-]{63})"', (home / "config.xml").read_text())
        assert found is not None
        return found[1]

    def _configure(self, side: Side, ids: dict[Side, str], path: str, kind: str) -> None:
        addresses = {Side.CLIENT: CLIENT_ADDRESS, Side.SERVER: SERVER_ADDRESS}
        devices = "".join(
            f'<device id="{ids[end]}" name="{end.value}" compression="metadata">'
            f"<address>tcp://{addresses[end]}:22000</address></device>"
            for end in Side
        )
        members = "".join(f'<device id="{device}"/>' for device in ids.values())
        off = ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled", "startBrowser")
        switches = "".join(f"<{name}>false</{name}>" for name in off)
        (self.state / side.value / "config.xml").write_text(
            f'<configuration version="36"><folder id="f" label="f" path="{path}" type="{kind}" '
            'rescanIntervalS="3600" fsWatcherEnabled="true" fsWatcherDelayS="1" ignorePerms="false">'
            f"{members}<disableFsync>true</disableFsync></folder>{devices}"
            '<gui enabled="false"><address>127.0.0.1:8384</address><apikey>k</apikey></gui>'
            f"<options><listenAddress>tcp://{addresses[side]}:22000</listenAddress>{switches}"
            "<urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH>"
            "<crashReportingEnabled>false</crashReportingEnabled><reconnectionIntervalS>1</reconnectionIntervalS>"
            "</options></configuration>"
        )

    def _start(self, side: Side) -> None:
        home = self.state / side.value
        told = ("--no-browser", "--no-restart", "--no-upgrade")
        command = ("syncthing", "serve", f"--home={home}", *told)
        self.start(side, *command, log=f"{side.value}.log", environment={"HOME": str(home)})
