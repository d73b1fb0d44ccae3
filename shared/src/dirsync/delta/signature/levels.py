"""Of which blocks a signature that a client makes for itself has which checksums."""

from dirsync.delta.strong import Strong
from dirsync.limits import LIMITS, Limits


def stride_for(size: int, limits: Limits = LIMITS) -> int:
    """The stride of its weak checksums, for a file of ``size`` bytes."""
    return limits.sparse_weak_stride if size > limits.sparse_weak_bytes else 1


def group_for(block_size: int, strong: Strong, limits: Limits = LIMITS) -> int:
    """How many blocks a group has; 0: there are no groups.

    Where a frame holds no whole group, or the checksum is slow, groups would cost more than they save.
    """
    return 0 if strong.slow or limits.group_blocks * block_size > limits.frame_bytes else limits.group_blocks
