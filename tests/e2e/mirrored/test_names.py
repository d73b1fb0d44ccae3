"""Names of every kind, by the command line: they arrive to the byte, or are named as problems."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dirsync.limits import LIMITS
from tests.support.faults.privileges import tmpfs
from tests.support.peers.operations import batch, begin, commit, data, digest, end, put
from tests.support.peers.wire import OK, Wire
from tests.support.running.programs import Pair
from tests.support.trees.trees import build, differences

pytestmark = pytest.mark.programs

RESERVED = (b".nfs", b".dirsync")
"""How the names begin that mean something to us; constants of the code are what hypothesis likes to try."""
names = st.binary(min_size=1, max_size=60).filter(
    lambda name: name not in (b".", b"..") and not {0, 47} & set(name) and not name.startswith(RESERVED)
)


def write(path: bytes, content: bytes = b"") -> None:
    """Make a file and the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


@pytest.mark.case("E03")
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.sets(names, min_size=10, max_size=60))
def test_any_bytes(pair: Pair, drawn: set[bytes]) -> None:
    """Files, directories and links with names of any bytes arrive with those bytes, and are deleted by them."""
    if not pair.replica.exists():
        pair.server()
    source = os.fsencode(pair.source)
    for number, name in enumerate(sorted(drawn)):
        path = os.path.join(source, name)
        if os.path.lexists(path):
            continue
        if number % 3 == 0:
            write(path, name)
        elif number % 3 == 1:
            write(os.path.join(path, name), name)
        else:
            os.symlink(name, path)
    result = pair.once("--json")

    assert (0, []) == (result.code, differences(pair.source, pair.replica))
    assert set(os.listdir(source)) == set(os.listdir(os.fsencode(pair.replica)))


@pytest.mark.case("E02", "E03")
def test_log_stays_in_line(pair: Pair) -> None:
    """Names with line breaks, escape sequences and reversed text make one readable line each in the log."""
    pair.server()
    evil = [
        b"a\nb",
        b"\x1b[31mred",
        b"\xe2\x80\xaegpj.exe",
        b"\xe2\x80\xa8line",
        b"\xff\xfe",
        b"c\xc2\x85d",
        b"back\\slash",
    ]
    for name in evil:
        write(os.path.join(os.fsencode(pair.source), name), b"x")
    result = pair.once()
    synced = {event["path"] for event in result.events if event["event"] == "file.synced"}

    assert (0, []) == (result.code, differences(pair.source, pair.replica))
    assert len(evil) == len(synced)
    assert all(path.isprintable() for path in synced)
    assert {
        "a\\x0ab",
        "\\x1b[31mred",
        "\\u202egpj.exe",
        "\\u2028line",
        "\\xff\\xfe",
        "c\\u0085d",
        "back\\\\slash",
    } == synced


@pytest.mark.case("D17", "E04", "E10")
def test_longest_names(pair: Pair) -> None:
    """Names of 255 bytes, of files small and large, directories and links, arrive; so does a path of 100,000 bytes."""
    pair.server()
    longest = "n" * LIMITS.max_name_bytes
    large = os.urandom(LIMITS.inline_file_bytes + 1)
    wide = "é" * 127 + "x"
    build(pair.source, {longest: "small", "d/" + longest[:-1] + "L": large, wide + "/" + longest: "x"})
    (pair.source / ("l" * 255)).symlink_to("t" * 4000)
    deep = os.open(pair.source, os.O_RDONLY)
    for _ in range(390):
        os.mkdir(longest[:-1] + "D", dir_fd=deep)
        inner = os.open(longest[:-1] + "D", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=deep))
    os.close(deep)
    result = pair.once("--json")
    verified = pair.command("verify", "--deep", "--json")

    assert (0, []) == (result.code, result.json["problems"])
    assert (0, True) == (verified.code, verified.json["equal"])
    assert large == (pair.replica / "d" / (longest[:-1] + "L")).read_bytes()
    assert 7 + 390 == verified.json["entries"]


@pytest.mark.case("E04")
def test_path_too_long(pair: Pair) -> None:
    """A path that is longer than messages can carry is a Problem that names it, and everything else arrives."""
    pair.server()
    build(pair.source, {"beside": "x"})
    name = "n" * 250
    deep = os.open(pair.source, os.O_RDONLY)
    for _ in range(LIMITS.max_path_bytes // 251 + 3):
        os.mkdir(name, dir_fd=deep)
        inner = os.open(name, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    result = pair.once("--json")

    assert 4 == result.code
    assert 1 == len(result.json["problems"])
    assert b"x" == (pair.replica / "beside").read_bytes()


OURS = {
    ".dirsync-staging/staged-00000000-00000000": "mine",
    ".dirsync-staging-2": "mine",
    ".replica.dirsync-staging/x": "mine",
    "staged-00000000-00000000": "mine",
    ".dirsync-staged-00000000-00000000": "mine",
    ".dirsync/client/index.sqlite": "mine",
    "index.sqlite": "mine",
    "default.sqlite-wal": "mine",
    ".stfolder": "mine",
}
"""Names like those of our own files, all a user's."""


@pytest.mark.case("E07")
def test_names_like_ours(pair: Pair) -> None:
    """A user's files with names like ours are mirrored, survive restarts, and go only if the user deletes them."""
    server = pair.server()
    build(pair.source, OURS | {f"filler-{number}": "x" for number in range(20)})
    first = pair.once("--json")
    server.stop()
    pair.server()
    second = pair.once("--json")
    kept = differences(pair.source, pair.replica)
    (pair.source / ".dirsync-staging-2").unlink()
    third = pair.once("--json")

    assert [0, 0, 0] == [first.code, second.code, third.code]
    assert [] == kept
    assert [] == differences(pair.source, pair.replica)
    assert not (pair.replica / ".dirsync-staging-2").exists()


@pytest.mark.case("A07", "E07")
@pytest.mark.privileged
def test_names_like_ours_in_a_mount(pair: Pair) -> None:
    """Where staging must be in the root, what was there under its name stays, and a source's is a Problem by name."""
    with tmpfs(pair.replica):
        build(pair.replica, {".dirsync-staging": "somebody's"})
        build(pair.source, {".dirsync-staging": "somebody's", ".dirsync-staging-2/mine": "mine", "beside": "x"})
        pair.server(min_free_bytes=0)
        result = pair.once("--json")
        kept = (pair.replica / ".dirsync-staging").read_text()
        names = sorted(os.listdir(pair.replica))
        wrong = pair.end()

    assert wrong == []
    assert 4 == result.code
    assert [".dirsync-staging-2"] == [problem["path"] for problem in result.json["problems"]]
    assert ("somebody's", [".dirsync-staging", "beside"]) == (kept, names)


@pytest.mark.case("E08")
def test_pathological_rules(pair: Pair) -> None:
    """Rules that make backtracking matchers run for ever end in time on both sides."""
    pair.server()
    rule = "*a" * 100 + "*b"
    name = "a" * 240
    build(pair.source, {f"{name}-{number}": "x" for number in range(200)} | {"b" + name + "b": "ignored"})
    result = pair.once("--json", ignore=",".join([rule, "**/" * 50 + "x", "[a-z]*" * 100 + "B", "b*b"]))

    assert 0 == result.code
    assert 200 == len(os.listdir(pair.replica))


@pytest.mark.case("E10")
def test_staged_name_fits(pair: Pair) -> None:
    """While a file with a name of 255 bytes is sent, it has a short name of our own in staging."""
    server = pair.server(min_free_bytes=0)
    name = b"n" * 255
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(begin(1, name, 10), data(1, b"01234"), batch(put(2, b"x" * 255, b"x")), commit()).receive()
        staging = Path(pair.place) / ".replica.dirsync-staging"
        staged = os.listdir(staging)
        push.send(data(1, b"56789"), end(1, digest(b"0123456789")), commit()).receive()
        ended = push.finish()[1]

    assert OK == ended
    assert 1 == len(staged)
    assert len(staged[0]) < 40
    assert b"0123456789" == (pair.replica / name.decode()).read_bytes()
    assert {name.decode(), "x" * 255} == set(os.listdir(pair.replica))
