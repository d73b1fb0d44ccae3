"""A new directory on its way: its files are read one after the other, and packed into sections.

A file that changed since it was looked at, cannot be read, or has content that the replica has, is left out: it goes
its ordinary way when the directory is there.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.read.planned import read_planned, read_planned_once
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind, Record, covered, digest_of, unpack, with_content
from dirsync.tree.path import RelPath, split
from dirsync.tree.plan import Below, BuildDirectory
from dirsync.wire.compression import shares
from dirsync.wire.push.sections import Columns, NewDirectory, encode_section
from dirsync_client.reconcile.commands import Sent, Transmit
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.reader import read_content

_ENTRY_BYTES = 60
"""What an entry takes in a section, beside its name and content."""


class SendingParts(NamedTuple):
    """What the directories of one session share."""

    root: Root
    known: AssumedContent
    compressor: Compressor
    dedups: bool
    """The server makes files of content that it has."""


class DirectorySender:
    """One directory, from its first section to its last. One thread."""

    def __init__(self, number: int, transmit: Transmit, parts: SendingParts, started: float) -> None:
        """``number``: that of the operation; ``started``: now, by the monotonic clock."""
        operation = transmit.operation
        assert isinstance(operation, BuildDirectory)
        self.number = number
        self._transmit = transmit
        self._operation = operation
        self._parts = parts
        self._started = started
        self._below: list[Below] = []
        """What was sent, with the records as it was read."""
        self._shares: list[int] = []
        """What compression saved of each."""
        self._numbers = {operation.path: 0}
        """The directories, by their paths."""
        self.literal_bytes = 0
        self.is_complete = False
        """The last section was made."""
        self._open: tuple[RelPath, int] | None = None
        """The directory that was read last, and its descriptor."""
        self._sections = self._messages()

    def next(self) -> bytes:
        """The next section; not after :attr:`is_complete`."""
        return next(self._sections)

    @property
    def entries(self) -> int:
        """How many entries were sent, the directory included."""
        return 1 + len(self._below)

    def draft(self) -> Sent:
        """What is on its way, before it is known what was sent of it."""
        return Sent(self._transmit, self._operation, self._transmit.choice, self._transmit.planned, self._started)

    def sent(self) -> Sent:
        """What was sent, when all of it was."""
        return self.draft()._replace(
            operation=self._operation._replace(below=self._below),
            literal_bytes=self.literal_bytes,
            compressed_bytes=sum(self._shares),
            content_assumed=True,
            shares=self._shares,
        )

    def _messages(self) -> Iterator[bytes]:
        path, mode = self._operation.path, self._operation.mode
        begin: NewDirectory | None = NewDirectory(path, mode)
        columns, size = Columns([], [], [], []), 0
        for planned in self._operation.below:
            if size >= LIMITS.batch_bytes or len(columns.names) >= LIMITS.max_section_entries:
                yield self._section(begin, columns)
                begin, columns, size = None, Columns([], [], [], []), 0
                self._open = None
            size += self._add(columns, planned.path, planned.record)
        self.is_complete = True
        yield self._section(begin, columns)

    def _add(self, columns: Columns, path: RelPath, record: Record) -> int:
        """Add an entry, unless it is left out; returns how many bytes the section grew by."""
        above, name = split(path)
        parent = self._numbers.get(above)
        if parent is None:
            return 0
        size = _ENTRY_BYTES + len(name)
        if record[0] == Kind.FILE:
            found = self._read(path, above, name, record)
            if found is None:
                return 0
            record, content = found
            columns.contents.append(content)
            self.literal_bytes += len(content)
            size += len(content)
        else:
            self._numbers[path] = len(self._below) + 1
        columns.parents.append(parent)
        columns.names.append(name)
        columns.heads.append(covered(record))
        self._below.append(Below(path, record))
        return size

    def _directory(self, path: RelPath) -> int | None:
        """The descriptor of the directory at ``path``, ``None`` if it cannot be opened. The root is not used between.

        A directory that was renamed must not be read through an old descriptor, so each section opens it again.
        """
        if self._open is None or self._open[0] != path:
            try:
                self._open = path, self._parts.root.directory(path)
            except PathFailure:
                return None
        return self._open[1]

    def _read(self, path: RelPath, above: RelPath, name: bytes, record: Record) -> tuple[Record, bytes] | None:
        """The file as it was read, or ``None`` if it is left out."""
        directory = self._directory(above)
        if directory is None:
            return None
        reads = self._parts.root.reads
        if reads is None:
            content = read_planned(directory, name, record)
        else:
            content = read_planned_once(reads, path, record, lambda: read_planned(directory, name, record))
        if content is None:
            self._open = None  # the next call of the root may close it
            again = self._read_again(path)
            if again is None:
                return None
            record, content = again
        else:
            record = with_content(record, hashlib.sha256(content).digest())
        if content:
            digest = digest_of(record)
            if self._parts.dedups and self._parts.known.has(digest):
                return None
            self._parts.known.assume_content(digest)
        return record, content

    def _read_again(self, path: RelPath) -> tuple[Record, bytes] | None:
        """A file that is not what its record says, or that was too young for its record to prove anything."""
        try:
            content = read_content(self._parts.root, path)
        except DirsyncError:
            return None
        return content.record, content.data

    def _section(self, begin: NewDirectory | None, columns: Columns) -> bytes:
        sample = max(columns.contents, key=len, default=b"")
        compression = self._parts.compressor.choose(sample)
        message, saved = encode_section(self.number, begin, columns, last=self.is_complete, compression=compression)
        if saved or self._shares:
            first = len(self._below) - len(columns.names)
            self._shares += [0] * (first - len(self._shares))
            sizes = [unpack(record).size for _, record in self._below[first:]]
            self._shares += shares(saved, sizes)
        return message
