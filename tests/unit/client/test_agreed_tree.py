"""What both sides agreed on is there after a restart, and whatever is lost is only less."""

import os
from pathlib import Path

import pytest

from dirsync.fs.write.durable import NotDurable
from dirsync.limits import LIMITS
from dirsync.tree.diff import Change
from dirsync.tree.entry import UNKNOWN, Entry, directory_entry, pack, unpack
from dirsync.tree.merge.distrust import Doubt, UncleanEnd, doubtful
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from dirsync_client.agreed_tree import PROMPT_CHANGES, AgreedTree, file_name
from tests.unit.tree.builders import entry_of, path_of, tree_of


def came(*words: str) -> list[Change]:
    """Changes that bring these."""
    return [Change(path, None, entry) for path, entry in map(entry_of, words)]


def names(tree: Tree) -> list[bytes]:
    """The paths of a tree."""
    return [path for path, _ in tree.walk()]


def test_is_kept(tmp_path: Path) -> None:
    """Entries, their removal, and a change of kind with all that was below."""
    with AgreedTree.open(tmp_path, "r1") as agreed:
        agreed.keep(came("d/", "d/x=1", "a=1", "b=1"))
        agreed.keep([Change(path_of("a"), entry_of("a=1")[1], None)])
        agreed.keep([Change(path_of("d"), directory_entry(0o755), entry_of("d=2")[1])])
    with AgreedTree.open(tmp_path, "r1") as agreed:
        tree = agreed.load(Attributes())

    assert [b"b", b"d"] == names(tree)
    assert entry_of("d=2")[1] == tree.get(path_of("d"))


def test_each_replica_has_its_own(tmp_path: Path) -> None:
    """And its name is made from an id, whatever a server chooses for it."""
    for replica in ("r1", "../../x", "r1\0"):
        with AgreedTree.open(tmp_path, replica) as agreed:
            assert 0 == len(agreed.load(Attributes()))
            agreed.keep(came("a=1"))

    assert {file_name(replica) for replica in ("r1", "../../x", "r1\0")} <= {path.name for path in tmp_path.iterdir()}


def test_only_some_replicas_are_remembered(tmp_path: Path) -> None:
    """Those that were used last."""
    for number in range(LIMITS.agreed_trees + 3):
        with AgreedTree.open(tmp_path, f"r{number}") as agreed:
            agreed.keep(came("a=1"))

    assert LIMITS.agreed_trees == len(list(tmp_path.glob("agreed-*.sqlite")))
    assert (tmp_path / file_name(f"r{LIMITS.agreed_trees + 2}")).exists()


def test_damage_leaves_nothing(tmp_path: Path) -> None:
    """Garbage is no ancestor: nothing is agreed then."""
    with AgreedTree.open(tmp_path, "r1") as agreed:
        agreed.keep(came("a=1"))
    (tmp_path / file_name("r1")).write_bytes(b"garbage" * 1000)
    with AgreedTree.open(tmp_path, "r1") as agreed:
        assert 0 == len(agreed.load(Attributes()))


@pytest.mark.parametrize("count", [1, PROMPT_CHANGES])
def test_few_changes_survive_a_kill(tmp_path: Path, count: int) -> None:
    """They are written when the call returns; what is read beside it while it is open shows that."""
    agreed = AgreedTree.open(tmp_path, "r1")
    agreed.keep(came(*(f"f{number}=1" for number in range(count))))
    for suffix in ("", "-wal"):
        name = file_name("r1") + suffix
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
    with AgreedTree.open(tmp_path / "copy", "r1") as copy:
        assert count == len(copy.load(Attributes()))
        assert copy.unclean_end is not None
        assert not copy.unclean_end.power_cut
    agreed.close()


def test_knows_a_clean_end(tmp_path: Path) -> None:
    """After one, nothing is distrusted."""
    for _ in range(2):
        with AgreedTree.open(tmp_path, "r1") as agreed:
            assert agreed.unclean_end is None


def test_a_clean_end_waits_for_the_source(tmp_path: Path) -> None:
    """What was agreed on may not be durable there: that is seen to before the end is called clean."""
    settled: list[int] = []
    for _ in range(2):
        with AgreedTree.open(tmp_path, "r1", lambda: settled.append(1)) as agreed:
            agreed.keep(came("a=1"))

    assert [1, 1] == settled


def test_nothing_agreed_on_costs_nothing(tmp_path: Path) -> None:
    """A sync that found nothing to do has nothing to wait for."""
    settled: list[int] = []
    for _ in range(2):
        with AgreedTree.open(tmp_path, "r1", lambda: settled.append(1)):
            pass

    assert [] == settled


def test_a_source_that_cannot_be_made_durable_is_no_clean_end(tmp_path: Path) -> None:
    """It may lose what was agreed on, so it is distrusted as after a crash. The next end may be clean again."""

    def fail() -> None:
        raise NotDurable("the disk failed")

    with AgreedTree.open(tmp_path, "r1", fail) as agreed:
        agreed.keep(came("a=1"))
    with AgreedTree.open(tmp_path, "r1") as agreed:
        assert agreed.unclean_end is not None
        assert [b"a"] == names(agreed.load(Attributes()))
    with AgreedTree.open(tmp_path, "r1") as agreed:
        assert agreed.unclean_end is None


def test_a_run_is_known_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the file is in use is on the disk before anything is done: else a cut would look like the clean end before.

    The file, what SQLite wrote beside it, and both names are synced.
    """
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    agreed = AgreedTree.open(tmp_path, "r1")
    at_open = list(synced)
    agreed.close()

    name = file_name("r1")
    assert [str(tmp_path / name), str(tmp_path / f"{name}-wal"), str(tmp_path)] == at_open


def fingerprinted(entry: Entry, changed_at: int) -> bytes:
    """A record whose fingerprint ends with ctime, inode and volume."""
    return pack(entry, b"\0" * 17 + changed_at.to_bytes(8, "little") + bytes(16))


def test_distrusts_what_was_touched_since() -> None:
    """Only what looks unchanged at the source, was touched, and is something else at the replica."""
    ancestor = tree_of("old=1 touched=1 equal=1 gone=1 d/x=1")
    replica = tree_of("old=2 equal=1 gone=1 new=1 d/x=2")
    source = tree_of("old=1 touched=1 equal=1 d/x=1 mine=1")
    for path, record in list(source.walk()):
        if source.directory(path) is None:
            changed_at = 5 if path == b"old" else 10
            source.put(path, fingerprinted(unpack(record), changed_at))  # type: ignore[arg-type]

    end = UncleanEnd(10, power_cut=False)
    assert [Doubt(RelPath(b"d/x"), True), Doubt(RelPath(b"touched"), True)] == list(
        doubtful(ancestor, source, replica, end)
    )


def test_distrusts_what_a_power_cut_took() -> None:
    """What the replica acknowledged, and the source has lost or has as it was before."""
    ancestor = tree_of("reverted=2 edited=2 gone=2 both=2 same=1")
    replica = tree_of("reverted=2 edited=2 gone=2 both=4 same=1")
    source = tree_of("reverted=1 edited=3 same=1 both=3")
    for path, record in list(source.walk()):
        source.put(path, fingerprinted(unpack(record), 20 if path == b"edited" else 5))  # type: ignore[arg-type]
    cut, killed = (list(doubtful(ancestor, source, replica, UncleanEnd(10, power_cut=cut))) for cut in (True, False))

    assert [(b"both", True), (b"gone", True), (b"reverted", True)] == cut
    assert [] == killed


@pytest.mark.parametrize(
    "changed_at, power_cut, expected",
    [
        (5, False, {}),
        (5, True, {"looks": None, "other": True}),
        (20, False, {"looks": None}),
        (20, True, {"looks": None}),
    ],
)
def test_only_content_tells(changed_at: int, power_cut: bool, expected: dict[str, bool | None]) -> None:
    """A file that looks as the ancestor says has to be read, where the answer depends on its content."""
    ancestor, replica, source = tree_of("looks=1 other=1"), tree_of("looks=2 other=1"), tree_of("looks=1 other=1")
    for path, record in list(source.walk()):
        size = 100 if path == b"other" else unpack(record).size
        entry = unpack(record)._replace(digest=UNKNOWN, size=size)
        source.put(path, fingerprinted(entry, changed_at))  # type: ignore[arg-type]

    assert [(name.encode(), lost) for name, lost in expected.items()] == list(
        doubtful(ancestor, source, replica, UncleanEnd(10, power_cut=power_cut))
    )
