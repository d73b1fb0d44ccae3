"""What a client says of itself stays small enough to be sent, however long the paths are that it names."""

from dirsync.limits import LIMITS
from dirsync.tree.entry import file_entry
from dirsync.tree.guards.hold import Guard, Hold
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import Delete
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.wire.agent.hold import view_hold
from dirsync.wire.agent.problems import decode_problems, encode_problems


def path_of(size: int, number: int) -> RelPath:
    """A path of about so many bytes, whose readable form is four times as long."""
    return RelPath(b"/".join([b"\xff" * 250] * (size // 251) + [b"%d" % number]))


def test_problems() -> None:
    """Problems at long paths come in messages under the limit, complete and in order."""
    problems = [
        Problem(path_of(size, number), ProblemKind.UNREADABLE, "m" * 300)
        for size in (0, 4_000, LIMITS.max_path_bytes - 300)
        for number in range(50)
    ]
    messages = list(encode_problems(problems))

    assert problems == [Problem(path, ProblemKind(kind), message) for path, kind, message in decode_problems(messages)]
    assert max(map(len, messages)) <= LIMITS.max_message_bytes
    assert len(messages) < len(problems)


def test_no_problems() -> None:
    """Without problems nothing is said."""
    assert [] == list(encode_problems([]))


def test_hold() -> None:
    """A hold names a few of its paths, as many as fit, and always the first."""
    entry = file_entry(mode=0o644, size=0, mtime_ns=0)
    short = tuple(Delete(path_of(0, number), entry) for number in range(100))
    long = tuple(Delete(path_of(LIMITS.max_path_bytes - 300, number), entry) for number in range(100))
    shown = [view_hold(Hold("id", Guard.DELETE_COUNT, operations, "message")) for operations in (short, long)]

    assert [100, 100] == [view.paths for view in shown]
    assert tuple(escape(step.path) for step in short[:20]) == shown[0].path_texts
    assert (escape(long[0].path),) == shown[1].path_texts
