"""An ACL that is handed down grants no more than the permission bits."""

import struct

import pytest

from dirsync.fs.write.inherit import limited

NOBODY = 0xFFFFFFFF
USER, NAMED, GROUP, MASK, OTHER = 1, 2, 4, 16, 32
Acl = list[tuple[int, int, int]]


def packed(entries: Acl) -> bytes:
    """As the kernel has it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(
    "given, mode, expected",
    [
        ([(USER, 7, NOBODY), (GROUP, 7, NOBODY), (OTHER, 5, NOBODY)], 0o640, [6, 4, 0]),
        (
            [(USER, 7, NOBODY), (NAMED, 7, 9), (GROUP, 7, NOBODY), (MASK, 7, NOBODY), (OTHER, 7, NOBODY)],
            0o640,
            [6, 7, 7, 4, 0],
        ),
        (
            [(USER, 0, NOBODY), (NAMED, 2, 9), (GROUP, 0, NOBODY), (MASK, 0, NOBODY), (OTHER, 0, NOBODY)],
            0o755,
            [7, 2, 0, 5, 5],
        ),
    ],
)
def test_limited(given: Acl, mode: int, expected: list[int]) -> None:
    """The owner's, the others' and the mask's permissions are those of the mode; named users keep theirs below it."""
    limits = [(tag, bits, who) for (tag, _, who), bits in zip(given, expected, strict=True)]

    assert packed(limits) == limited(packed(given), mode)
