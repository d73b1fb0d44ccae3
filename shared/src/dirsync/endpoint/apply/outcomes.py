"""What a client is told of an operation that could not be applied, by what went wrong."""

from dirsync.errors import DirsyncError, LimitExceeded, StorageError
from dirsync.fs.failure import PathFailure
from dirsync.tree.entry import Entry
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath, escape
from dirsync.tree.problem import ProblemKind
from dirsync.wire.push.results import CONTENT_NOT_FOUND

_BY_KIND = {
    ProblemKind.STORAGE: Outcome.STORAGE,
    ProblemKind.VANISHED: Outcome.CHANGED,
    ProblemKind.CHANGING: Outcome.CHANGED,
}


class Changed(DirsyncError):
    """Something else than expected is at the path."""

    default_reason = "CHANGED"


class Mismatch(DirsyncError):
    """The content does not have the size or digest that was announced."""

    default_reason = "MISMATCH"

    def __init__(self, path: RelPath) -> None:
        super().__init__(f"the content of {escape(path)!r} does not have the size and digest that were announced")


class ContentNotFound(DirsyncError):
    """The replica has no such content (any more)."""

    default_reason = CONTENT_NOT_FOUND

    def __init__(self, path: RelPath) -> None:
        super().__init__(f"the replica has no content of the digest that is named for {escape(path)!r}; send the file")


class UnknownOperation(DirsyncError):
    """A newer client sent an operation that this version does not know."""

    default_reason = "UNSUPPORTED"


def failed(number: int, error: DirsyncError, current: Entry | None) -> Failure:
    """The failure of an operation; ``current`` is what is at its path."""
    return Failure(number, _outcome(error), current, error.reason, str(error))


def _outcome(error: DirsyncError) -> Outcome:
    match error:
        case Changed():
            return Outcome.CHANGED
        case Mismatch() | ContentNotFound():
            return Outcome.MISMATCH
        case UnknownOperation():
            return Outcome.UNSUPPORTED
        case PathFailure():
            return _BY_KIND.get(error.kind, Outcome.REFUSED)
        case LimitExceeded():
            return Outcome.LIMIT
        case StorageError():
            return Outcome.STORAGE
        case _:
            return Outcome.REFUSED
