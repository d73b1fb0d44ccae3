"""A push stream that ends anywhere: what was not committed, explicitly and completely, has not happened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import (
    abort,
    batch,
    begin,
    commit,
    data,
    delete,
    digest,
    directory,
    end,
    file,
    make_directory,
    put,
    put_link,
    seen,
    set_metadata,
)
from tests.support.peers.serving import Bench
from tests.support.peers.wire import OK, REPLICA
from tests.support.running.waiting import until
from tests.support.trees.trees import look

LARGE = bytes(range(256)) * 1024
MESSAGES = 16
"""How many messages the script has."""


def script(bench: Bench) -> list[pb.PushChangesRequest]:
    """Three commits that make, replace and delete, in small operations and in frames."""
    at = bench.at
    return [
        batch(make_directory(2, at("docs")), put(3, at("docs/a"), b"a"), put(4, at("docs/b"), b"b")),
        batch(put_link(5, at("link"), b"docs/a")),
        commit(),
        batch(put(6, at("docs/a"), b"new a", seen(file(b"a")))),
        begin(7, at("large"), len(LARGE)),
        data(7, LARGE[:100_000]),
        batch(delete(8, at("docs/b"), seen(file(b"b")))),
        data(7, LARGE[100_000:]),
        end(7, digest(LARGE)),
        begin(9, at("given up"), 5),
        commit(),
        abort(9),
        batch(delete(10, at("docs/a"), seen(file(b"new a")))),
        batch(set_metadata(11, at("large"), seen(file(LARGE)))),
        batch(delete(12, at("docs"), seen(directory()))),
        commit(),
    ]


def shape(place: Path) -> dict[str, int]:
    """Names below a directory and the sizes of files; -1 of anything else."""
    return {name: os.lstat(place / name).st_size if seen.kind == "file" else -1 for name, seen in look(place).items()}


STATES = [
    {},
    {"docs": -1, "docs/a": 1, "docs/b": 1, "link": -1},
    {"docs": -1, "docs/a": 5, "link": -1, "large": len(LARGE)},
    {"link": -1, "large": len(LARGE)},
]
"""What is there after so many commits."""


@pytest.mark.case("I30")
@pytest.mark.parametrize("cut", ["half-close", "cancel"])
@pytest.mark.parametrize("after", range(MESSAGES + 1))
def test_cut(open_bench: Callable[[], Bench], after: int, cut: str) -> None:
    """After any message the stream may end or break: exactly what was committed before is there."""
    bench = open_bench()
    messages = script(bench)[:after]
    commits = sum(message.HasField("commit") for message in messages)
    bench.push.send(*messages)
    failures = [failure for _ in range(commits) for failure in bench.push.receive().failures]
    if cut == "cancel":
        bench.push.cancel()
    else:
        assert ([], OK) == bench.push.finish()
    bench.wire.close_session(bench.session.session_id)
    told = bench.wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path=bench.name, recursive=True))
    listed = {entry.path for message in told.as_messages(rpb.ListEntriesResponse) for entry in message.entries}

    assert [] == failures
    assert STATES[commits] == shape(bench.place)
    assert {bench.at(name) for name in STATES[commits]} == listed
    assert len(script(bench)) == MESSAGES


@pytest.mark.case("I30")
def test_staging_is_emptied(open_bench: Callable[[], Bench]) -> None:
    """What a broken stream had staged is gone soon, and the staging directory with it."""
    bench = open_bench()
    bench.push.send(*script(bench)[:9], begin(13, bench.at("more"), 5), data(13, b"12"))
    bench.push.cancel()
    place = bench.server.root.parent

    until(lambda: not [name for name in os.listdir(place) if "staging" in name], "staging is gone")


@pytest.mark.case("I30")
def test_no_wider_than_named(bench: Bench) -> None:
    """A delete takes what it names and nothing below, above or beside it; content implies no parents."""
    made = bench.apply(make_directory(2, bench.at("d")), put(3, bench.at("d/x"), b"x"), put(4, bench.at("dx"), b"x"))
    failures = bench.apply(
        delete(5, bench.at("d"), seen(directory())),
        delete(6, bench.at("d/y"), seen(file(b"x"))),
        put(7, bench.at("none/x"), b"x"),
        make_directory(8, bench.at("none/d")),
    )

    assert [] == made
    assert [(5, "CHANGED"), (7, "CHANGED"), (8, "CHANGED")] == [(f.number, f.reason) for f in failures]
    assert {"d": -1, "d/x": 1, "dx": 1} == shape(bench.place)
