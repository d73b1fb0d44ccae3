"""The judge of what a mirror is: whatever happens to a directory, it ends at the replica as rsync ends it.

Compared is DESIGN's "equal": owners, and the times of directories and links, are no part of it.
"""

import os
import shutil
import subprocess
from argparse import Namespace
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.guards.hold import GuardPolicy
from dirsync_client.commands.dry_run import DryRun, Step
from dirsync_client.commands.once import once
from dirsync_client.commands.source_readonly import open_source_readonly
from dirsync_client.reconcile.context import Options
from dirsync_client.session.channel import ServerConnection
from dirsync_client.session.viewer import RemoteReplica
from dirsync_client.settings import ClientSettings
from dirsync_client.state import StateView
from dirsync_client.targets.source_view import SourceSide
from tests.property.edits import Edit, edits, empty, perform, renames
from tests.support.running.metrics import scrape
from tests.support.running.programs import Pair
from tests.support.trees.trees import differences

ANCHOR = "anchor"
"""Always there: a source that is emptied would be held."""


class Mirror:
    """A source, its replica behind one server for all examples, and a copy that rsync makes."""

    def __init__(self, pair: Pair) -> None:
        self.source, self.replica = pair.source, pair.replica
        self.copy = pair.place / "copy"
        self.copy.mkdir()
        server = pair.server()
        flags = {
            "source": str(pair.source),
            "state_dir": str(pair.place / "client-state"),
            "server": server.address,
            "guard_max_delete_percent": "100",
        }
        self._settings = ClientSettings.load(flags)
        self._port = server.http_port

    def start(self) -> None:
        """Leave nothing but the anchor on both sides, so that an example can be repeated."""
        empty(os.fsencode(self.source))
        (self.source / ANCHOR).touch()
        assert self.once() is ExitCode.DONE

    def edit(self, wanted: list[Edit]) -> None:
        """Make edits in the source."""
        perform(os.fsencode(self.source), wanted)

    def once(self) -> ExitCode:
        """Sync as the command does, without the half second that starting a program takes."""
        return once(self._settings, Namespace(approve=None, json=False))

    def rehearse(self) -> list[Step]:
        """What a plan says that a sync would do now."""
        with open_source_readonly(self._settings) as source:
            connection = ServerConnection(self._settings, self._settings.targets[0])
            try:
                remote = RemoteReplica(connection, "default")
                status = remote.status()
                source.count(status.options.attributes)
                replica = remote.tree(source.tree.attributes, source.ignore)
            finally:
                connection.close()
            options = Options(at_once=True, policy=GuardPolicy(max_delete_percent=100))
            state = StateView(self._settings.state_dir)
            dry_run = DryRun(
                SourceSide(source, source), replica, state, status.replica_id, options, self._settings.block_size
            )
            try:
                steps = list(dry_run.steps())
            finally:
                dry_run.close()

        assert dry_run.hold is None
        return steps

    @property
    def literal(self) -> int:
        """Bytes of content that the server was sent so far."""
        return int(scrape(self._port).value("dirsync_literal_bytes_total"))

    def forget(self) -> None:
        """Let the client lose its index and its signatures; it still knows that the replica is its own."""
        for name in ("index.sqlite", "signatures"):
            path = self._settings.state_dir / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def rsync(self) -> None:
        """Bring the copy up to date."""
        command = ("rsync", "-a", "--delete", "--checksum", f"{self.source}/", f"{self.copy}/")
        subprocess.run(command, check=True, timeout=60)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """One server for all examples."""
    pair = Pair(tmp_path_factory.mktemp("mirror"))
    yield Mirror(pair)

    assert [] == pair.end()


@pytest.mark.needs("rsync")
@given(st.lists(edits, max_size=12), st.lists(st.lists(edits, max_size=6), min_size=1, max_size=2))
def test_ends_as_rsync_ends(mirror: Mirror, first: list[Edit], later: list[list[Edit]]) -> None:
    """A tree and what becomes of it by edits, moves and removals ends as ``rsync -a --delete --checksum`` ends it.

    A plan that is made before says something exactly if there is something to do.
    """
    mirror.start()
    for step in (first, *later):
        mirror.edit(step)
        before = differences(mirror.source, mirror.replica)
        planned = mirror.rehearse()
        code = mirror.once()
        mirror.rsync()

        assert ExitCode.DONE is code
        assert bool(before) == bool(planned)
        assert [] == mirror.rehearse()
        assert [] == differences(mirror.copy, mirror.replica)
        assert [] == differences(mirror.copy, mirror.source)


@pytest.mark.needs("rsync")
@given(st.lists(edits, max_size=20), st.lists(renames, min_size=1, max_size=8), st.booleans())
def test_renames_send_nothing(mirror: Mirror, first: list[Edit], later: list[Edit], forgets: bool) -> None:
    """However names change places, it ends as rsync ends it, and nothing is sent, even by a client without memory.

    But for a file in place of a directory: it waits until that was removed, and what it could be made of may be gone by
    then.
    """
    mirror.start()
    mirror.edit(first)
    assert mirror.once() is ExitCode.DONE
    mirror.rsync()
    before = mirror.literal
    mirror.edit(later)
    late = sum(
        path.stat().st_size
        for path in mirror.source.rglob("*")
        if path.is_file() and not path.is_symlink() and (mirror.copy / path.relative_to(mirror.source)).is_dir()
    )
    if forgets:
        mirror.forget()
    code = mirror.once()
    mirror.rsync()

    assert ExitCode.DONE is code
    assert [] == differences(mirror.copy, mirror.replica)
    assert mirror.literal - before <= late
