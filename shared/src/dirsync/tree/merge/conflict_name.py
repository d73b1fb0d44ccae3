"""The name under which the version that did not get its name is kept.

``notes.txt`` becomes ``notes.conflict-CLIENT-20261128T220306Z.txt``. The time is the mtime of the version that is kept,
in UTC, so that merging the same two versions again, as after a crash, gives the same name.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_CLIENT_BYTES: Final = 32
_EXTENSION_BYTES: Final = 32
"""A longer one is taken for a part of the name."""
_CHARACTER_BYTES: Final = 4
"""Of the longest character in UTF-8."""


def conflict_name(name: bytes, kept: Entry, client: str, is_free: Callable[[bytes], bool]) -> bytes:
    """The first free name for ``kept``, which was called ``name``.

    At most 255 bytes: a long name is cut, at the end of a character if it is UTF-8. Names that are taken are numbered.
    """
    stem, extension = _split(name)
    marker = f".conflict-{_client(client)}-{_stamp(kept)}".encode()
    number = 1
    while True:
        suffix = marker + (b"" if number == 1 else b"-%d" % number) + extension
        candidate = _cut(stem, LIMITS.max_name_bytes - len(suffix)) + suffix
        if is_free(candidate):
            return candidate
        number += 1


def _split(name: bytes) -> tuple[bytes, bytes]:
    stem, dot, extension = name.rpartition(b".")
    if not stem.strip(b".") or len(extension) > _EXTENSION_BYTES:
        return name, b""
    return stem, dot + extension


def _stamp(entry: Entry) -> str:
    return f"{_EPOCH + timedelta(microseconds=entry.mtime_ns // 1000):%Y%m%dT%H%M%SZ}"


def _client(client: str) -> str:
    return _UNSAFE.sub("-", client)[:_CLIENT_BYTES] or "client"


def _cut(stem: bytes, size: int) -> bytes:
    if len(stem) <= size:
        return stem
    for end in range(size, size - _CHARACTER_BYTES, -1):
        if stem[end] & 0xC0 != 0x80:
            return stem[:end]
    return stem[:size]
