"""Runs of zeros in content that was read: what lies around the data of a sparse file."""

from typing import Final

from dirsync.delta.pieces import Piece, Zeros
from dirsync.limits import KIB

_BLOCK: Final = 4 * KIB
"""Only whole blocks of zeros are told from data, in bytes: file systems have no smaller holes."""


def split_zeros(frame: bytes) -> list[Piece]:
    """A part of a file as literals and runs of zeros, in order; a single literal if it has no block of zeros."""
    pieces: list[Piece] = []
    zeros, start = bytes(_BLOCK), 0
    at, view = 0, memoryview(frame)
    while at < len(frame):
        end = at
        while view[end : end + _BLOCK] == zeros:
            end += _BLOCK
        if end > at:
            if start < at:
                pieces.append(frame[start:at])
            pieces.append(Zeros(end - at))
            start = end
        at = end + _BLOCK
    if start < len(frame):
        pieces.append(frame[start:])
    return pieces
