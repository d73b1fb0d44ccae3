"""What a path leads through: directories, and symbolic links with the directories that these lead through.

A directory keeps its name in the one above it while its path comes to lead elsewhere: a link on the way is swapped, as
deployments do, or a directory further up is renamed.
"""

import os
import stat
from collections import deque
from collections.abc import Iterator

from dirsync.limits import LIMITS


def leading_to(path: bytes) -> Iterator[int]:
    """Descriptors of all directories and links that an absolute path leads through, in their order. Linux only.

    The first directory (``/``) and what the path itself names are not among them. Each descriptor is valid until the
    next one. It ends early where the path leads nowhere, or through more links than the kernel follows.
    """
    names = deque(path.split(b"/")[:-1])
    at, links = b"/", 0
    while names and links <= LIMITS.links_on_the_way:
        name = names.popleft()
        if name in (b"", b"."):
            continue
        here = os.path.join(at, name)
        try:
            descriptor = os.open(here, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return
        try:
            yield descriptor
            target = os.readlink(b"", dir_fd=descriptor) if stat.S_ISLNK(os.fstat(descriptor).st_mode) else None
        finally:
            os.close(descriptor)
        if target is None:
            at = here
        else:
            links += 1
            names.extendleft(reversed(target.split(b"/")))
            at = b"/" if target.startswith(b"/") else at
