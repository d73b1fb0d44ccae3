"""Looks that are asked for together are one look."""

from dirsync.tree.path import ROOT
from dirsync_client.reconcile.commands import CheckSource, LookAt, WakeAt, merge_looks
from tests.unit.client.reconcile.model import path


def test_a_renamed_directory_is_looked_at_once() -> None:
    """However many of its files vanished while they were sent, the directory above them is compared once."""
    asked = [LookAt((path("d"), path(f"d/{number}")), retry=True) for number in range(1000)]

    (only,) = merge_looks(asked)

    assert isinstance(only, LookAt)
    assert only.paths == (path("d"), *(path(f"d/{number}") for number in range(1000)))


def test_others_keep_their_order() -> None:
    """What is no look stays where it is; looks that compare again and looks that do not stay apart."""
    merged = merge_looks(
        [
            CheckSource(),
            LookAt((ROOT,), retry=False),
            WakeAt(1.0),
            LookAt((path("a"),), retry=True),
            LookAt((path("b"),), retry=False),
        ]
    )

    assert merged == [
        CheckSource(),
        LookAt((ROOT, path("b")), retry=False),
        WakeAt(1.0),
        LookAt((path("a"),), retry=True),
    ]
