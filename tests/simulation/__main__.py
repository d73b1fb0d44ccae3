"""Runs worlds: ``python -m tests.simulation 5000`` the first 5,000 seeds, ``17-20`` these four, ``17-`` one alone."""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.shrink import Failure, first_failure

CHUNK = 25
"""Seeds that a process takes at a time."""


def seeds_of(text: str) -> range:
    """The seeds that an argument names."""
    first, dash, last = text.partition("-")
    if not dash:
        return range(int(first))
    return range(int(first), int(last or first) + 1)


def failures(seeds: range, jobs: int) -> Iterator[Failure]:
    """The first failure of each chunk."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        yield from (failure for failure in pool.map(first_failure, chunks) if failure is not None)


def main() -> int:
    """Run them; 1 if any fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", type=seeds_of)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    failed = 0
    for failure in failures(arguments.seeds, arguments.jobs):
        failed += 1
        print(failure, flush=True)
    print(f"{len(arguments.seeds)} seeds, {failed} chunks of {CHUNK} with a failure")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
