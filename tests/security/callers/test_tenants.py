"""Tenants of one server while it runs: what the file says takes effect at once, and no tenant learns of another."""

import contextlib
import hashlib
import itertools
import stat
import threading
from typing import Any

import grpc
import pytest

from dirsync.runtime.files.secrets import MAX_SECRET_CHARACTERS
from dirsync.v1 import replica_service_pb2 as rpb
from tests.support.peers.callers import REFLECTION, Caller, End, bearer
from tests.support.peers.operations import batch, commit, make_directory, put
from tests.support.peers.tenants import World, open_push
from tests.support.peers.wire import REPLICA, SECONDS, Status, Wire
from tests.support.running.programs import Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes

SECRET = random_bytes(8192)
NOBODYS = random_bytes(8192)
LONGEST = "x" * MAX_SECRET_CHARACTERS
ROUNDS = 60


def status(server: Server, namespace: str, token: str) -> End:
    """How asking for the status of a replica ends."""
    request = rpb.ReplicaServiceGetStatusRequest(namespace=namespace).SerializeToString()
    with Caller(server.address, bearer(token)) as caller:
        return caller.call(REPLICA + "GetStatus", request)


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
    assert [False, True] == ["no caller is accepted" in problem for problem in problems]


@pytest.mark.case("K12")
def test_one_token_gone(pair: Pair) -> None:
    """The same with TOKEN_FILE and an agent's token: without the file all callers are rejected until it is back."""
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


@pytest.mark.case("K07")
def test_an_agent_s_watch_ends(pair: Pair) -> None:
    """A watcher of an agent's events sees none after its token was replaced."""
    token = pair.place / "token"
    token.write_text("first")
    pair.server()
    client = pair.client(agent_token_file=token)
    messages: list[bytes] = []
    numbers = itertools.count()

    def write() -> bool:
        (pair.source / f"file-{next(numbers)}").write_bytes(b"x")
        return bool(messages)

    with grpc.insecure_channel(client.address) as channel:
        stub: Any = channel.unary_stream("/dirsync.v1.AgentService/WatchEvents")
        call = stub(b"", metadata=[bearer("first")], timeout=SECONDS)

        def read() -> None:
            with contextlib.suppress(grpc.RpcError):
                for message in call:
                    messages.append(message)  # noqa: PERF402 - they are seen as they come

        reading = threading.Thread(target=read)
        reading.start()
        until(write, "the watch shows something")
        token.write_text("second")
        write()
        reading.join(SECONDS)

    assert grpc.StatusCode.UNAUTHENTICATED is call.code()


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
