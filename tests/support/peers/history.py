"""Commits of every kind, sent by hand, and what each of them makes of its directory.

A power cut is judged by what was acknowledged: so each commit says what must be there once it was answered. Everything
happens in one directory of the replica, so that a history can be repeated beside its predecessors.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import BLOCK, copied, copy_content, literal, move, rebuilt
from tests.support.peers.operations import (
    MTIME_NS,
    Inside,
    batch,
    begin,
    data,
    delete,
    digest,
    directory,
    end,
    file,
    inner,
    link,
    make_directory,
    put,
    put_link,
    section,
    seen,
    set_metadata,
)
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import Seen

FRAMED = random_bytes(200_000, seed=5)
"""A file that comes in frames."""
EDITED = FRAMED[: 20 * BLOCK] + b"edited" + FRAMED[20 * BLOCK :]
"""What becomes of it, as a delta."""

COMMITS = 8
"""How many commits a history has."""


class Commit(NamedTuple):
    """What is sent before a commit, and what the commit makes of the paths that it changes."""

    messages: Sequence[pb.PushChangesRequest]
    after: dict[str, Seen | None]


def told(area: str, *, builds: bool = False) -> Iterator[Commit]:
    """The history of one directory, which is made by the first commit. Numbers of operations begin with 1.

    ``builds``: a directory comes in sections, too.
    """
    numbers = count(1)

    def at(name: str) -> bytes:
        return f"{area}/{name}".encode()

    def n() -> int:
        return next(numbers)

    def is_file(content: bytes, mode: int = 0o644, mtime_ns: int = MTIME_NS) -> Seen:
        return Seen("file", mode, mtime_ns, digest(content).hex())

    def is_directory(mode: int = 0o755) -> Seen:
        return Seen("directory", mode, 0, "")

    def commit(messages: Sequence[pb.PushChangesRequest], after: dict[str, Seen | None]) -> Commit:
        return Commit(messages, {f"{area}/{name}" if name else area: now for name, now in after.items()})

    yield commit(
        [
            batch(
                make_directory(n(), area.encode()),
                *(put(n(), at(f"small-{i}"), b"small") for i in range(6)),
                put_link(n(), at("link"), b"small-1"),
                make_directory(n(), at("empty")),
            )
        ],
        {
            "": is_directory(),
            **{f"small-{i}": is_file(b"small") for i in range(6)},
            "link": Seen("link", 0, 0, "small-1"),
            "empty": is_directory(),
        },
    )
    yield commit(
        [batch(put(n(), at("small-0"), b"overwritten", seen(file(b"small"))))], {"small-0": is_file(b"overwritten")}
    )
    number = n()
    inside = Inside(b"a", b"a", mode=0o640), inner(b"sub", mode=0o700), Inside(b"b", b"bb", 2)
    built = {
        "built": is_directory(0o750),
        "built/a": is_file(b"a", 0o640),
        "built/sub": is_directory(0o700),
        "built/sub/b": is_file(b"bb"),
    }
    yield commit(
        [
            begin(number, at("framed"), len(FRAMED)),
            data(number, FRAMED),
            end(number, digest(FRAMED)),
            *([section(n(), at("built"), *inside, mode=0o750)] if builds else []),
            batch(make_directory(n(), at("deep")), make_directory(n(), at("deep/er")), put(n(), at("deep/er/f"), b"f")),
        ],
        {
            "framed": is_file(FRAMED),
            **(built if builds else {}),
            "deep": is_directory(),
            "deep/er": is_directory(),
            "deep/er/f": is_file(b"f"),
        },
    )
    yield commit(
        [batch(set_metadata(n(), at("small-1"), seen(file(b"small"))))],
        {"small-1": is_file(b"small", 0o600, MTIME_NS + 1)},
    )
    yield commit(
        [
            batch(
                make_directory(n(), at("small-2"), seen(file(b"small"))),
                put(n(), at("empty"), b"a file now", seen(directory())),
                put_link(n(), at("small-3"), b"elsewhere", seen(file(b"small"))),
                put(n(), at("link"), b"a file now", seen(link(b"small-1"))),
            )
        ],
        {
            "small-2": is_directory(),
            "empty": is_file(b"a file now"),
            "small-3": Seen("link", 0, 0, "elsewhere"),
            "link": is_file(b"a file now"),
        },
    )
    yield commit(
        [
            batch(
                delete(n(), at("small-4"), seen(file(b"small"))),
                delete(n(), at("small-3"), seen(link(b"elsewhere"))),
                delete(n(), at("small-2"), seen(directory())),
            )
        ],
        {"small-4": None, "small-3": None, "small-2": None},
    )
    number = n()
    yield commit(
        [
            *rebuilt(number, at("framed"), FRAMED, EDITED, copied(0, 20), literal(b"edited"), copied(20, 29)),
            batch(copy_content(n(), at("copied"), FRAMED)),
        ],
        {"framed": is_file(EDITED), "copied": is_file(FRAMED)},
    )
    yield commit(
        [
            batch(
                move(n(), at("small-5"), at("moved"), file(b"small")),
                move(n(), at("deep"), at("moved-deep"), _deep()),
                move(n(), at("copied"), at("small-0"), file(FRAMED), file(b"overwritten"), exchange=True),
            )
        ],
        {
            "small-5": None,
            "moved": is_file(b"small"),
            **dict.fromkeys(("deep", "deep/er", "deep/er/f"), None),
            "moved-deep": is_directory(),
            "moved-deep/er": is_directory(),
            "moved-deep/er/f": is_file(b"f"),
            "copied": is_file(b"overwritten"),
            "small-0": is_file(FRAMED),
        },
    )


def _deep() -> entry_pb2.Entry:
    """The entry of the nested directory, with the digest by PROTOCOL.md."""
    inner = directory()
    inner.digest = _directory_digest(file(b"f"), b"f")
    outer = directory()
    outer.digest = _directory_digest(inner, b"er")
    return outer


def _directory_digest(only: entry_pb2.Entry, name: bytes) -> bytes:
    record = struct.pack("<BHQq", only.kind, only.mode, only.size, only.mtime_ns) + only.digest + name
    return digest(struct.pack("<Q", 1) + digest(record))
