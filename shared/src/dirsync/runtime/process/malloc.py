"""How the C library keeps memory that was freed. Imports ctypes, which only who moves much content pays for."""

import ctypes
from functools import cache

from dirsync.limits import MIB

KEPT_ALLOCATION_BYTES = 4 * MIB
"""Larger allocations than this go back to the kernel at once: no message is larger."""
KEPT_HEAP_BYTES = 16 * MIB
"""More free memory than this at the end of the heap goes back."""
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


@cache
def keep_message_memory() -> None:
    """Let the C library keep what large messages need, instead of returning it to the kernel after each of them.

    Otherwise every message of a bulk transfer costs the faults of a megabyte of new pages. Without glibc
    (``mallopt(3)``) nothing happens.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, KEPT_ALLOCATION_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_HEAP_BYTES)
