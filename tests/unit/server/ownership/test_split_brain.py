"""Two servers that both take themselves for the owner of one replica: only one publishes.

The servers are in this process, and time is moved by hand. What a server that is stopped misses is its beats. Each case
also runs without the fence, and shows what it keeps from happening.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dirsync.endpoint.apply.commit import Committer, Results
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy
from dirsync.errors import DirsyncError, Unavailable
from dirsync.tree.entry import file_entry
from dirsync.tree.outcome import Failure
from dirsync.tree.path import RelPath
from dirsync.tree.plan import MakeDirectory
from dirsync_server.ownership.volume import Volume
from tests.unit.server.ownership.conftest import NAMESPACE, Shared

POLICY = ReplicaPolicy(Quota(1 << 20, 1 << 20, 100, 0))
fenced = pytest.mark.parametrize("fence", [True, False], ids=["fence", "no_fence"])


@contextmanager
def unfenced() -> Iterator[Callable[[], None]]:
    """What a commit asks where nobody is asked."""
    yield lambda: None


class Server:
    """A server that has the namespace open."""

    def __init__(self, shared: Shared, volume: Volume, *, slow: bool = False, fence: bool = True) -> None:
        self.volume = volume
        taken = shared.taken_from_the_slow(volume) if slow else shared.taken(volume)
        owned = taken.owned
        self.replica = Replica.open(NAMESPACE, shared.root, owned.state_directory, POLICY, ownership=owned)
        self.replica.scan()
        if not fence:
            self.replica._ownership = None
        self.committer = Committer(self.replica, lambda: None)

    def make(self, *names: bytes, between: Callable[[], object] = lambda: None) -> None:
        """Commit new directories; ``between`` is called after the first one was made."""
        commit = [Step(number, MakeDirectory(RelPath(name), None, 0o755)) for number, name in enumerate(names)]
        carry_out = self.committer._carry_out

        def carry_out_and_pause(step: Step, results: Results) -> Failure | None:
            found = carry_out(step, results)
            if step.number == 0:
                between()
            return found

        self.committer._carry_out = carry_out_and_pause  # type: ignore[method-assign]
        self.committer.commit(commit)

    def close(self) -> None:
        """Let go of the files."""
        self.committer.close()
        self.replica.close()


def names(shared: Shared) -> list[str]:
    """What readers see."""
    return sorted(path.name for path in shared.root.iterdir())


@pytest.fixture
def open_servers() -> Iterator[list[Server]]:
    """Servers that are closed at the end."""
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.close()


@fenced
def test_a_server_that_was_stopped_publishes_nothing_after_another_took_over(
    shared: Shared, open_servers: list[Server], fence: bool
) -> None:
    """What it had received before it was stopped is published by the new owner's clients, or by nobody."""
    one, other = shared.server(), shared.server()
    stopped = Server(shared, one, fence=fence)
    open_servers.append(stopped)
    open_servers.append(Server(shared, other, slow=True))
    one.beat()
    with pytest.raises(Unavailable) if fence else unfenced():
        stopped.make(b"ghost")

    assert ([] if fence else ["ghost"]) == names(shared)


@fenced
def test_a_commit_in_whose_middle_a_server_was_stopped_does_not_go_on(
    shared: Shared, open_servers: list[Server], fence: bool
) -> None:
    """What was published before the stop is there, and the new owner has seen it; the rest is not published."""
    one, other = shared.server(), shared.server()
    stopped = Server(shared, one, fence=fence)
    open_servers.append(stopped)

    def while_stopped() -> None:
        open_servers.append(Server(shared, other, slow=True))
        one.beat()

    with pytest.raises(Unavailable) if fence else unfenced():
        stopped.make(b"before", b"ghost", between=while_stopped)
    successor = open_servers[-1].replica

    assert (["before"] if fence else ["before", "ghost"]) == names(shared)
    assert 1 == len(successor.tree)


def test_content_of_a_stopped_server_cannot_be_published_any_more(shared: Shared, open_servers: list[Server]) -> None:
    """The new owner removes what the old one has staged, so even a rename that was about to be called fails."""
    one, other = shared.server(), shared.server()
    stopped = Server(shared, one)
    open_servers.append(stopped)
    path = RelPath(b"ghost")
    staged = stopped.committer.staging.create(path)
    staged.write(b"stale")
    open_servers.append(Server(shared, other, slow=True))
    entry = file_entry(mode=0o644, size=5, mtime_ns=0, digest=hashlib.sha256(b"stale").digest())
    with pytest.raises(DirsyncError):
        stopped.committer.publisher.publish_file(staged, path, entry)

    assert [] == names(shared)


def test_owners_count_their_sessions_upwards(shared: Shared, open_servers: list[Server]) -> None:
    """A session at the new owner has a higher number than any before, though the index may not have come along."""
    one, other = shared.server(), shared.server()
    first = Server(shared, one)
    with first.replica.writer:
        numbers = [first.replica.next_generation() for _ in range(3)]
    open_servers.append(first)
    shared.kill(one)
    second = Server(shared, other)
    open_servers.append(second)
    with second.replica.writer:
        numbers.append(second.replica.next_generation())

    assert sorted(set(numbers)) == numbers
