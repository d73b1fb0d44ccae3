"""What a client is told of an operation that could not be applied, by what went wrong."""

from dirsync.endpoint.judge import Judgement
from dirsync.errors import DirsyncError, LimitExceeded, StorageError
from dirsync.fs.failure import PathFailure
from dirsync.tree.entry import Entry
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import Move, Operation
from dirsync.tree.problem import ProblemKind
from dirsync.wire.push.results import CONTENT_NOT_FOUND, UPLOAD_NOT_FOUND

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


class UploadNotFound(DirsyncError):
    """What a file continues is not kept (any more)."""

    default_reason = UPLOAD_NOT_FOUND

    def __init__(self, path: RelPath) -> None:
        super().__init__(f"what was to be continued of {escape(path)!r} is not kept here; send it from the beginning")


class UnknownOperation(DirsyncError):
    """A newer client sent an operation that this version does not know."""

    default_reason = "UNSUPPORTED"


_BY_ERROR: tuple[tuple[type[DirsyncError] | tuple[type[DirsyncError], ...], Outcome], ...] = (
    (Changed, Outcome.CHANGED),
    ((Mismatch, ContentNotFound, UploadNotFound), Outcome.MISMATCH),
    (UnknownOperation, Outcome.UNSUPPORTED),
    (LimitExceeded, Outcome.LIMIT),
    (StorageError, Outcome.STORAGE),
)


def refusal(judgement: Judgement, operation: Operation) -> DirsyncError:
    """The error that says why an operation was judged as neither to be applied nor done."""
    path = escape(operation.path)
    match judgement:
        case Judgement.NO_PARENT:
            return Changed(f"{path!r} has no directory to be in")
        case Judgement.IN_THE_WAY:
            return _in_the_way(path)
        case Judgement.SOURCE_IN_THE_WAY:
            assert isinstance(operation, Move)
            return _in_the_way(escape(operation.source))
        case _:
            return _changed(path, operation)


def _changed(path: str, operation: Operation) -> Changed:
    if isinstance(operation, Move):
        return Changed(f"{escape(operation.source)!r} or {path!r} is not what the client expected")
    return Changed(f"{path!r} is not what the client expected")


def _in_the_way(path: str) -> DirsyncError:
    message = f"what is not mirrored is in the way at {path!r}: move it away at the replica"
    return DirsyncError(message, reason="UNTRACKED_IN_THE_WAY")


def failed(number: int, error: DirsyncError, current: Entry | None) -> Failure:
    """The failure of an operation; ``current`` is what is at its path."""
    return Failure(number, _outcome(error), current, error.reason, str(error))


def _outcome(error: DirsyncError) -> Outcome:
    if isinstance(error, PathFailure):
        return _BY_KIND.get(error.kind, Outcome.REFUSED)
    return next((outcome for errors, outcome in _BY_ERROR if isinstance(error, errors)), Outcome.REFUSED)
