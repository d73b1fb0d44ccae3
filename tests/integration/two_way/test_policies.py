"""What becomes of versions that exclude each other, by each policy, as two people with laptops see it."""

import os
import time

import pytest

from tests.integration.two_way.three import Laptops
from tests.support.running.programs import Pair
from tests.support.trees.trees import differences

pytestmark = pytest.mark.programs

BEN = {"n.txt": "ben's", "link": "-> ben", "d/x": "edited", "f/in": "new", "gone": "edited"}
ANNA = {"n.txt": "anna's", "link": "-> anna", "d": "now a file", "f": "edited", "gone": "edited"}
BY_POLICY = {
    "keep-both": {
        **BEN,
        "link": "->",
        "n.conflict": "anna's",
        "link.conflict": "->",
        "d.conflict": "now a file",
        "f.conflict": "edited",
    },
    "newest": {**BEN, "link": "->", "d.conflict": "now a file", "f.conflict": "edited"},
    "source": BEN,
    "replica": ANNA,
}
"""What all have at the end. Anna syncs first, so her versions are those of the replica when Ben syncs. Of two links
none is the newer one, so the policies by time may choose any."""


@pytest.mark.parametrize("policy", BY_POLICY)
def test_policy(pair: Pair, policy: str) -> None:
    """Files, links, directories against files, and a removal against an edit."""
    two = Laptops(pair, 2)
    for path, content in {"n.txt": "base", "d/x": "base", "f": "base", "gone": "base"}.items():
        two.write("anna", path, content)
    two.at("anna", "link").symlink_to("base")

    def sync(*names: str) -> None:
        for name in names:
            done = pair.once(**two.settings(name), conflicts=policy)
            assert done.code == 0, done.stdout

    sync("anna", "ben")
    two.remove("anna", "d")
    two.write("anna", "d", "now a file")
    two.write("anna", "f", "edited")
    two.write("anna", "n.txt", "anna's")
    two.remove("anna", "gone")
    time.sleep(0.01)
    two.write("ben", "n.txt", "ben's")
    two.write("ben", "d/x", "edited")
    two.remove("ben", "f")
    two.write("ben", "f/in", "new")
    two.write("ben", "gone", "edited")
    for name in two.names:
        two.remove(name, "link")
        two.at(name, "link").symlink_to(name)
    sync("anna", "ben", "anna")

    first, *others = two.places
    assert [[], []] == [differences(first, other) for other in others]
    assert BY_POLICY[policy] == told(two, policy)


def told(two: Laptops, policy: str) -> dict[str, str]:
    """What the replica has, with conflict names shortened."""
    found: dict[str, str] = {}
    by_time = policy in ("keep-both", "newest")
    for path in two.pair.replica.rglob("*"):
        name = str(path.relative_to(two.pair.replica))
        name = name.partition(".conflict-")[0] + ".conflict" if ".conflict-" in name else name
        if path.is_symlink():
            found[name] = "->" if by_time else f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_text()
    return found
