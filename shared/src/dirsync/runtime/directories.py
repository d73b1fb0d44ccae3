"""The directories that settings name: how they lie to each other, and whether we can work in them."""

import os
import tempfile
from pathlib import Path

from dirsync.errors import UsageError
from dirsync.tree.path import escape


def lies_within(inner: Path, outer: Path) -> bool:
    """Whether ``inner`` is ``outer`` or below it, links resolved as far as they exist."""
    return Path(os.path.realpath(inner)).is_relative_to(os.path.realpath(outer))


def prepare_state_directory(path: Path, setting: str) -> Path:
    """Make the directory if it is missing, prove that we can write in it, and give its absolute path.

    Raises:
        UsageError: naming the setting, the path, the user id and what to do.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        msg = (
            f"{setting}={escape(os.fsencode(path))}: not writable for uid {os.geteuid()} ({error.strerror}); "
            f"make it writable for that uid or set {setting} elsewhere"
        )
        raise UsageError(msg) from error
    return path.resolve()
