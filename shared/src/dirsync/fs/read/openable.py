"""Whether a path that could not be read can be read by now; costs an open and no read."""

import os
import stat

from dirsync.errors import DirsyncError
from dirsync.fs.root import Root
from dirsync.tree.path import RelPath


def is_openable(root: Root, path: RelPath) -> bool:
    """Whether the file or directory at ``path`` can be opened, or is gone; anything else is not opened."""
    try:
        status = root.lstat(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            os.listdir(root.directory(path))
        elif status is not None and stat.S_ISREG(status.st_mode):
            os.close(root.open_file(path)[0])
    except (DirsyncError, OSError):
        return False
    finally:
        root.forget_all()
    return True
