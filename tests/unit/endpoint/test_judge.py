"""Judging operations: every kind of operation against everything that may be at its path."""

import pytest

from dirsync.endpoint.judge import Facts, Judgement, Obstacle, judge, judge_move
from dirsync.tree.entry import UNKNOWN, Entry, directory_entry, file_entry, symlink_entry
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Delete, MakeDirectory, Move, Operation, PutFile, PutSymlink, SetMetadata

P, Q = RelPath(b"p"), RelPath(b"q")
F1 = file_entry(mode=0o644, size=1, mtime_ns=1, digest=b"1" * 32)
F2 = file_entry(mode=0o644, size=1, mtime_ns=1, digest=b"2" * 32)
F1_OTHER_MODE = F1._replace(mode=0o600)
F1_OTHER_TIME = F1._replace(mtime_ns=2)
UNREAD = F1._replace(digest=UNKNOWN)
LINK = symlink_entry(b"target")
D1 = directory_entry(0o755)._replace(digest=b"d" * 32)
D2 = directory_entry(0o755)._replace(digest=b"e" * 32)

APPLY, DONE, CHANGED = Judgement.APPLY, Judgement.DONE, Judgement.CHANGED
NO_PARENT, IN_THE_WAY = Judgement.NO_PARENT, Judgement.IN_THE_WAY


@pytest.mark.parametrize(
    "operation, there, expected",
    [
        (PutFile(P, None, F1), None, APPLY),
        (PutFile(P, None, F1), F1, DONE),
        (PutFile(P, None, F1), F2, CHANGED),
        (PutFile(P, F2, F1), F2, APPLY),
        (PutFile(P, F2, F1), None, CHANGED),
        (PutFile(P, F2, F1), LINK, CHANGED),
        (PutFile(P, F2, F1), UNREAD, CHANGED),
        (PutFile(P, D1, F1), D2, APPLY),
        (PutFile(P, F1_OTHER_MODE, F1), F1_OTHER_MODE, APPLY),
        (CopyContent(P, None, F1), None, APPLY),
        (CopyContent(P, None, F1), F1, DONE),
        (PutSymlink(P, None, LINK), None, APPLY),
        (PutSymlink(P, None, LINK), LINK, DONE),
        (PutSymlink(P, F1, LINK), F1, APPLY),
        (MakeDirectory(P, None, 0o755), None, APPLY),
        (MakeDirectory(P, None, 0o755), D1, CHANGED),
        (MakeDirectory(P, D1, 0o755), D2, APPLY),
        (MakeDirectory(P, F1, 0o755), F1, APPLY),
        (SetMetadata(P, F1_OTHER_MODE, F1), F1_OTHER_MODE, APPLY),
        (SetMetadata(P, F1_OTHER_MODE, F1), F1, DONE),
        (SetMetadata(P, F1, F1_OTHER_MODE), F2, CHANGED),
        (SetMetadata(P, D1, directory_entry(0o700)), D2, APPLY),
        (Delete(P, F1), F1, APPLY),
        (Delete(P, F1), F1_OTHER_TIME, APPLY),
        (Delete(P, F1), None, DONE),
        (Delete(P, F1), F2, CHANGED),
        (Delete(P, D1), D2, APPLY),
    ],
)
def test_what_is_there(operation: Operation, there: Entry | None, expected: Judgement) -> None:
    """Applied where what the planner saw is there; done where the result is; else changed."""
    assert expected is judge(operation, Facts(there), Attributes())


@pytest.mark.parametrize("there", [F1, F1_OTHER_MODE, F1_OTHER_TIME])
def test_what_is_not_preserved_does_not_count(there: Entry) -> None:
    """A file is there already if it differs only in what the session does not preserve."""
    assert DONE is judge(PutFile(P, None, F1), Facts(there), Attributes(mode=False, mtime=False))


@pytest.mark.parametrize(
    "operation, obstacle, expected",
    [
        (PutFile(P, None, F1), Obstacle.OTHER, IN_THE_WAY),
        (PutFile(P, None, F1), Obstacle.DIRECTORY, IN_THE_WAY),
        (MakeDirectory(P, None, 0o755), Obstacle.OTHER, IN_THE_WAY),
        (MakeDirectory(P, None, 0o755), Obstacle.DIRECTORY, APPLY),
        (Delete(P, F1), Obstacle.OTHER, IN_THE_WAY),
        (Delete(P, F1), Obstacle.NONE, DONE),
    ],
)
def test_what_is_not_mirrored(operation: Operation, obstacle: Obstacle, expected: Judgement) -> None:
    """It is in the way of everything, but a directory of ignored content may become a directory of ours."""
    assert expected is judge(operation, Facts(None, obstacle=obstacle), Attributes())


def test_no_directory_above() -> None:
    """Only a removal needs no directory above: what it wants is so already."""
    facts = Facts(None, has_parent=False)

    assert [NO_PARENT, NO_PARENT, DONE] == [
        judge(operation, facts, Attributes())
        for operation in (PutFile(P, None, F1), MakeDirectory(P, None, 0o755), Delete(P, F1))
    ]


@pytest.mark.parametrize(
    "move, target, source, expected",
    [
        (Move(P, None, Q, F1), None, F1, APPLY),
        (Move(P, None, Q, D1), None, D1, APPLY),
        (Move(P, F2, Q, F1), F2, F1, APPLY),
        (Move(P, None, Q, D1), None, D2, CHANGED),
        (Move(P, None, Q, F1), F2, F1, CHANGED),
        (Move(P, None, Q, F1), F1, None, DONE),
        (Move(P, None, Q, F1), F1, F1, CHANGED),
        (Move(P, None, Q, F1), None, None, CHANGED),
        (Move(P, None, Q, UNREAD), None, UNREAD, CHANGED),
        (Move(P, F2, Q, F1, exchange=True), F2, F1, APPLY),
        (Move(P, D2, Q, D1, exchange=True), D2, D1, APPLY),
        (Move(P, F2, Q, F1, exchange=True), F1, F2, DONE),
        (Move(P, F2, Q, F1, exchange=True), F1, None, CHANGED),
        (Move(P, None, Q, F1, exchange=True), None, F1, CHANGED),
    ],
)
def test_moves(move: Move, target: Entry | None, source: Entry | None, expected: Judgement) -> None:
    """A move needs both paths as they were seen, directories with all that is in them."""
    assert expected is judge_move(move, Facts(target), Facts(source))


def test_moves_in_the_way() -> None:
    """What is in the way is named by the path that it is at."""
    move = Move(P, None, Q, F1)
    free, taken = Facts(None), Facts(None, obstacle=Obstacle.DIRECTORY)

    assert NO_PARENT is judge_move(move, Facts(None, has_parent=False), taken)
    assert IN_THE_WAY is judge_move(move, taken, taken)
    assert Judgement.SOURCE_IN_THE_WAY is judge_move(move, free, taken)
    assert APPLY is judge_move(move, free, Facts(F1, has_parent=False))
