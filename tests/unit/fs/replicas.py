"""A replica that a test acts on, beside something that must not be touched."""

from pathlib import Path

from dirsync.fs.root import Root
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.publish import Publisher
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, file_entry
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from tests.unit.fs.places import names, path_of, scanned

CONTENT = b"new content"
FILE = file_entry(mode=0o640, size=len(CONTENT), mtime_ns=1_234_567_890_123_456_789)
N = path_of("n")


class Replica:
    """A replica in a directory of its own."""

    def __init__(self, base: Path, modes: ModePolicy | None = None, attributes: Attributes | None = None) -> None:
        self.base = base
        self.at = base / "r"
        self.root = Root.open(self.at)
        self.staging = Staging.open(self.root)
        self.publisher = Publisher(self.root, self.staging, modes, attributes)

    def stage(self, path: RelPath = N, content: bytes = CONTENT) -> StagedFile:
        """A staged file with the content."""
        staged = self.staging.create(path)
        staged.write(content)
        return staged

    def put(self, path: RelPath = N, entry: Entry = FILE) -> bytes:
        """Stage and publish it."""
        staged = self.stage(path)
        try:
            return self.publisher.publish_file(staged, path, entry)
        finally:
            staged.discard()

    def names(self) -> list[str]:
        """What the replica holds."""
        return names(scanned(self.root))

    def close(self) -> None:
        """Close it; staging must be empty by then."""
        self.staging.close()
        self.root.close()
