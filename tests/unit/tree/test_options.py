"""Which option differs between two clients, in the words of their settings."""

import pytest

from dirsync.tree.options import Attributes, TreeOptions, difference

HERE = TreeOptions(Attributes(mode=True, mtime=True), (b"*.o", b"build/"))


@pytest.mark.parametrize(
    "others, expected",
    [
        (HERE, ""),
        (HERE._replace(attributes=Attributes(mode=False)), "permission bits (here preserved, there not preserved)"),
        (HERE._replace(attributes=Attributes(mtime=False)), "PRESERVE_MTIME (here preserved, there not preserved)"),
        (HERE._replace(ignore_rules=(b"*.o",)), "the ignore rules of IGNORE and IGNORE_FILE ('build/' only here)"),
        (
            HERE._replace(ignore_rules=(*HERE.ignore_rules, b"\x1b[31m")),
            r"the ignore rules of IGNORE and IGNORE_FILE ('\\x1b[31m' only there)",
        ),
        (
            HERE._replace(ignore_rules=HERE.ignore_rules[::-1]),
            "the order of the ignore rules of IGNORE and IGNORE_FILE",
        ),
        (TreeOptions(Attributes(mode=True, mtime=False)), "PRESERVE_MTIME (here preserved, there not preserved)"),
    ],
    ids=["equal", "modes", "times", "a rule less", "a rule more", "order", "first of several"],
)
def test_difference(others: TreeOptions, expected: str) -> None:
    """The first option that differs is named with both of its values."""
    assert expected == difference(HERE, others)
