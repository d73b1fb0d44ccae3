"""Splitting literals, content that no block of the basis has, from their long runs of zeros."""

from collections.abc import Iterator

from dirsync.delta.arrays import NDArray, np
from dirsync.delta.pieces import Piece, Zeros


def split_zeros(data: memoryview, shortest: int, *, continued: bool = False) -> list[Piece]:
    """Split data into literals (views of it) and runs of at least ``shortest`` zero bytes.

    If the data is ``continued`` from such a run, the zeros that it starts with belong to that run, however few.
    """
    pieces: list[Piece] = []
    zeros = leading_zeros(np.frombuffer(data, np.uint8)) if continued else 0
    if zeros:
        pieces.append(Zeros(zeros))
        data = data[zeros:]
    done = 0
    for start, end in zero_runs(data, shortest):
        if start > done:
            pieces.append(data[done:start])
        pieces.append(Zeros(end - start))
        done = end
    if done < len(data):
        pieces.append(data[done:])
    return pieces


def zero_runs(data: memoryview, shortest: int) -> Iterator[tuple[int, int]]:
    """Start and end of each run of at least ``shortest`` zero bytes, in order.

    Such a run covers a whole range of half that length that starts at a multiple of it. So for most data, one byte in
    each of these ranges is read.
    """
    step = max(1, shortest // 2)
    values = np.frombuffer(data, np.uint8)
    done = 0
    for probe in np.flatnonzero(values[::step] == 0).tolist():
        at = probe * step
        if at < done or values[at : at + step].any():
            continue
        start = at - leading_zeros(values[max(done, at - step) : at][::-1])
        done = at + leading_zeros(values[at:])
        if done - start >= shortest:
            yield start, done


def trailing_zeros(data: memoryview) -> int:
    """How many zero bytes the data ends with."""
    return leading_zeros(np.frombuffer(data, np.uint8)[::-1])


def leading_zeros(values: NDArray[np.uint8]) -> int:
    """How many zero bytes come first. Reads little further than they go."""
    done, size = 0, 64
    while done < len(values):
        chunk = values[done : done + size]
        first = int((chunk != 0).argmax())
        if chunk[first]:
            return done + first
        done += len(chunk)
        size *= 4
    return len(values)
