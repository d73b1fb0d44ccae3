"""However an upload is cut, the file arrives, and little of it is sent twice."""

import os
import random
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.endpoint.quota import Quota
from dirsync.limits import LIMITS
from tests.support.inside.direct import direct
from tests.support.inside.uploads import Uploader

QUOTA = Quota(max_file_size=1 << 30, max_bytes=1 << 30, max_entries=1000, min_free_bytes=0)
DICE = random.Random(7)
BASIS = DICE.randbytes(3 * LIMITS.frame_bytes)
TARGET = BASIS[:1000] + DICE.randbytes(LIMITS.frame_bytes) + BASIS[5000:] + bytes(70_000) + DICE.randbytes(100_000)
OVERHEAD = 5000
"""Bytes of the messages of a session without content, at most; and what a delta needs for its pieces."""

HAPPENINGS = ("", "", "client", "server", "unnoticed")
cuts = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(HAPPENINGS)), max_size=6)


@pytest.mark.case("C01", "C02", "A11")
@settings(max_examples=40, deadline=None)
@given(cuts, st.booleans(), st.one_of(st.none(), st.integers(0, 5)))
def test_arrives(cuts: list[tuple[int, str]], as_delta: bool, changes_at: int | None) -> None:
    """Cut after any messages, noticed or not, with restarts of either side, and a change of the file in between."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as client, ExitStack() as server:
        place = Path(directory)
        (place / "source").mkdir()
        (place / "replica").mkdir()
        (place / "replica" / "file").write_bytes(BASIS)
        file = place / "source" / "file"
        write(file, TARGET, 1)
        uploader = Uploader(place / "source")
        client.callback(uploader.close)
        there = server.enter_context(direct(place, QUOTA))
        basis, target, applied = BASIS if as_delta else None, TARGET, False
        for number, (cut_after, happening) in enumerate(cuts):
            if number == changes_at:
                target = TARGET[:-5] + b"other"
                write(file, target, 2)
            applied = uploader.session(there, cut_after, basis, ends=happening != "unnoticed")
            if applied:
                break
            if happening == "client":
                uploader.forget()
            elif happening == "server":
                uploader.notice()
                server.close()
                there = server.enter_context(direct(place, QUOTA))
        # What the server could not continue is sent from the beginning.
        assert applied or uploader.session(there, basis=basis) or uploader.session(there, basis=basis)
        uploader.notice()

        assert target == (place / "replica" / "file").read_bytes()
        literal = len(TARGET) if basis is None else LIMITS.frame_bytes + 200_000
        assert uploader.sent_bytes <= literal + OVERHEAD * (len(cuts) + 2) or target != TARGET
        assert not (place / ".replica.dirsync-staging").exists()


def write(file: Path, content: bytes, mtime_ns: int) -> None:
    """Give a file this content, long ago."""
    file.write_bytes(content)
    os.utime(file, ns=(mtime_ns, mtime_ns))
