"""Tenants of one server while it runs: what the file says counts at once, and nobody learns of anybody else."""

import hashlib
import stat
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.runtime.secrets import MAX_SECRET_CHARACTERS
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.callers import REFLECTION, Caller, End, bearer
from tests.support.content import random_bytes
from tests.support.operations import batch, begin, commit, data, digest, end, make_directory, put
from tests.support.programs import Pair, Server
from tests.support.proxy import Proxy
from tests.support.savings import copy_content, signature
from tests.support.wire import REPLICA, SYNC, Push, Status, Wire

SECRET = random_bytes(8192)
NOBODYS = random_bytes(8192)
LONGEST = "x" * MAX_SECRET_CHARACTERS
ROUNDS = 60


class File:
    """The tenants file; every change of it is a swap, as an orchestrator makes it."""

    def __init__(self, place: Path) -> None:
        self.path = place / "tenants.toml"
        self._place = place
        self._tables: dict[str, str] = {}

    def say(self, name: str, *lines: str, tokens: tuple[str, ...] | None = None) -> "File":
        """Set the table of a namespace, with its own name as its token unless others are given."""
        digests = ", ".join(f'"{hashlib.sha256(token.encode()).hexdigest()}"' for token in tokens or (name,))
        head = [f"[namespaces.{name}]", f'root = "{self._place / name}"', f"tokens_sha256 = [{digests}]"]
        self._tables[name] = "\n".join([*head, *lines, ""])
        return self.write()

    def drop(self, name: str) -> "File":
        """Leave a namespace out."""
        del self._tables[name]
        return self.write()

    def write(self, text: str | None = None) -> "File":
        """Write what was said, or something else."""
        fresh = self.path.with_name("fresh")
        fresh.write_text("".join(self._tables.values()) if text is None else text)
        fresh.rename(self.path)
        return self


class World(NamedTuple):
    """A server with the tenants ``red`` and ``blue``."""

    server: Server
    file: File
    place: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server of this module."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    file = File(pair.place).say("red").say("blue", 'permissions = "fixed"', 'file_mode = "0640"', 'dir_mode = "0750"')
    server = pair.server(tenants_file=file.path, min_free_bytes=0)
    until_ready(server)
    yield World(server, file, pair.place)
    wrong = pair.end()

    assert wrong == []


@pytest.fixture(autouse=True)
def restored(world: World) -> Iterator[None]:
    """Each test leaves the tenants file as it was."""
    before = world.file.path.read_text()
    tables = dict(world.file._tables)
    yield
    world.file._tables = tables
    world.file.write(before)


def until_ready(server: Server) -> None:
    """Return when both replicas are read."""
    for name in ("red", "blue"):
        server.log.wait_for("rescan.completed", namespace=name)


def status(server: Server, namespace: str, token: str) -> End:
    """How asking for the status of a replica ends."""
    request = rpb.ReplicaServiceGetStatusRequest(namespace=namespace).SerializeToString()
    with Caller(server.address, bearer(token)) as caller:
        return caller.call(REPLICA + "GetStatus", request)


def open_push(wire: Wire, namespace: str) -> tuple[bytes, Push]:
    """A session and its push stream, which has had an answer."""
    session_id = wire.open_session(namespace=namespace).session_id
    push = wire.push(session_id)
    push.send(commit()).receive()
    return session_id, push


def refused(ended: Status | End) -> bool:
    """Whether this is the refusal."""
    return ended[0] == "UNAUTHENTICATED"


@pytest.mark.case("K07")
def test_rotation(world: World) -> None:
    """Two tokens count while one takes the other's place; a stream of the old one ends when that is taken out."""
    server, file = world.server, world.file
    with Wire(server.address, "red") as old:
        _, push = open_push(old, "red")
        file.say("red", tokens=("red", LONGEST))
        both = [status(server, "red", token).code for token in ("red", LONGEST)]
        push.send(commit()).receive()
        file.say("red", tokens=(LONGEST,))
        ended = push.send(commit()).drain()[1]
    now = [status(server, "red", token).code for token in ("red", LONGEST)]

    assert (["OK", "OK"], ["UNAUTHENTICATED", "OK"]) == (both, now)
    assert refused(ended), ended


@pytest.mark.case("K04", "K07")
def test_times(world: World) -> None:
    """A token's time is over, or not come, when the file says so."""
    server, file = world.server, world.file
    entry, root = hashlib.sha256(b"red").hexdigest(), world.place / "red"
    codes = []
    for times in ("not_after = 2000-01-01T00:00:00Z", "not_before = 2999-01-01T00:00:00Z", "not_after = 2999-01-01"):
        file.write(f'[namespaces.red]\nroot = "{root}"\ntokens_sha256 = [{{ sha256 = "{entry}", {times} }}]\n')
        codes.append(status(server, "red", "red").code)
    file.write()

    # The last file is bad, so the one before it stays in force.
    assert ["UNAUTHENTICATED"] * 3 == codes
    assert "OK" == status(server, "red", "red").code


@pytest.mark.case("K07", "H05")
def test_a_namespace_that_goes(world: World) -> None:
    """A namespace that is taken out is as if it had never been, for its sessions and streams too; others go on."""
    server, file = world.server, world.file
    with Wire(server.address, "red") as red, Wire(server.address, "blue") as blue:
        session_id, push = open_push(red, "red")
        _, other = open_push(blue, "blue")
        file.drop("red")
        ended = push.send(batch(put(1, b"late", b"x")), commit()).drain()[1]
        listed = red.list(session_id, b"").status
        unknown = [status(server, name, "blue") for name in ("red", "green")]
        other.send(commit()).receive()
        file.say("red")
        back = red.list(session_id, b"").status
        blue_ended = other.finish()[1]

    assert [True, True] == [refused(ended), refused(listed)]
    assert unknown[0] == unknown[1]
    assert refused(unknown[0])
    assert ("OK", "OK") == (back.code, blue_ended.code)
    assert not (world.place / "red" / "late").exists()


@pytest.mark.case("K07")
def test_a_new_namespace(world: World) -> None:
    """A namespace that is new waits for a restart, and the log says so."""
    mark = world.server.log.mark()
    world.file.say("green")
    answer = status(world.server, "green", "green")
    told = world.server.log.wait_for("config.rejected", since=mark, kind="restart")

    assert refused(answer)
    assert "needs a restart: green" in str(told["problem"])


@pytest.mark.case("K07", "K12")
def test_bad_and_gone(world: World) -> None:
    """A bad file changes nothing; without a file everything is refused, an open stream too, until it is back."""
    server, file = world.server, world.file
    mark = server.log.mark()
    with Wire(server.address, "red") as red, Caller(server.address, bearer("red")) as asking:
        session_id, push = open_push(red, "red")
        file.write("tokens = [")
        push.send(commit()).receive()
        file.path.unlink()
        ended = push.send(commit()).drain()[1]
        gone = [red.list(session_id, b"").status, asking.call(REFLECTION, b":\x00"), status(server, "red", "red")]
        file.write()
        back = [red.list(session_id, b"").status, asking.call(REFLECTION, b":\x00"), status(server, "red", "red")]
    problems = [str(event["problem"]) for event in server.log.all("config.rejected", since=mark)]

    assert ["UNAUTHENTICATED"] * 4 == [answer[0] for answer in (ended, *gone)]
    assert ["OK"] * 3 == [answer[0] for answer in back]
    assert [False, True] == ["nobody is let in" in problem for problem in problems]


@pytest.mark.case("K12")
def test_one_token_gone(pair: Pair) -> None:
    """The same with TOKEN_FILE and an agent's token: nobody gets in without the file, and everybody when it is back."""
    token = pair.place / "token"
    token.write_text("red")
    server = pair.server(token_file=token)
    client = pair.client(token_file=token, agent_token_file=token)
    aside = token.rename(pair.place / "aside")
    request = rpb.ReplicaServiceGetStatusRequest(namespace="default").SerializeToString()

    def asked() -> list[str]:
        with Caller(server.address, bearer("red")) as one, Caller(client.address, bearer("red")) as two:
            ends = (one.call(REPLICA + "GetStatus", request), two.call("/dirsync.v1.AgentService/GetStatus", b""))
        return [ended.code for ended in ends]

    gone = asked()
    aside.rename(token)
    back = asked()
    (pair.source / "new").write_bytes(b"new")
    client.wait_for("file.synced", path="new")

    assert (["UNAUTHENTICATED"] * 2, ["OK"] * 2) == (gone, back)


def test_policy(world: World) -> None:
    """Each namespace's entries get the permission bits that its table says."""
    modes = {}
    for name in ("red", "blue"):
        with Wire(world.server.address, name) as wire:
            _, push = open_push(wire, name)
            made = push.send(batch(make_directory(1, b"d"), put(2, b"d/f", b"x")), commit()).receive()
            push.finish()
        modes[name] = [stat.S_IMODE((world.place / name / path).stat().st_mode) for path in ("d", "d/f")]

        assert [] == list(made.failures)
    assert [0o750, 0o640] == modes["blue"]
    assert modes["red"] != modes["blue"]


@pytest.mark.case("K07")
def test_quota_is_followed(world: World) -> None:
    """A quota that shrinks or grows counts from the next message of a stream that is open."""
    file = world.file
    with Wire(world.server.address, "red") as red:
        _, push = open_push(red, "red")

        def store(number: int) -> list[str]:
            sent = push.send(batch(put(number, b"quota", bytes(60_000))), commit()).receive()
            return [failure.reason for failure in sent.failures]

        file.say("red", "quota_bytes = 50000")
        small = store(1)
        file.say("red", 'quota_bytes = "1GiB"')
        large = store(2)
        push.finish()

    assert (["QUOTA_BYTES"], []) == (small, large)


@pytest.mark.case("I19", "H05")
def test_answers_take_their_time(world: World) -> None:
    """What another tenant has takes as long to be refused as what nobody has: medians of calls that take turns."""
    address = world.server.address
    # From an address of its own: so many refusals would be held against the other tests.
    with (
        Proxy(address, source="127.0.8.1") as proxy,
        Wire(proxy.address, "red") as red,
        Wire(proxy.address, "blue") as blue,
    ):
        _, push = open_push(red, "red")
        push.send(begin(1, b"secret", len(SECRET)), data(1, SECRET), end(1, digest(SECRET)), commit()).receive()
        push.finish()
        session_id, stream = open_push(blue, "blue")
        numbers = iter(range(1, 1_000_000))

        def described(content: bytes) -> object:
            return signature(blue, session_id, digest(content))

        def copied(content: bytes) -> object:
            number = next(numbers)
            answer = stream.send(batch(copy_content(number, b"copy", content)), commit()).receive()
            return [(failure.outcome, failure.reason, failure.message) for failure in answer.failures]

        def opened(name: str) -> object:
            request = pb.OpenSessionRequest(protocol_version=1, namespace=name, client_id="c", instance_id="i")
            return blue.call(SYNC + "OpenSession", request).status

        pairs = [
            _compare(described, SECRET, NOBODYS),
            _compare(copied, SECRET, NOBODYS),
            _compare(opened, "red", "gray"),
        ]
        stream.finish()

    assert [True] * 3 == [same for same, _ in pairs]
    assert [] == [ratio for _, ratio in pairs if not 1 / 3 < ratio < 3]


def _compare(ask: Callable[..., object], one: object, other: object) -> tuple[bool, float]:
    """Whether both are answered alike, and how many times longer one takes than the other."""
    answers: list[set[str]] = [set(), set()]
    seconds: list[list[float]] = [[], []]
    for turn in range(2 * ROUNDS):
        which = turn % 2
        started = time.perf_counter()
        answer = ask(other if which else one)
        seconds[which].append(time.perf_counter() - started)
        answers[which].add(repr(answer))
    return answers[0] == answers[1], statistics.median(seconds[0]) / statistics.median(seconds[1])
