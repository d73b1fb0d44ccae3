"""Which directory may be used for staging: one that nobody else can read or write."""

import os
import stat
from typing import Final

from dirsync.limits import LIMITS

PRIVATE: Final = 0o700
"""The mode of a staging directory."""


def free_name(holder: int, name: bytes) -> bytes | None:
    """The first name for a staging directory that is free or already ours."""
    for number in range(1, LIMITS.staging_names + 1):
        candidate = name if number == 1 else name + b"-%d" % number
        try:
            status = os.stat(candidate, dir_fd=holder, follow_symlinks=False)
        except FileNotFoundError:
            return candidate
        if is_ours(status):
            return candidate
    return None


def is_ours(status: os.stat_result) -> bool:
    """Whether it can be our staging directory: no other user may read or write it."""
    private = stat.S_IMODE(status.st_mode) & 0o777 == PRIVATE
    return stat.S_ISDIR(status.st_mode) and private and status.st_uid == os.geteuid()
