"""What several targets share of a source, and what each settles for itself."""

from pathlib import Path

import pytest

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.errors import AccessError, UsageError
from dirsync.fs.fingerprint import MOUNT_CHANGED, flags_of, with_flags
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync_client.targets.source_view import SourceView, views

MOUNT = RelPath(b"mnt")
ALL, NO_MODES = Attributes(), Attributes(mode=False)


class Shared:
    """A source with a directory, and two targets."""

    def __init__(self, place: Path) -> None:
        (place / "source" / "mnt").mkdir(parents=True)
        index = Index(None, place / "index", read_only=True)
        self.source = Source(Root.open(place / "source"), index, SourceOptions(b".dirsyncignore"))
        for _ in self.source.scan():
            pass
        self.one, self.other = views(self.source, ["one", "other"])

    def change_mount(self) -> None:
        """A mount came or went."""
        record = self.source.tree.record(MOUNT)
        assert record is not None
        self.source.tree.put(MOUNT, with_flags(record, flags_of(record) | MOUNT_CHANGED))
        self.source.mounts_changed.add(MOUNT)

    @property
    def held(self) -> list[set[RelPath]]:
        """What is not accepted, at each target."""
        return [view.mounts_changed for view in (self.one, self.other)]


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    """Both of them."""
    return Shared(tmp_path)


class TestMounts:
    """Mounts that come and go are accepted for one replica at a time."""

    def test_one_accepts(self, shared: Shared) -> None:
        """What is accepted for one replica is still held for the other."""
        shared.change_mount()
        shared.one.accept_mounts()

        assert [set(), {MOUNT}] == shared.held
        assert {MOUNT} == shared.source.mounts_changed

    def test_all_accept(self, shared: Shared) -> None:
        """When all have accepted it, the source forgets what was there."""
        shared.change_mount()
        shared.one.accept_mounts()
        shared.other.accept_mounts()
        record = shared.source.tree.record(MOUNT)
        assert record is not None

        assert [set(), set()] == shared.held
        assert set() == shared.source.mounts_changed
        assert not flags_of(record) & MOUNT_CHANGED

    def test_changed_again(self, shared: Shared) -> None:
        """A mount that comes or goes once more has to be accepted once more."""
        shared.change_mount()
        shared.one.accept_mounts()
        record = shared.source.tree.record(MOUNT)
        assert record is not None
        shared.source.tree.put(MOUNT, with_flags(record, 0))
        shared.one.prune()

        assert [{MOUNT}, {MOUNT}] == shared.held


def refused(view: SourceView, attributes: Attributes) -> str:
    """Why a session with these attributes cannot be."""
    with pytest.raises(AccessError) as caught:
        view.count(attributes)
    return str(caught.value)


def test_attributes(shared: Shared) -> None:
    """Sessions that count other attributes exclude each other, by name, until the first one is over."""
    shared.one.count(NO_MODES)
    message = refused(shared.other, ALL)
    shared.one.ended()
    shared.other.count(ALL)

    assert "target other does not keep the same attributes of files as target one" in message
    assert ALL == shared.source.tree.attributes
    assert "target one does not keep" in refused(shared.one, NO_MODES)


def test_one_replica(shared: Shared) -> None:
    """A replica belongs to one target; a target may go on to another replica, and come back."""
    shared.one.claim("first")
    with pytest.raises(UsageError, match="targets one and other lead to the same replica first"):
        shared.other.claim("first")
    shared.one.claim("second")
    shared.other.claim("first")
    with pytest.raises(UsageError, match="targets other and one lead"):
        shared.one.claim("first")


def test_reserved_names(shared: Shared, tmp_path: Path) -> None:
    """A name that any server keeps for itself is left out for all, since there is one tree."""
    (tmp_path / "source" / ".one").mkdir()
    (tmp_path / "source" / ".other").mkdir()
    shared.one.reserve(frozenset({b".one"}))
    changed = shared.other.reserve(frozenset({b".other"}))

    assert [b".other"] == changed
    assert shared.source.rules.reserved == {b".one", b".other"}
    assert {b".one", b".other"}.isdisjoint(path for path, _ in shared.source.tree.walk())
    assert 2 == len(shared.source.problems)
