"""Which reports of changes are taken over, and which have the replica listed."""

from collections.abc import Mapping

import pytest

from dirsync.tree.tree import Tree
from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.events import ReplicaChanged
from dirsync_client.reconcile.two_way.moments import Moments
from tests.unit.client.reconcile.model import Model, directory, entry, path, record

FIRST, SECOND, THIRD = 5, 6, 7
"""Moments of the server's tree."""


def tree(files: Mapping[str, str]) -> Tree:
    """Files with these contents, in the directories that they need."""
    made = Tree()
    for name, content in files.items():
        above, slash, _ = name.rpartition("/")
        if slash:
            made.put(path(above), directory())
        made.put(path(name), record(content.encode()))
    return made


BEFORE = {"changed": "one", "gone": "two", "kept": "three", "directory/in it": "four"}
AFTER = {"changed": "five", "kept": "three", "directory/in it": "four", "new/in it": "six"}


class Client:
    """What a client knows, and a server that it hears of."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.context = Context(Model(), Options())
        self.context.replica = tree(files)
        self.moments = Moments(self.context)

    @property
    def digest(self) -> bytes:
        """Of what the client takes the replica for."""
        return self.context.replica.digest()

    def hear(self, version: int, after: Mapping[str, str], *paths: str, at_rest: bool = True) -> list[str] | None:
        """The server reports that it has these files at this moment, and that others changed these paths."""
        there = tree(after)
        changes = tuple((path(name), there.get(path(name))) for name in paths)
        return self._hear(ReplicaChanged(there.digest(), version, changes), at_rest=at_rest)

    def hear_only(self, version: int, after: Mapping[str, str]) -> list[str] | None:
        """The server says that very much was changed."""
        return self._hear(ReplicaChanged(tree(after).digest(), version), at_rest=True)

    def _hear(self, event: ReplicaChanged, *, at_rest: bool) -> list[str] | None:
        found = self.moments.reported(event, at_rest=at_rest)
        return None if found is None else [at.decode() for at in found]


@pytest.fixture
def client() -> Client:
    """One that knows what the replica has at the first moment."""
    made = Client(BEFORE)
    assert made.hear(FIRST, BEFORE) == []
    return made


CHANGED = ("changed", "gone", "new", "new/in it")


def test_a_report_is_taken_over(client: Client) -> None:
    """Files that are other, gone and new, and a new directory; and then the one after it."""
    assert client.hear(SECOND, AFTER, *CHANGED) == [*CHANGED]
    assert client.digest == tree(AFTER).digest()
    assert client.hear(THIRD, BEFORE, *CHANGED) == [*CHANGED]
    assert client.digest == tree(BEFORE).digest()


def test_content_that_came_is_known(client: Client) -> None:
    """It need not be sent if the source has it elsewhere; what went is not known any more."""
    client.context.content.fill(client.context.replica)
    client.hear(SECOND, AFTER, *CHANGED)
    digests = {content: entry(content).digest for content in (b"one", b"three", b"six")}

    assert {b"one": False, b"three": True, b"six": True} == {
        content: client.context.content.has(digest) for content, digest in digests.items()
    }


def test_an_old_report_changes_nothing(client: Client) -> None:
    """It came late: what we sent after it is acknowledged already, and would seem to be undone."""
    client.hear(SECOND, AFTER, *CHANGED)
    ours = {**AFTER, "changed": "ours"}
    client.context.replica = tree(ours)
    client.moments.settled(client.digest, THIRD)

    assert client.hear(SECOND, AFTER, "changed") == []
    assert client.digest == tree(ours).digest()


def test_an_answer_that_shows_more_than_was_sent(client: Client) -> None:
    """Others changed something before our commit: their report is older than it, and is listed."""
    client.moments.settled(tree(AFTER).digest(), THIRD)

    assert client.hear(SECOND, AFTER, *CHANGED) is None


def test_what_is_listed_is_of_a_moment_again(client: Client) -> None:
    """If the server named its digest."""
    assert client.hear_only(SECOND, AFTER) is None
    client.context.replica = tree(AFTER)

    assert client.moments.listed()
    assert client.hear(THIRD, BEFORE, *CHANGED) == [*CHANGED]


def test_what_is_listed_is_of_no_moment(client: Client) -> None:
    """Then nothing can be added to it."""
    client.hear_only(SECOND, AFTER)
    client.context.replica = tree({**AFTER, "kept": "mixed"})

    assert not client.moments.listed()
    assert client.hear(THIRD, BEFORE, *CHANGED) is None


@pytest.mark.parametrize(
    "version, paths, at_rest",
    [
        pytest.param(0, CHANGED, True, id="the server does not number its moments"),
        pytest.param(SECOND, CHANGED[:2], True, id="more was changed than is reported"),
        pytest.param(SECOND, CHANGED[3:], True, id="nothing has the directory of what is reported"),
        pytest.param(SECOND, CHANGED, False, id="something of ours is on its way"),
    ],
)
def test_a_report_that_does_not_say_enough(client: Client, version: int, paths: tuple[str, ...], at_rest: bool) -> None:
    """The replica is listed."""
    assert client.hear(version, AFTER, *paths, at_rest=at_rest) is None


def test_a_new_session_knows_no_moment(client: Client) -> None:
    """Another server may number otherwise."""
    client.moments.reset()

    assert client.hear(SECOND, AFTER, *CHANGED) is None


def test_a_directory_that_went_takes_its_content_along(client: Client) -> None:
    """A report names it, and not each file in it."""
    client.context.content.fill(client.context.replica)
    left = {name: content for name, content in BEFORE.items() if not name.startswith("directory")}
    client.hear(SECOND, left, "directory")
    client.context.content.fill(client.context.replica)

    assert client.digest == tree(left).digest()
    assert not client.context.content.has(entry(b"four").digest)
