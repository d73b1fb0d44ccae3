"""What a client remembers of interrupted uploads."""

import hashlib

from dirsync.limits import LIMITS
from dirsync_client.transfer.uploads.memory import Checkpoint, UploadMemory

ID = bytes(16)


def note(memory: UploadMemory, offset: int, status: bytes = b"status", upload_id: bytes = ID) -> None:
    """A frame ends at an offset."""
    memory.note(upload_id, status, Checkpoint(offset, hashlib.sha256()), offset, 0)


def offsets(memory: UploadMemory) -> list[int]:
    """The checkpoints."""
    progress = memory.get(ID)
    assert progress is not None
    return [checkpoint.offset for checkpoint in progress.checkpoints]


def test_checkpoints_of_several_sessions() -> None:
    """They add up as long as the file has the same status, and begin anew with another."""
    memory = UploadMemory()
    note(memory, 1)
    note(memory, 2)

    assert [1, 2] == offsets(memory)

    note(memory, 3, b"changed")

    assert [3] == offsets(memory)


def test_a_racy_file_has_no_checkpoints() -> None:
    """Its status proves nothing. That it was interrupted is known all the same."""
    memory = UploadMemory()
    note(memory, 1, b"")
    note(memory, 2, b"")

    assert [] == offsets(memory)


def test_ended_and_forgotten() -> None:
    """A file that was sent whole is not interrupted, and one that was given up is not known."""
    memory = UploadMemory()
    note(memory, 1)
    memory.ended(ID)
    progress = memory.get(ID)

    assert progress is not None
    assert progress.is_whole

    note(memory, 2)
    progress = memory.get(ID)

    assert progress is not None
    assert not progress.is_whole

    memory.forget(ID)

    assert memory.get(ID) is None


def test_is_bounded() -> None:
    """Of each upload so many checkpoints, and so many uploads."""
    memory = UploadMemory()
    for offset in range(LIMITS.upload_checkpoints + 10):
        note(memory, offset)

    assert [*range(10, LIMITS.upload_checkpoints + 10)] == offsets(memory)

    others = [bytes([number]) * 16 for number in range(1, LIMITS.remembered_uploads + 1)]
    for other in others:
        note(memory, 1, upload_id=other)

    assert memory.get(ID) is None
    assert memory.get(others[0]) is not None
