"""A hostile server with a replica of its own invention, for a client that carries changes both ways.

It answers listings from what a test says that it has, honestly unless the test replaces an answer; it takes every push
and says that all of it is applied; and it reports what the test wants.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dirsync.tree.entry import Entry, directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.path import RelPath, join
from dirsync.tree.tree import Tree
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import decode_entry, encode_entry
from tests.support.peers.hostile import Say, once, opened

PRESERVING = entry_pb2.TreeOptions(preserve_mode=True, preserve_mtime=True)
PIECE = 256 * 1024


class HostileReplica:
    """What a server says that it has: paths with content, or with entries that a test makes up."""

    def __init__(self, has: Mapping[bytes, Entry], *contents: bytes) -> None:
        """``contents`` are what it has of files."""
        self.calls = Counter[str]()
        """How often each method was called."""
        self.contents = {hashlib.sha256(content).digest(): content for content in contents}
        self.pushed: list[pb.PushChangesRequest] = []
        self.read: Callable[[pb.ReadContentRequest], Iterable[pb.ReadContentResponse | bytes]] = self._read
        """Answers a request for content."""
        self.takes = True
        """It has what is pushed; otherwise it only says so."""
        self._changed = threading.Condition()
        self._reports = 0
        self._ended = False
        self._tree = _tree_of(has)

    def become(self, has: Mapping[bytes, Entry]) -> None:
        """Be something else now, and report it."""
        with self._changed:
            self._tree = _tree_of(has)
            self._reports += 1
            self._changed.notify_all()

    def end(self) -> None:
        """End all streams of reports."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def answers(self, **replaced: Say) -> dict[str, Say]:
        """What it answers, by method; ``replaced`` are methods of the ``SyncService``, by their names."""
        honest: dict[str, Say] = {
            "OpenSession": self._open,
            "ListDirectories": self._list,
            "WatchReplica": self._watch,
            "ReadContent": self._content,
            "GetSignature": lambda _: [],
            "PushChanges": self._push,
            "CloseSession": once(pb.CloseSessionResponse()),
        }
        return {f"SyncService/{name}": self._counted(name, say) for name, say in {**honest, **replaced}.items()}

    def _counted(self, name: str, say: Say) -> Say:
        def answer(asked: Iterator[bytes]) -> Iterable[bytes]:
            self.calls[name] += 1
            return say(asked)

        return answer

    def _open(self, _: Iterator[bytes]) -> Iterable[bytes]:
        return [
            opened(
                root_digest=self._tree.digest(),
                options=PRESERVING,
                mode=pb.SESSION_MODE_TWO_WAY,
                generation=self.calls["OpenSession"],
            ).SerializeToString()
        ]

    def _list(self, asked: Iterator[bytes]) -> Iterable[bytes]:
        tree = self._tree
        for number, path in enumerate(pb.ListDirectoriesRequest.FromString(next(asked)).paths):
            found = tree.directory(RelPath(path))
            names = sorted(found.children) if found else []
            children = [pb.ListDirectoriesResponse.Child(name=name, entry=_entry(tree, path, name)) for name in names]
            yield pb.ListDirectoriesResponse(directory=number, children=children, last=True).SerializeToString()

    def _watch(self, _: Iterator[bytes]) -> Iterable[bytes]:
        seen = -1
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._reports != seen, timeout=60)  # noqa: B023
                if self._ended or self._reports == seen:
                    return
                first, seen = seen < 0, self._reports
                digest = self._tree.digest()
            report = pb.WatchReplicaResponse(root_digest=digest, entries=0, everything=not first, last=True)
            yield report.SerializeToString()

    def _content(self, asked: Iterator[bytes]) -> Iterable[bytes]:
        for answer in self.read(pb.ReadContentRequest.FromString(next(asked))):
            yield answer if isinstance(answer, bytes) else answer.SerializeToString()

    def _read(self, request: pb.ReadContentRequest) -> Iterable[pb.ReadContentResponse]:
        content = self.contents[request.digest]
        ranges = [(r.offset, r.length) for r in request.ranges] or [(0, len(content))]
        for offset, length in ranges:
            for at in range(offset, offset + length, PIECE):
                yield pb.ReadContentResponse(offset=at, literal=content[at : min(at + PIECE, offset + length)])

    def _push(self, requests: Iterator[bytes]) -> Iterable[bytes]:
        number = 0
        for raw in requests:
            message = pb.PushChangesRequest.FromString(raw)
            self.pushed.append(message)
            if self.takes:
                self._take(message.batch.operations)
            number = max([number, *(operation.number for operation in message.batch.operations)])
            if message.HasField("commit"):
                answer: Any = pb.PushChangesResponse(settled_number=number, requested=True)
                answer.root_digest = self._tree.digest()
                yield answer.SerializeToString()

    def _take(self, operations: Iterable[pb.Operation]) -> None:
        for operation in operations:
            path = RelPath(operation.path)
            match operation.WhichOneof("operation"):
                case "put_file":
                    self._tree.put(path, pack(decode_entry(operation.put_file.entry)))
                    self.contents[operation.put_file.entry.digest] = operation.put_file.content
                case "make_directory":
                    self._tree.put(path, pack(directory_entry(operation.make_directory.mode)))
                case "put_symlink":
                    self._tree.put(path, pack(symlink_entry(operation.put_symlink.target)))
                case "set_metadata":
                    entry, new = self._tree.get(path), operation.set_metadata
                    assert entry is not None
                    self._tree.put(path, pack(entry._replace(mode=new.mode, mtime_ns=new.mtime_ns)))
                case "delete":
                    self._tree.remove(path)
                case other:
                    raise AssertionError(other)


def _entry(tree: Tree, path: bytes, name: bytes) -> entry_pb2.Entry:
    entry = tree.get(join(RelPath(path), name))
    assert entry is not None
    return encode_entry(entry)


def _tree_of(has: Mapping[bytes, Entry]) -> Tree:
    tree = Tree()
    for path in sorted(has):
        above = b""
        for name in path.split(b"/")[:-1]:
            above = above + b"/" + name if above else name
            if tree.get(RelPath(above)) is None:
                tree.put(RelPath(above), pack(directory_entry(0o755)))
        tree.put(RelPath(path), pack(has[path]))
    return tree


def file_of(content: bytes, **other: Any) -> Entry:
    """The entry of a file with this content, but for some fields."""
    honest = file_entry(mode=0o644, size=len(content), mtime_ns=10**18, digest=hashlib.sha256(content).digest())
    return honest._replace(**other)
