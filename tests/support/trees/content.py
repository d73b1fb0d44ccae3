"""File contents: some that shrink when compressed and some that cannot, the same in every run."""

import random


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def text(size: int) -> bytes:
    """Lines that compress well and differ from one another."""
    lines = (b"%08d the quick brown fox jumps over the lazy dog\n" % number for number in range(size // 40 + 1))
    return b"".join(lines)[:size]
