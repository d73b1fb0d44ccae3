"""Directories that deny their owner, where somebody watches them."""

import os
import time

import pytest

from tests.integration.two_way.three import Laptops
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o400])
def test_come_to_rest(pair: Pair, mode: int) -> None:
    """The server opens them to look what is in them, which its watch of the replica's files tells it of: once."""
    two = Laptops(pair, 2)
    two.start()
    closed, there = two.at("anna", "closed"), pair.replica / "closed"
    closed.mkdir()
    closed.chmod(mode)
    until(lambda: there.exists() and there.stat().st_mode & 0o777 == mode, "the directory is at the server")
    until(lambda: rests(str(there)), "nobody touches it any more")

    assert mode == two.at("anna", "closed").stat().st_mode & 0o777
    until(lambda: two.at("ben", "closed").stat().st_mode & 0o777 == mode, "the directory is at the other laptop")


def rests(path: str) -> bool:
    """Whether nothing happens to it for half a second."""
    seen: set[int] = set()
    for _ in range(50):
        seen.add(os.stat(path).st_ctime_ns)
        time.sleep(0.01)
    return len(seen) == 1
