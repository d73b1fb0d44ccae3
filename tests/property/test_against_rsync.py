"""The judge of what a mirror is: whatever happens to a directory, it ends at the replica as rsync ends it.

Compared is DESIGN's "equal": owners, and the times of directories and links, are no part of it.
"""

import os
import subprocess
from argparse import Namespace
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.runtime.cli import ExitCode
from dirsync_client.commands.once import once
from dirsync_client.settings import ClientSettings
from tests.property.edits import Edit, edits, empty, perform
from tests.support.programs import Pair
from tests.support.trees import differences

ANCHOR = "anchor"
"""Always there: a source that is emptied would be held."""


class Mirror:
    """A source, its replica behind one server for all examples, and a copy that rsync makes."""

    def __init__(self, pair: Pair) -> None:
        self.source, self.replica = pair.source, pair.replica
        self.copy = pair.place / "copy"
        self.copy.mkdir()
        flags = {
            "source": str(pair.source),
            "state_dir": str(pair.place / "client-state"),
            "server": pair.server().address,
            "guard_max_delete_percent": "100",
        }
        self._settings = ClientSettings.load(flags)

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
    """A tree and what becomes of it by edits, moves and removals ends as ``rsync -a --delete --checksum`` ends it."""
    mirror.start()
    for step in (first, *later):
        mirror.edit(step)
        code = mirror.once()
        mirror.rsync()

        assert ExitCode.DONE is code
        assert [] == differences(mirror.copy, mirror.replica)
        assert [] == differences(mirror.copy, mirror.source)
