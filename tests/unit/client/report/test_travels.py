"""What is remembered of how paths travelled."""

from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.report.travels import Travel, Travels

WHOLE = Choice(Strategy.WHOLE, Reason.NEW)
RENAME = Choice(Strategy.RENAME, Reason.SAME_FILE)
FILE, DIRECTORY = RelPath(b"a/b/file"), RelPath(b"a")


def test_the_last_one() -> None:
    """Of several travels of a path the last one is known."""
    travels = Travels()
    travels.note(FILE, Travel(WHOLE, 5, 5, 1.0))
    travels.note(FILE, Travel(WHOLE, 6, 6, 2.0))

    assert Travel(WHOLE, 6, 6, 2.0) == travels.last(FILE)
    assert travels.last(RelPath(b"other")) is None


def test_with_its_directory() -> None:
    """What is in a directory that was moved travelled with it, unless it has travelled since."""
    travels = Travels()
    moved = Travel(RENAME, 100, 0, 2.0, RelPath(b"old"))
    travels.note(FILE, Travel(WHOLE, 5, 5, 1.0))
    travels.note(DIRECTORY, moved)
    first = travels.last(FILE)
    travels.note(FILE, Travel(WHOLE, 6, 6, 3.0))

    assert moved == first
    assert Travel(WHOLE, 6, 6, 3.0) == travels.last(FILE)


def test_bounded() -> None:
    """Of more paths than are remembered the oldest are forgotten."""
    travels = Travels(limit=3)
    for number in range(5):
        travels.note(RelPath(b"%d" % number), Travel(WHOLE, number, number, float(number)))
    travels.note(RelPath(b"2"), Travel(WHOLE, 9, 9, 9.0))
    travels.note(RelPath(b"5"), Travel(WHOLE, 5, 5, 10.0))

    assert [None, None, 9, None, 4, 5] == [
        found and found.size for found in (travels.last(RelPath(b"%d" % number)) for number in range(6))
    ]
