"""Remembered signatures: what the blocks of a file are that the replica has, so that they need not be requested.

One file in the state directory for each content, named by its digest; the least recently used go when there are too
many. Nothing here is believed: a signature that is wrong makes a delta whose result does not have the announced digest,
and then the file is sent whole. So nothing is synced to disk, and whatever cannot be read is not there.
"""

import contextlib
import os
import re
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from dirsync.delta.blocks import block_size_for
from dirsync.limits import LIMITS
from dirsync.runtime.metrics.metrics import Metrics

if TYPE_CHECKING:
    from dirsync.delta.signature.builder import SignatureBuilder
    from dirsync.delta.signature.built import BuiltSignature
    from dirsync.delta.signature.signature import Signature

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_UNFINISHED: Final = "unfinished"


def builder_for(size: int, wanted: int, like: "Signature | None" = None) -> "SignatureBuilder | None":
    """What makes the signature of a file of ``size`` bytes, if it is worth remembering.

    Blocks have ``wanted`` bytes, or more in a large file. ``like`` is the signature of an earlier version: what is the
    same in it costs less.
    """
    block_size = block_size_for(size, wanted)
    if size < LIMITS.min_remembered_bytes or block_size > LIMITS.max_block_size:
        return None
    # Loaded here, because a sync that finds nothing to do should not pay for it.
    from dirsync.delta.signature.builder import SignatureBuilder  # noqa: PLC0415
    from dirsync.delta.signature.levels import stride_for  # noqa: PLC0415

    return SignatureBuilder(block_size, stride=stride_for(size), like=like)


class SignatureStore:
    """The signatures in one directory, as bytes. One thread."""

    def __init__(self, directory: Path, limit: int = LIMITS.signature_store_bytes, *, read_only: bool = False) -> None:
        """``limit``: how many bytes they may take on disk together; ``read_only``: nothing there is touched."""
        self._directory = directory
        self._limit = limit
        self._read_only = read_only
        self._sizes: OrderedDict[str, int] | None = None
        """By name, the least recently used first; read when it is first needed."""
        self._total = 0

    def load(self, digest: bytes) -> bytes | None:
        """The signature of this content, if it is remembered."""
        name = digest.hex()
        path = self._directory / name
        try:
            stored = path.read_bytes()
            if not self._read_only:
                os.utime(path)
        except OSError:
            return None
        if self._sizes is not None and name in self._sizes:
            self._sizes.move_to_end(name)
        return stored

    def save(self, digest: bytes, signature: bytes) -> None:
        """Remember it, as far as there is room; a disk that refuses only costs the memory."""
        if self._read_only or len(signature) > self._limit:
            return
        sizes = self._known()
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            unfinished = self._directory / _UNFINISHED
            unfinished.write_bytes(signature)
            unfinished.replace(self._directory / digest.hex())
            self._total += len(signature) - sizes.pop(digest.hex(), 0)
            sizes[digest.hex()] = len(signature)
        while self._total > self._limit:
            self.forget(bytes.fromhex(next(iter(sizes))))

    def forget(self, digest: bytes) -> None:
        """Drop it: it is unsound, or of content that the replica does not have any more."""
        if self._read_only:
            return
        self._total -= self._known().pop(digest.hex(), 0)
        with contextlib.suppress(OSError):
            (self._directory / digest.hex()).unlink()

    def _known(self) -> OrderedDict[str, int]:
        if self._sizes is None:
            self._sizes = OrderedDict()
            with contextlib.suppress(OSError), os.scandir(self._directory) as listing:
                found = [(entry.stat(), entry.name) for entry in listing if _NAME.fullmatch(entry.name)]
                for status, name in sorted(found, key=lambda one: one[0].st_mtime_ns):
                    self._sizes[name] = status.st_size
            self._total = sum(self._sizes.values())
        return self._sizes


class RememberedSignatures:
    """What the store holds, as signatures; each question is counted. Thread-safe: several servers share it."""

    def __init__(self, directory: Path, metrics: Metrics, *, read_only: bool = False) -> None:
        """``read_only``: nothing in the directory is touched, and nothing is remembered."""
        self._store = SignatureStore(directory, read_only=read_only)
        self._metrics = metrics
        self._lock = Lock()

    def load(self, digest: bytes, size: int, wanted: int) -> "Signature | None":
        """The signature of content of this digest and size, with the blocks that a file of that size has now."""
        from dirsync.delta.signature.stored import load_signature  # noqa: PLC0415

        with self._lock:
            stored = self._store.load(digest)
        if stored is None:
            self._metrics.count_lookup("signature", misses=1)
            return None
        signature = load_signature(stored)
        if signature is None or (signature.size, signature.block_size) != (size, block_size_for(size, wanted)):
            self._metrics.count_lookup("signature", stale=1)
            with self._lock:
                self._store.forget(digest)
            return None
        self._metrics.count_lookup("signature", hits=1)
        return signature

    def save(self, digest: bytes, signature: "BuiltSignature") -> None:
        """Remember it."""
        from dirsync.delta.signature.stored import dump_signature  # noqa: PLC0415

        stored = dump_signature(signature)
        with self._lock:
            self._store.save(digest, stored)
