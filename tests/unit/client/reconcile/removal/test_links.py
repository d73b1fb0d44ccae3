"""Links: published after what they lead to; what a published one still leads to stays."""

import pytest

from dirsync.tree.entry import pack, symlink_entry
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete, PutSymlink
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.context import Options
from tests.unit.client.reconcile.harness import Harness, paths
from tests.unit.client.reconcile.model import directory, path


def link(tree: Tree, name: str, target: str) -> None:
    """Let a tree have this link."""
    tree.put(path(name), pack(symlink_entry(target.encode())))


def release(harness: Harness, number: int) -> None:
    """Let the source have this version in a directory of its own."""
    harness.source.tree.put(path(f"v{number}"), directory())
    harness.write(f"v{number}/a", b"a%d" % number)
    harness.write(f"v{number}/b", b"b%d" % number)


def published(*, at_once: bool = True) -> Harness:
    """Both sides have the first version, and a link to it."""
    harness = Harness(Options(at_once=at_once))
    release(harness, 1)
    harness.write("keep", b"keep")
    link(harness.source.tree, "current", "v1")
    harness.connect()
    harness.run()
    assert harness.reconciler.view.in_sync
    return harness


def swap(harness: Harness, version: int = 2) -> None:
    """The source has this version, the link leads to it, and the one before is gone."""
    release(harness, version)
    link(harness.source.tree, "current", f"v{version}")
    harness.source.tree.remove(path(f"v{version - 1}"))
    harness.change("current", f"v{version - 1}", f"v{version}")


def is_right(harness: Harness) -> bool:
    """Whether the replica's link leads to a whole version."""
    entry = harness.server.get(path("current"))
    assert entry is not None
    return {name for name, _ in harness.server.children(RelPath(entry.target))} == {b"a", b"b"}


@pytest.mark.parametrize("one_by_one", [True, False])
def test_swapped(one_by_one: bool) -> None:
    """At every moment the link leads to one version or the other, whatever is committed together."""
    harness = published()
    swap(harness)
    seen = []
    for _ in range(20):
        if one_by_one:
            first, rest = harness.outgoing[:1], harness.outgoing[1:]
            harness.outgoing = first
            harness.settle()
            harness.outgoing = rest + harness.outgoing
        else:
            harness.settle()
        harness.look()
        entry = harness.server.get(path("current"))
        assert entry is not None
        seen.append(entry.target)
        assert is_right(harness)
    harness.run()

    assert [b"v1", b"v2"] == sorted(set(seen))
    assert harness.source.tree.digest() == harness.server.digest()


def test_swapped_while_the_link_is_on_its_way() -> None:
    """What a link that was sent will lead to stays until the next one has replaced it."""
    harness = published(at_once=False)
    swap(harness)
    while not any(isinstance(transmit.operation, PutSymlink) for transmit in harness.outgoing):
        harness.settle()
        harness.look()
    swap(harness, 3)
    harness.wait(10.0)
    for _ in range(20):
        harness.outgoing.sort(key=lambda transmit: not isinstance(transmit.operation, PutSymlink | Delete))
        first, rest = harness.outgoing[:1], harness.outgoing[1:]
        harness.outgoing = first
        harness.settle()
        harness.wait(10.0)
        harness.look()
        harness.outgoing = rest + harness.outgoing
        assert is_right(harness)
    harness.run()

    assert harness.source.tree.digest() == harness.server.digest()


def test_removed_while_the_link_waits() -> None:
    """What a link waited for may be gone because it leads elsewhere by now: it is looked at again first."""
    harness = published(at_once=False)
    release(harness, 2)
    link(harness.source.tree, "current", "v2")
    harness.change("v2", "current")
    for name in ("v2/a", "v2/b"):
        harness.source.tree.remove(path(name))
    harness.change("v2/a", "v2/b")
    for _ in range(10):
        harness.settle()
        harness.wait(10.0)
        assert is_right(harness)
    asked = [at for look in harness.looked for at in look.paths]
    release(harness, 3)
    harness.source.tree.remove(path("v2"))
    link(harness.source.tree, "current", "v3")
    harness.change("current", "v3", "v2")
    for _ in range(10):
        harness.settle()
        harness.look()
        assert is_right(harness)

    assert [b"current"] == asked
    assert harness.server.get(path("current")) == harness.source.tree.get(path("current"))


def test_first_sync() -> None:
    """A link that comes first in the tree waits for what it leads to, also by way of another link."""
    harness = Harness()
    release(harness, 1)
    link(harness.source.tree, "a", "current/a")
    link(harness.source.tree, "current", "v1")
    harness.connect()
    order = []
    while harness.outgoing:
        order.append({bytes(transmit.path) for transmit in harness.settle()})
        harness.look()

    assert not any(order[0] & {b"a", b"current"} for _ in order)
    assert {b"v1", b"v1/a", b"v1/b", b"a", b"current"} == set().union(*order)


@pytest.mark.parametrize("failing", [1, 3])
def test_failed_target(failing: int) -> None:
    """What cannot be made, itself or what holds it, does not keep the link back."""
    harness = published()
    release(harness, 2)
    link(harness.source.tree, "current", "v2/a")
    harness.change("v2", "current")
    if failing == 1:
        harness.outgoing.sort(key=lambda transmit: transmit.path != path("v2/a"))
    harness.settle(*[Outcome.REFUSED] * failing)
    harness.run()

    assert harness.server.get(path("current")) == symlink_entry(b"v2/a")


def test_link_that_fails() -> None:
    """As long as the link cannot be replaced, what it leads to is not removed; the rest is."""
    harness = published()
    harness.source.tree.remove(path("keep"))
    swap(harness)
    harness.change("keep")
    for _ in range(20):
        links = [isinstance(transmit.operation, PutSymlink) for transmit in harness.outgoing]
        harness.outgoing.sort(key=lambda transmit: not isinstance(transmit.operation, PutSymlink))
        harness.settle(*[Outcome.REFUSED] * sum(links))
    kept = (is_right(harness), path("keep") in harness.server)
    harness.change(retried=("current",))
    for failed in list(harness.reconciler.view.problems):
        harness.change(retried=(failed.decode(),))
    harness.run()

    assert (True, False) == kept
    assert harness.source.tree.digest() == harness.server.digest()


def test_removed_together() -> None:
    """A link that goes with what it leads to goes first."""
    harness = published()
    harness.source.tree.remove(path("current"))
    harness.source.tree.remove(path("v1"))
    harness.change("current", "v1")

    assert path("current") == paths(harness.outgoing)[0]
    assert all(isinstance(transmit.operation, Delete) for transmit in harness.outgoing)


def test_always_changing() -> None:
    """A file that changes all the time delays the link to it once, and no more."""
    harness = published()
    harness.write("log", b"1")
    harness.change("log")
    harness.run()
    link(harness.source.tree, "latest", "log")
    for number in range(5):
        harness.write("log", b"line %d" % number)
        harness.change("log", "latest")
        harness.settle()

    assert path("latest") in harness.server
