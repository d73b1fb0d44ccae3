"""What all sessions of a target share."""

from collections.abc import Callable
from typing import NamedTuple

from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.runtime.trace.tracer import NO_TRACER, Tracer
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.delta.signature_store import RememberedSignatures
from dirsync_client.transfer.uploads.memory import UploadMemory

OnWire = Callable[[str, int], None]
"""Is told ``sent`` or ``received`` and the bytes of each message; from any thread."""


class TransferOptions(NamedTuple):
    """How content is sent."""

    compression: str = "auto"
    block_size: int = 4096


class TransferParts(NamedTuple):
    """What all sessions share."""

    signatures: RememberedSignatures
    bandwidth: TokenBucket
    on_wire: OnWire
    uploads: UploadMemory
    options: TransferOptions
    activities: Activities
    tracer: Tracer = NO_TRACER
    hashes: KnownHashes | None = None
    """Where the client lives longer than one sync."""
