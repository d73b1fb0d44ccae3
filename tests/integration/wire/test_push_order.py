"""The order of a push stream: small operations overtake large files, and results name what is settled."""

import os

from tests.support.peers.operations import abort, batch, begin, data, digest, end, put
from tests.support.peers.serving import Bench


def test_small_overtakes_large(bench: Bench) -> None:
    """A small change is applied and settled while a large file is open, and the large file is not harmed."""
    large = os.urandom(3 << 20)
    frames = [large[at : at + (512 << 10)] for at in range(0, len(large), 512 << 10)]
    bench.push.send(begin(2, bench.at("large"), len(large)), *(data(2, frame) for frame in frames[:3]))

    committed = bench.settle(batch(put(3, bench.at("small"), b"now")))

    assert (3, [], []) == (committed.settled_number, list(committed.failures), list(committed.files))
    assert b"now" == (bench.place / "small").read_bytes()
    assert not (bench.place / "large").exists()

    committed = bench.settle(*(data(2, frame) for frame in frames[3:]), end(2, digest(large)))

    assert (3, [], [2]) == (committed.settled_number, list(committed.failures), list(committed.files))
    assert large == (bench.place / "large").read_bytes()


def test_files_interleave(bench: Bench) -> None:
    """Frames of several open files may come in any order, and each file gets its own."""
    contents = {number: bytes([number]) * 300_000 for number in (2, 3, 4)}
    bench.push.send(*(begin(number, bench.at(f"f{number}"), 300_000) for number in contents))
    for at in range(0, 300_000, 100_000):
        bench.push.send(*(data(number, content[at : at + 100_000]) for number, content in contents.items()))

    committed = bench.settle(*(end(number, digest(contents[number])) for number in (4, 2, 3)))

    assert ([], [2, 3, 4]) == (list(committed.failures), sorted(committed.files))
    assert contents == {number: (bench.place / f"f{number}").read_bytes() for number in contents}


def test_given_up(bench: Bench) -> None:
    """A file that the client aborts is not applied, not named, and no failure."""
    committed = bench.settle(begin(2, bench.at("a"), 5), data(2, b"12"), abort(2), batch(put(3, bench.at("b"), b"b")))

    assert (3, [], []) == (committed.settled_number, list(committed.failures), list(committed.files))
    assert ["b"] == os.listdir(bench.place)


def test_one_failure_harms_no_other(bench: Bench) -> None:
    """Of a batch only the operation whose precondition does not hold is left out."""
    (bench.place / "taken").write_bytes(b"by hand")

    failures = bench.apply(*(put(n, bench.at(name), b"x") for n, name in enumerate(("one", "taken", "two"), start=2)))

    assert [(3, "CHANGED")] == [(failure.number, failure.reason) for failure in failures]
    assert ["one", "taken", "two"] == sorted(os.listdir(bench.place))
    assert b"by hand" == (bench.place / "taken").read_bytes()
