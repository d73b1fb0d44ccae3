"""Where an interrupted upload goes on."""

from collections.abc import Mapping

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync.wire.session import KeptUpload
from dirsync_client.transfer.uploads.continuation import Continuation, continuation, upload_id

ID, ONE, TWO = bytes(16), b"1" * 32, b"2" * 32
START, READ, GO_ON = Continuation


@pytest.mark.parametrize(
    "kept, size, known, expected",
    [
        (None, 10, {}, START),
        (KeptUpload(ID, 0, ONE), 10, {0: ONE}, START),
        (KeptUpload(ID, 11, ONE), 10, {11: ONE}, START),
        (KeptUpload(ID, 5, ONE), 10, {}, READ),
        (KeptUpload(ID, 5), 10, {}, READ),
        (KeptUpload(ID, 5, ONE), 10, {4: ONE}, READ),
        (KeptUpload(ID, 5, ONE), 10, {5: ONE}, GO_ON),
        (KeptUpload(ID, 10, ONE), 10, {10: ONE}, GO_ON),
        (KeptUpload(ID, 5), 10, {5: ONE}, GO_ON),
        (KeptUpload(ID, 5, TWO), 10, {5: ONE}, START),
    ],
)
def test_continuation(kept: KeptUpload | None, size: int, known: Mapping[int, bytes], expected: Continuation) -> None:
    """Only what is known to be the same goes on, and only what may be is read."""
    assert expected is continuation(kept, size, known)


def test_ids() -> None:
    """A path has one id, and no other path has it."""
    ids = {upload_id(RelPath(path)) for path in (b"a", b"b", b"a/b", b"b/a", b"a")}

    assert 4 == len(ids)
    assert {LIMITS.upload_id_bytes} == {len(one) for one in ids}
